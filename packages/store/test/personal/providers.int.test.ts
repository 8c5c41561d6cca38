import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import {
  addKeyToFile,
  createKeyFile,
  environmentKeys,
  fileKeys,
  memoryKeys,
} from '../../src/personal/providers.ts'

const path = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-keys-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'master.keys')
}

test('a key file is made once, for its owner alone, and never over another', async () => {
  const file = path()
  await createKeyFile(file, 'first')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const provider = fileKeys(file)
  expect(await provider.currentId()).toBe('first')
  expect(await provider.key('first')).toHaveLength(32)
  expect(await provider.key('other')).toBeUndefined()
  const before = readFileSync(file, 'utf8')
  await expect(createKeyFile(file, 'second')).rejects.toMatchObject({ code: 'EEXIST' })
  expect(readFileSync(file, 'utf8')).toBe(before)
})

test('a new key comes first in its file, and the old ones stay', async () => {
  const file = path()
  await createKeyFile(file, 'first')
  const provider = fileKeys(file)
  const first = await provider.key('first')
  await addKeyToFile(file, 'second')
  expect(await provider.currentId()).toBe('second')
  expect(await provider.key('first')).toEqual(first)
  expect(await provider.key('second')).not.toEqual(first)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  await expect(addKeyToFile(file, 'first')).rejects.toMatchObject({ code: 'BAD_ARGUMENT' })
})

test('a key file that others can read is refused', async () => {
  const file = path()
  await createKeyFile(file, 'first')
  chmodSync(file, 0o640)
  await expect(fileKeys(file).currentId()).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' })
})

test('a bad line is named by its number, and its text is never told', async () => {
  const file = path()
  for (const text of [
    '',
    '# nothing\n',
    `a:${'00'.repeat(31)}`,
    'secretsecret',
    `a b:${'00'.repeat(32)}`,
  ]) {
    writeFileSync(file, text, { mode: 0o600 })
    const error = await fileKeys(file)
      .currentId()
      .then(
        () => null,
        (cause: { code: string; message: string }) => cause,
      )
    expect(error?.code, text).toBe('KEY_UNAVAILABLE')
    expect(error?.message).not.toContain('secret')
    expect(error?.message).not.toContain('0000')
  }
})

test('the environment holds several keys, the first one is the present one', async () => {
  const hex = '11'.repeat(32)
  const base64 = Buffer.alloc(32, 2).toString('base64')
  const provider = environmentKeys('KEYS', { KEYS: `kms/eu.1:${hex}, b:${base64}` })
  expect(await provider.currentId()).toBe('kms/eu.1')
  expect(await provider.key('b')).toEqual(Buffer.alloc(32, 2))
  await expect((async () => environmentKeys('KEYS', {}).currentId())()).rejects.toMatchObject({
    code: 'KEY_UNAVAILABLE',
  })
})

test('memory needs at least one key', async () => {
  expect(() => memoryKeys({})).toThrow(/no master key/)
  expect(await memoryKeys({ m: Buffer.alloc(32) }).currentId()).toBe('m')
})
