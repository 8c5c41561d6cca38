// Checksums of blocks: whoever adds the bytes, whole batches or pieces, the sums are the same.
import { describe, expect, test } from 'vitest'
import { BlockChecksums } from '../../src/segments/block-checksums.ts'
import { CHECKSUM_BLOCK_BYTES } from '../../src/segments/segment-index.ts'
import { batchOf, batchOfBytes } from '../storage/support.ts'

describe('block checksums', () => {
  test('by the checksums of batches are those of the bytes', () => {
    const batches = [
      ...Array.from({ length: 60 }, (_, i) => batchOf(1, { valueBytes: 100 + i * 701 })),
      // Up to the end of a block, and one that is more than a block.
      batchOf(1, { valueBytes: 3 * CHECKSUM_BLOCK_BYTES }),
      ...Array.from({ length: 20 }, (_, i) => batchOf(2, { valueBytes: 30_000 - i * 997 })),
    ]
    const byBatch = new BlockChecksums()
    const byByte = new BlockChecksums()
    for (const batch of batches) {
      byBatch.extendByBatch(batch)
      byByte.extend(batch)
      expect(byBatch.sums).toEqual(byByte.sums)
      expect(byBatch.bytes).toBe(byByte.bytes)
    }
  })

  test('are right where a batch ends with its block, and where one fills it', () => {
    const byBatch = new BlockChecksums()
    const byByte = new BlockChecksums()
    for (const bytes of [16_384, CHECKSUM_BLOCK_BYTES - 16_384, CHECKSUM_BLOCK_BYTES, 8192]) {
      const batch = batchOfBytes(bytes)
      byBatch.extendByBatch(batch)
      byByte.extend(batch)
      expect(byBatch.sums).toEqual(byByte.sums)
    }
    expect(byBatch.sums).toHaveLength(3)
  })
})
