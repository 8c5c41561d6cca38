import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { FreezableDisk } from '../../src/disk/freezable-disk.ts'
import { nodeDisk } from '../../src/index.ts'

const BYTES = 20_000
const content = Buffer.from(Array.from({ length: BYTES }, (_, i) => (i * 7) % 251))

const steps = fc.array(
  fc.oneof(
    fc.record({ cut: fc.nat(2 * BYTES) }),
    fc.record({
      at: fc.nat(BYTES + 5000),
      bytes: fc.nat(9000),
      // The bytes that the file has there, as replay writes them, or others.
      same: fc.boolean(),
    }),
  ),
  { maxLength: 12 },
)

test('whoever writes to a frozen disk reads what he wrote, and the file stays as it was', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-frozen-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const inner = nodeDisk(folder)
  const made = inner.open('a', 'create')
  made.write(0, [content])
  made.close()
  fc.assert(
    fc.property(steps, work => {
      const disk = new FreezableDisk(inner)
      disk.freeze()
      let model: Buffer = Buffer.from(content)
      for (const step of work) {
        const file = disk.open('a', 'write')
        if ('cut' in step) {
          const longer = Buffer.alloc(Math.max(0, step.cut - model.length))
          model = Buffer.concat([model, longer]).subarray(0, step.cut)
          file.truncate(step.cut)
        } else {
          const { at, same } = step
          const bytes = same ? content.subarray(at, at + step.bytes) : Buffer.alloc(step.bytes, 1)
          if (bytes.length > 0) {
            const next = Buffer.alloc(Math.max(model.length, at + bytes.length))
            model.copy(next)
            bytes.copy(next, at)
            model = next
          }
          file.write(at, [bytes.subarray(0, 10), bytes.subarray(10)])
        }
        const found = Buffer.alloc(model.length + 1)
        const isRight = file.read(0, found) === model.length && file.size() === model.length
        file.close()
        if (!isRight || !found.subarray(0, -1).equals(model)) return false
      }
      return true
    }),
  )
  expect(readFileSync(join(folder, 'a')).equals(content)).toBe(true)
})

test('a frozen disk has the files that were written to it, and gives none away', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-frozen-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const inner = nodeDisk(folder)
  inner.makeFolder('f')
  inner.open('f/there', 'create').close()
  const disk = new FreezableDisk(inner)
  disk.freeze()
  const file = disk.open('f/new', 'create')
  file.write(0, [Buffer.from('x')])
  file.close()
  expect(disk.list('f')).toEqual(['new', 'there'])
  expect(disk.sizeOf('f/new')).toBe(1)
  expect(inner.list('f')).toEqual(['there'])
  expect(() => disk.unlink('f/there')).toThrow('EROFS')
  expect(() => disk.open('f/none', 'write')).toThrow('ENOENT')
})
