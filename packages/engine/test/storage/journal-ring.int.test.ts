// The journal's files: a bounded ring, written again only behind a checkpoint.
import { describe, expect, test } from 'vitest'
import type { Disk, DiskFile } from '../../src/disk/disk.ts'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import { JournalRing } from '../../src/storage/journal-ring.ts'
import { journalFiles } from '../../src/storage/journal-scan.ts'
import { JOURNAL_FOLDER, journalFileName } from '../../src/storage/ring-register.ts'
import { temporaryFolder } from './support.ts'

const FILE_BYTES = 4096

async function ringOf(filesMax: number, existing = 0): Promise<{ ring: JournalRing; disk: Disk }> {
  const disk = nodeDisk(temporaryFolder())
  disk.makeFolder(JOURNAL_FOLDER)
  const files: DiskFile[] = []
  for (let i = 0; i < existing; i += 1) files.push(disk.open(journalFileName(i), 'create'))
  const ring = new JournalRing(disk, { fileBytes: FILE_BYTES, filesMax }, files)
  await ring.start()
  return { ring, disk }
}

/** Path and position of a place, for comparison. */
const at = (place: ReturnType<JournalRing['place']>): string | null =>
  place === null ? null : `${place.file.path}:${place.position}`

describe('the ring of journal files', () => {
  test('gives places one behind the other, exactly up to the end of the file', async () => {
    const { ring } = await ringOf(1)
    expect(at(ring.place(1024, 1))).toBe(`${journalFileName(0)}:0`)
    expect(at(ring.place(3072, 2))).toBe(`${journalFileName(0)}:1024`)
    expect(ring.head).toEqual({ path: journalFileName(0), position: 4096 })
    expect(ring.place(512, 3)).toBeNull()
    ring.close()
  })

  test('goes on in the spare file where a group does not fit', async () => {
    const { ring } = await ringOf(2)
    ring.place(3072, 1)
    await ring.grow()
    expect(ring.hasSpare).toBe(true)
    expect(at(ring.place(2048, 2))).toBe(`${journalFileName(1)}:0`)
    expect(ring.hasSpare).toBe(false)
    expect(ring.usedBytes).toBe(FILE_BYTES + 2048)
    ring.close()
  })

  test('grows up to its maximum, by one file at a time, and no further', async () => {
    const { ring, disk } = await ringOf(3)
    for (let seq = 1; seq <= 3; seq += 1) {
      await Promise.all([ring.grow(), ring.grow()])
      expect(ring.place(FILE_BYTES, seq)).not.toBeNull()
    }
    await ring.grow()
    expect(ring.place(512, 4)).toBeNull()
    expect(journalFiles(disk)).toHaveLength(3)
    expect(ring.maxBytes).toBe(3 * FILE_BYTES)
    ring.close()
  })

  test('may grow by one file beyond its maximum when a checkpoint needs it, and by one only', async () => {
    const { ring, disk } = await ringOf(1)
    ring.place(FILE_BYTES, 1)
    await ring.grow({ beyondMax: true })
    expect(ring.place(FILE_BYTES, 2)).not.toBeNull()
    await ring.grow({ beyondMax: true })
    expect(ring.place(512, 3)).toBeNull()
    expect(journalFiles(disk)).toHaveLength(2)
    ring.close()
  })

  test('writes a file again only when a checkpoint covers its last group', async () => {
    const { ring } = await ringOf(2)
    ring.place(2048, 1)
    ring.place(2048, 2)
    await ring.grow()
    ring.place(4096, 3)
    ring.release(1)
    expect(ring.place(512, 4)).toBeNull()
    ring.release(2)
    expect(at(ring.place(512, 4))).toBe(`${journalFileName(0)}:0`)
    ring.close()
  })

  test('of one file begins again only when all of it is covered', async () => {
    const { ring } = await ringOf(1)
    ring.place(2048, 1)
    ring.place(2048, 2)
    ring.release(1)
    expect(ring.place(512, 3)).toBeNull()
    ring.release(2)
    expect(at(ring.place(512, 3))).toBe(`${journalFileName(0)}:0`)
    ring.close()
  })

  test('takes over files of earlier runs and never reuses a name', async () => {
    const { ring, disk } = await ringOf(3, 2)
    ring.place(FILE_BYTES, 1)
    ring.place(FILE_BYTES, 2)
    await ring.grow()
    ring.place(FILE_BYTES, 3)
    expect(journalFiles(disk)).toEqual([0, 1, 2].map(journalFileName))
    ring.close()
  })

  test('fills a new file with zeros over its whole length before it is used', async () => {
    const { ring, disk } = await ringOf(1)
    const file = disk.open(journalFileName(0), 'read')
    const bytes = Buffer.alloc(FILE_BYTES, 1)
    expect(file.read(0, bytes)).toBe(FILE_BYTES)
    expect(bytes.every(byte => byte === 0)).toBe(true)
    file.close()
    ring.close()
  })
})

describe('scrubbing', () => {
  /** Fills a place with ones, as a group would. */
  function fill(ring: JournalRing, bytes: number, seq: number): void {
    const place = ring.place(bytes, seq)
    place?.file.write(place.position, [Buffer.alloc(bytes, 1)])
  }

  /** Ranges of the files that are no zeros: "0:0-1024". */
  function filled(disk: Disk): string[] {
    return journalFiles(disk).flatMap((path, i) => {
      const file = disk.open(path, 'read')
      const bytes = Buffer.alloc(file.size())
      file.read(0, bytes)
      file.close()
      const from = bytes.indexOf(1)
      return from < 0 ? [] : [`${i}:${from}-${bytes.lastIndexOf(1) + 1}`]
    })
  }

  const calls = { pause: async () => undefined, sync: (file: DiskFile) => file.sync() }

  test('leaves zeros where a checkpoint covers, and every other group', async () => {
    const { ring, disk } = await ringOf(3)
    for (let seq = 1; seq <= 3; seq += 1) {
      await ring.grow()
      fill(ring, seq === 3 ? 1024 : FILE_BYTES, seq)
    }
    fill(ring, 1024, 4)
    ring.release(1)
    const files = ring.scrubbable
    await ring.scrub(files, calls)
    // The second file holds a group that no checkpoint covers: it waits for the next one.
    expect(filled(disk)).toEqual(['1:0-4096', '2:0-2048'])
    expect(files.size).toBe(1)
    ring.release(3)
    await ring.scrub(files, calls)
    expect(files.size).toBe(0)
    await ring.scrub(ring.scrubbable, calls)
    expect(filled(disk)).toEqual(['2:1024-2048'])
    ring.close()
  })

  test('reaches what an earlier lap, or an earlier run, has left ahead of the next group', async () => {
    const { ring, disk } = await ringOf(1)
    fill(ring, 3072, 1)
    ring.release(1)
    fill(ring, 2048, 2) // begins the only file again
    await ring.scrub(ring.scrubbable, calls)
    expect(filled(disk)).toEqual(['0:0-2048'])
    ring.close()
    const file = disk.open(journalFileName(0), 'write')
    const again = new JournalRing(disk, { fileBytes: FILE_BYTES, filesMax: 1 }, [file])
    await again.start()
    fill(again, 1024, 1)
    await again.scrub(again.scrubbable, calls)
    expect(filled(disk)).toEqual(['0:0-1024'])
    again.close()
  })

  test('never writes over a group that is placed meanwhile', async () => {
    const { ring, disk } = await ringOf(2)
    await ring.grow()
    fill(ring, FILE_BYTES, 1)
    ring.release(1)
    fill(ring, 512, 2)
    ring.release(2)
    let seq = 2
    const files = ring.scrubbable
    await ring.scrub(files, {
      ...calls,
      pause: async () => {
        seq += 1
        fill(ring, 512, seq)
      },
    })
    const kept = filled(disk)
    expect(seq).toBeGreaterThan(2)
    expect(kept.join()).toContain(`-${ring.head.position}`)
    ring.close()
  })
})
