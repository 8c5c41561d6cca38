// The platform's errors in the few codes that the engine tells apart, and in words.
import { expect, test } from 'vitest'
import { isShortage } from '../../src/disk/disk.ts'
import { diskError } from '../../src/disk/node-errors.ts'

const CASES = [
  ['ENOSPC', 'ENOSPC', true, 'no room, or no inodes'],
  ['EDQUOT', 'ENOSPC', true, 'quota'],
  ['EMFILE', 'EMFILE', true, 'ulimit -n'],
  ['ENFILE', 'EMFILE', true, 'fs.file-max'],
  ['ENOMEM', 'ENOMEM', true, 'memory'],
  ['EROFS', 'EROFS', false, 'read-only'],
  ['EACCES', 'EACCES', false, 'may not'],
  ['EPERM', 'EACCES', false, 'may not'],
  ['EIO', 'EIO', false, ''],
  ['ENXIO', 'EIO', false, ''],
] as const

test.each(CASES)('%s is %s, a shortage: %s', (name, code, shortage, words) => {
  const error = diskError('a/b', Object.assign(new Error('open'), { code: name }))
  expect([error.code, isShortage(error)]).toEqual([code, shortage])
  expect(error.message).toContain(words)
  expect(error.message).toContain('(a/b)')
})
