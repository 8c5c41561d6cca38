// What the engine may rely on, checked on the real disk and on its simulated twin alike.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Disk, DiskErrorCode, DiskFile } from '../../src/disk/disk.ts'

export type DiskUnderTest = {
  readonly disk: Disk
  /** A second opening of the same folder. */
  readonly again: () => Disk
  readonly remove: () => Promise<void>
}

const bytes = (text: string): Buffer => Buffer.from(text)

const codeOf = (work: () => unknown): DiskErrorCode | undefined => {
  try {
    work()
  } catch (error) {
    return (error as { code?: DiskErrorCode }).code
  }
  return undefined
}

const textOf = (file: DiskFile): string => {
  const target = Buffer.alloc(file.size())
  expect(file.read(0, target)).toBe(target.length)
  return target.toString()
}

export function describeDisk(name: string, make: () => DiskUnderTest): void {
  describe(name, () => {
    let under: DiskUnderTest
    let disk: Disk

    beforeEach(() => {
      under = make()
      disk = under.disk
    })

    afterEach(() => under.remove())

    describe('files', () => {
      test('hold what was written, wherever it was written', () => {
        const file = disk.open('a', 'create')
        file.write(0, [bytes('one '), bytes('two '), bytes('three')])
        file.write(4, [bytes('TWO')])
        expect(textOf(file)).toBe('one TWO three')
        file.close()
        const again = disk.open('a', 'read')
        expect(textOf(again)).toBe('one TWO three')
        again.close()
      })

      test('take many buffers in one write', () => {
        const file = disk.open('a', 'create')
        const parts = Array.from({ length: 3000 }, (_, i) => bytes(`${i},`))
        file.write(0, parts)
        expect(textOf(file)).toBe(Buffer.concat(parts).toString())
        file.close()
      })

      test('take a write of nothing', () => {
        const file = disk.open('a', 'create')
        file.write(0, [])
        file.write(10, [Buffer.alloc(0)])
        expect(file.size()).toBe(0)
        file.close()
      })

      test('read short only at their end', () => {
        const file = disk.open('a', 'create')
        file.write(0, [bytes('0123456789')])
        const target = Buffer.alloc(8)
        expect(file.read(0, target)).toBe(8)
        expect(file.read(4, target)).toBe(6)
        expect(target.subarray(0, 6).toString()).toBe('456789')
        expect(file.read(10, target)).toBe(0)
        expect(file.read(1000, target)).toBe(0)
        expect(file.read(0, Buffer.alloc(0))).toBe(0)
        file.close()
      })

      test('read zeros in a gap', () => {
        const file = disk.open('a', 'create')
        file.write(2000, [bytes('x')])
        expect(file.size()).toBe(2001)
        const target = Buffer.alloc(2001, 1)
        file.read(0, target)
        expect(target.subarray(0, 2000).every(byte => byte === 0)).toBe(true)
        file.close()
      })

      test('shrink and grow by truncation; what is cut off does not come back', () => {
        const file = disk.open('a', 'create')
        file.write(0, [bytes('0123456789')])
        file.truncate(4)
        expect(file.size()).toBe(4)
        file.truncate(6)
        expect(textOf(file)).toBe('0123\0\0')
        file.write(8, [bytes('x')])
        expect(textOf(file)).toBe('0123\0\0\0\0x')
        file.close()
      })

      test('can be opened twice; both see the same bytes', () => {
        const writer = disk.open('a', 'create')
        const reader = disk.open('a', 'read')
        writer.write(0, [bytes('seen')])
        expect(textOf(reader)).toBe('seen')
        writer.close()
        reader.close()
      })

      test('sync, also while others do', async () => {
        const files = ['a', 'b', 'c'].map(path => disk.open(path, 'create'))
        for (const file of files) file.write(0, [bytes('x')])
        await Promise.all(files.flatMap(file => [file.sync(), file.sync()]))
        for (const file of files) file.close()
      })

      test('are not written through a handle for reading', () => {
        disk.open('a', 'create').close()
        const file = disk.open('a', 'read')
        expect(codeOf(() => file.write(0, [bytes('x')]))).toBe('EIO')
        file.close()
      })

      test('that are absent are created only when asked to', () => {
        expect(codeOf(() => disk.open('a', 'read'))).toBe('ENOENT')
        expect(codeOf(() => disk.open('a', 'write'))).toBe('ENOENT')
        expect(codeOf(() => disk.open('folder/a', 'create'))).toBe('ENOENT')
        expect(disk.exists('a')).toBe(false)
        disk.open('a', 'create').close()
        expect(disk.exists('a')).toBe(true)
      })

      test('keep their content when opened to be created again', () => {
        const file = disk.open('a', 'create')
        file.write(0, [bytes('kept')])
        file.close()
        const again = disk.open('a', 'create')
        expect(textOf(again)).toBe('kept')
        again.close()
      })

      test('live on without a name while they are open', async () => {
        const file = disk.open('a', 'create')
        file.write(0, [bytes('here')])
        disk.unlink('a')
        expect(disk.exists('a')).toBe(false)
        expect(textOf(file)).toBe('here')
        await file.sync()
        file.close()
      })
    })

    describe('names', () => {
      test('are listed in order, folders among them', () => {
        disk.makeFolder('f/g')
        for (const name of ['b', 'a', 'c']) disk.open(`f/${name}`, 'create').close()
        expect(disk.list('f')).toEqual(['a', 'b', 'c', 'g'])
        expect(disk.list('f/g')).toEqual([])
        expect(disk.list('nowhere')).toEqual([])
      })

      test('of folders may be made twice', () => {
        disk.makeFolder('f/g')
        disk.makeFolder('f/g')
        disk.makeFolder('f')
        expect(disk.exists('f/g')).toBe(true)
        disk.open('file', 'create').close()
        expect(codeOf(() => disk.makeFolder('file'))).toBe('EEXIST')
      })

      test('change by rename, over an existing file too', () => {
        const write = (path: string, text: string): void => {
          const file = disk.open(path, 'create')
          file.write(0, [bytes(text)])
          file.close()
        }
        write('a', 'first')
        write('b', 'second')
        disk.rename('a', 'b')
        expect(disk.exists('a')).toBe(false)
        const file = disk.open('b', 'read')
        expect(textOf(file)).toBe('first')
        file.close()
        expect(codeOf(() => disk.rename('a', 'c'))).toBe('ENOENT')
        disk.makeFolder('f')
        disk.rename('b', 'f/b')
        expect(disk.list('f')).toEqual(['b'])
      })

      test('go away, twice without complaint; a folder only when it is empty', () => {
        disk.makeFolder('f')
        disk.open('f/a', 'create').close()
        disk.removeFolder('f')
        expect(disk.exists('f')).toBe(true)
        disk.unlink('f/a')
        disk.unlink('f/a')
        disk.removeFolder('f')
        disk.removeFolder('f')
        expect(disk.exists('f')).toBe(false)
      })

      test('are synced with their folder', async () => {
        disk.makeFolder('f')
        disk.open('f/a', 'create').close()
        await disk.syncFolder('f')
        await disk.syncFolder('')
        await expect(disk.syncFolder('nowhere')).rejects.toMatchObject({ code: 'ENOENT' })
      })
    })

    test('says how much room there is', () => {
      const { free, total } = disk.space()
      expect(free).toBeGreaterThan(0)
      expect(total).toBeGreaterThanOrEqual(free)
    })

    test('is locked for one engine at a time', async () => {
      disk.lock()
      const other = under.again()
      expect(codeOf(() => other.lock())).toBe('ELOCKED')
      disk.unlock()
      other.lock()
      expect(codeOf(() => disk.lock())).toBe('ELOCKED')
      other.unlock()
    })

    describe('the journal writer', () => {
      test('writes from its staging areas, one write after another', async () => {
        const writer = disk.openJournalWriter(3, 4096)
        expect(writer.staging.map(area => area.length)).toEqual([4096, 4096, 4096])
        const file = disk.open('j', 'create')
        let position = 0
        for (let i = 0; i < 20; i += 1) {
          const slot = i % 3
          const length = writer.staging[slot]?.write(`group ${i};`) ?? 0
          await writer.write({ file, position, slot, length, sync: i % 2 === 0 })
          position += length
        }
        expect(textOf(file)).toBe(Array.from({ length: 20 }, (_, i) => `group ${i};`).join(''))
        await writer.close()
        file.close()
      })

      test('answers an error and goes on', async () => {
        const writer = disk.openJournalWriter(1, 512)
        disk.open('j', 'create').close()
        const reading = disk.open('j', 'read')
        const write = { position: 0, slot: 0, length: 512, sync: true }
        await expect(writer.write({ ...write, file: reading })).rejects.toMatchObject({
          name: 'DiskError',
          code: 'EIO',
          path: 'j',
        })
        const writing = disk.open('j', 'write')
        await writer.write({ ...write, file: writing })
        expect(writing.size()).toBe(512)
        await writer.close()
        reading.close()
        writing.close()
      })

      test('closes without having written', async () => {
        await disk.openJournalWriter(1, 512).close()
      })
    })
  })
}
