// What the journal's files say of themselves, when a crash comes while it is being said.
import { expect, test } from 'vitest'
import { SimDisk } from '../../src/simulation.ts'
import {
  JOURNAL_FOLDER,
  journalFileName,
  RingRegister,
  readStamp,
  STAMP_BYTES,
  type Stamp,
} from '../../src/storage/ring-register.ts'

const FILE_BYTES = 4096
const PATH = journalFileName(0)
const SALTS = ['11', '22', '33', '44', '55'].map(byte => byte.repeat(8))

async function stampedAs(disk: SimDisk, salt: string, before: string): Promise<void> {
  const register = new RingRegister(disk, { logId: 'log', salt, before, fileBytes: FILE_BYTES })
  const file = disk.open(PATH, 'create')
  await register.enter([file])
  file.close()
}

function stampOf(bytes: Uint8Array): Stamp | null {
  const disk = new SimDisk()
  disk.makeFolder(JOURNAL_FOLDER)
  disk.put(PATH, bytes)
  return readStamp(disk.open(PATH, 'read'))
}

/** The file after each part of what has been written between two moments. */
function* torn(before: Buffer, after: Buffer): Generator<Buffer> {
  for (let cut = FILE_BYTES; cut <= FILE_BYTES + STAMP_BYTES; cut += 1) {
    yield Buffer.concat([after.subarray(0, cut), before.subarray(cut)])
  }
}

test('a stamp that is torn while it is written leaves the one that counts until then', async () => {
  const disk = new SimDisk()
  disk.makeFolder(JOURNAL_FOLDER)
  disk.put(PATH, Buffer.alloc(FILE_BYTES))
  let counts = ''
  let last = ''
  for (const [i, salt] of SALTS.entries()) {
    const before = disk.bytesOf(PATH) ?? Buffer.alloc(0)
    await stampedAs(disk, salt, counts)
    const after = disk.bytesOf(PATH) ?? Buffer.alloc(0)
    expect(stampOf(after)).toEqual({ number: 0, salt, before: counts })
    for (const bytes of i === 0 ? [] : torn(before, after)) {
      const stamp = stampOf(bytes)
      expect([last, salt]).toContain(stamp?.salt)
      expect([stamp?.salt, stamp?.before]).toContain(counts)
    }
    // Every other start does not come as far as its first checkpoint.
    if (i % 2 === 0) counts = salt
    last = salt
  }
})
