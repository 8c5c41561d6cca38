// A commit group is read back whole or not at all.
import { crc32cOf, setBatchPosition } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { CommitGroup } from '../../src/storage/commit-group.ts'
import {
  entriesOf,
  GROUP_HEADER_BYTES,
  groupBytes,
  JOURNAL_ALIGNMENT,
  payloadIsWhole,
  readGroupHeader,
  sealGroup,
} from '../../src/storage/journal-format.ts'
import { batchOf } from './support.ts'

const SALT = Buffer.from('0102030405060708', 'hex')

function sealed(salt = SALT, previous = 77) {
  const group = new CommitGroup(5, 0, Buffer.alloc(8192, 0xee))
  const batches = [batchOf(1), batchOf(3), batchOf(2)]
  batches.forEach((batch, i) => void group.add({ id: 20 + i }, batch, { needsSync: false }))
  const checksum = sealGroup(group.staging, salt, {
    seq: 2 ** 40 + 5,
    durableUpTo: 2 ** 40,
    previous,
    entryCount: group.entries.length,
    payloadBytes: group.payloadBytes,
    payloadCrc: group.payloadCrc,
  })
  return { bytes: Buffer.from(group.staging.subarray(0, group.bytes)), batches, checksum, group }
}

/** The header and its entries, or null where these bytes are no whole group. */
function read(bytes: Buffer, salt = SALT) {
  const header = readGroupHeader(bytes, salt)
  if (header === null) return null
  const end = GROUP_HEADER_BYTES + header.payloadBytes
  const payload = bytes.subarray(GROUP_HEADER_BYTES, end)
  return payloadIsWhole(header, payload) ? { header, entries: [...entriesOf(payload)] } : null
}

describe('a commit group', () => {
  test('comes back with every field and every entry, in order', () => {
    const { bytes, batches, checksum } = sealed()
    const group = read(bytes)
    expect(group?.header).toMatchObject({
      seq: 2 ** 40 + 5,
      durableUpTo: 2 ** 40,
      previous: 77,
      entryCount: 3,
      checksum,
    })
    expect(group?.entries.map(entry => entry.partitionId)).toEqual([20, 21, 22])
    expect(group?.entries.map(entry => entry.batch)).toEqual(batches)
  })

  test('fills whole sectors, and shows nothing of what the staging area held before', () => {
    const { bytes, group } = sealed()
    expect(bytes.length % JOURNAL_ALIGNMENT).toBe(0)
    expect(bytes.length).toBe(groupBytes(group.payloadBytes))
    expect(bytes.subarray(GROUP_HEADER_BYTES + group.payloadBytes).every(byte => byte === 0)).toBe(
      true,
    )
  })

  test('of another generation is none', () => {
    const { bytes } = sealed()
    expect(read(bytes, Buffer.from('0102030405060709', 'hex'))).toBeNull()
    expect(read(sealed(Buffer.alloc(8)).bytes)).toBeNull()
  })

  test('with another predecessor has another checksum, so the chain cannot be bent', () => {
    expect(sealed(SALT, 77).checksum).not.toBe(sealed(SALT, 78).checksum)
    expect(read(sealed(SALT, 78).bytes)?.header.previous).toBe(78)
  })

  test('with any flipped bit of header or payload is none', () => {
    const { bytes, group } = sealed()
    const end = GROUP_HEADER_BYTES + group.payloadBytes
    for (let bit = 0; bit < end * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(bit >>> 3) ^ (1 << (bit & 7)), bit >>> 3)
      expect(read(flipped), `bit ${bit}`).toBeNull()
    }
  })

  test('cut off anywhere is none', () => {
    const { bytes, group } = sealed()
    for (let length = 0; length < GROUP_HEADER_BYTES + group.payloadBytes; length += 1) {
      expect(read(bytes.subarray(0, length)), `${length} bytes`).toBeNull()
    }
  })

  test('without entries is one too: a checkpoint may need a group to begin with', () => {
    const staging = Buffer.alloc(512)
    const empty = { entryCount: 0, payloadBytes: 0, payloadCrc: 0 }
    sealGroup(staging, SALT, { seq: 1, durableUpTo: 0, previous: 0, ...empty })
    expect(read(staging)?.entries).toEqual([])
  })

  test('has the checksum of its bytes, also where it is joined from those of its batches', () => {
    const sizes = [10, 5000, 100, 70_000, 9000, 9000, 20, 4096]
    for (const known of [0b1111_1111, 0b0010_1010, 0b0101_0001, 0]) {
      const group = new CommitGroup(1, 0, Buffer.alloc(200_000))
      for (const [i, valueBytes] of sizes.entries()) {
        const batch = batchOf(1, { valueBytes })
        const isKnown = ((known >>> i) & 1) === 1
        // Only of those that are known to be right: this one is not.
        if (!isKnown) batch.writeUInt32BE(12_345, 17)
        const at = group.add({ id: i }, batch, { needsSync: false, isSummed: isKnown })
        setBatchPosition(group.staging, at, 2 ** 40 + i, 3)
      }
      const payload = group.staging.subarray(GROUP_HEADER_BYTES).subarray(0, group.payloadBytes)
      expect(group.payloadCrc).toBe(crc32cOf(payload, 0, payload.length))
    }
  })

  test('takes entries exactly up to its limit', () => {
    const group = new CommitGroup(1, 0, Buffer.alloc(1024))
    expect(group.fits(1, 1024 - GROUP_HEADER_BYTES - 8, 1024)).toBe(true)
    expect(group.fits(1, 1024 - GROUP_HEADER_BYTES - 7, 1024)).toBe(false)
    expect(group.fits(2, 1024 - GROUP_HEADER_BYTES - 16, 1024)).toBe(true)
    expect(group.fits(2, 1024 - GROUP_HEADER_BYTES - 15, 1024)).toBe(false)
  })
})
