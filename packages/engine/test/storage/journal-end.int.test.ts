// Where the journal of an earlier run ends: each file of the ring is in use once, whichever have been
// begun again since the checkpoint.
import { expect, test } from 'vitest'
import type { Disk, DiskFile } from '../../src/disk/disk.ts'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import { findJournalEnd } from '../../src/storage/journal-end.ts'
import {
  groupBytes,
  JOURNAL_ALIGNMENT,
  type JournalPosition,
  sealGroup,
} from '../../src/storage/journal-format.ts'
import { JournalRing } from '../../src/storage/journal-ring.ts'
import { JOURNAL_FOLDER, journalFileName } from '../../src/storage/ring-register.ts'
import { temporaryFolder } from './support.ts'

const FILE_BYTES = 4 * JOURNAL_ALIGNMENT
const SALT = Buffer.from('0123456789abcdef', 'hex')
/** What the checkpoint covers. */
const SEQ = 10
const CHECKSUM = 7

/** Groups without entries, one behind the other, at these places (file, position). */
function journalOf(places: readonly (readonly [file: number, position: number])[]): Disk {
  const disk = nodeDisk(temporaryFolder())
  disk.makeFolder(JOURNAL_FOLDER)
  const files: DiskFile[] = [0, 1, 2].map(i => disk.open(journalFileName(i), 'create'))
  for (const file of files) file.write(0, [Buffer.alloc(FILE_BYTES)])
  let previous = CHECKSUM
  places.forEach(([file, position], i) => {
    const group = Buffer.alloc(groupBytes(0))
    const seq = SEQ + 1 + i
    const empty = { entryCount: 0, payloadBytes: 0, payloadCrc: 0 }
    previous = sealGroup(group, SALT, { seq, durableUpTo: seq - 1, previous, ...empty })
    files[file]?.write(position, [group])
  })
  for (const file of files) file.close()
  return disk
}

const from = (file: number, position: number): JournalPosition => ({
  salt: SALT.toString('hex'),
  path: journalFileName(file),
  position,
  seq: SEQ,
  checksum: CHECKSUM,
  files: [0, 1, 2].map(journalFileName),
  fileBytes: FILE_BYTES,
})

const used = (disk: Disk, position: JournalPosition) => {
  const { files, coveredTo, position: next, seq } = findJournalEnd(disk, position)
  return { files: files.map(({ path }) => path), coveredTo, next, seq }
}

test.each([
  ['behind the checkpoint in its file', [[1, 1024]], { files: [1], coveredTo: 1024, next: 1536 }],
  [
    'in the file behind it',
    [
      [1, 1024],
      [0, 0],
    ],
    { files: [1, 0], coveredTo: 1024, next: 512 },
  ],
  ['in its file, begun again', [[1, 0]], { files: [1], coveredTo: 0, next: 512 }],
  [
    'in its file, begun again after all the others',
    [
      [0, 0],
      [2, 0],
      [1, 0],
      [1, 512],
    ],
    { files: [0, 2, 1], coveredTo: 0, next: 1024 },
  ],
] as const)('groups %s', (_, places, expected) => {
  const found = used(journalOf(places), from(1, 1024))
  const files = expected.files.map(journalFileName)
  expect(found).toEqual({ ...expected, files, seq: SEQ + places.length })
})

test('a file that is named twice is refused: it would be written over while it is in use', () => {
  const disk = journalOf([])
  const files = [0, 1].map(i => disk.open(journalFileName(i), 'write'))
  const ring = new JournalRing(disk, { fileBytes: FILE_BYTES, filesMax: 2 }, [...files])
  const [first, second] = files.map(file => ({ file, ends: [] }))
  if (first === undefined || second === undefined) throw new Error('no files')
  expect(() => ring.resume([first, second, first], 0, 0)).toThrow(/twice/)
  for (const file of files) file.close()
})
