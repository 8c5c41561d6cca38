// Answers by time from batches of any size, opened piece by piece: the same as from those opened whole.
import { describe, expect, test } from 'vitest'
import {
  type Compression,
  encodeBatch,
  findOffsetByTimestamp,
  maxTimestampRecord,
  placeInSlices,
  RecordBatch,
} from '../../src/index.ts'
import { PlaceWalker } from '../../src/records/place-walker.ts'

const NOW = 1_700_000_000_000
const CODECS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Times go up and down; values are long enough that all of it is opened piece by piece. */
function batchOf(compression: Compression, count: number, valueBytes: number): RecordBatch {
  const records = Array.from({ length: count }, (_, i) => ({
    key: `k${i}`,
    value: Buffer.alloc(valueBytes, i % 7),
    timestamp: NOW + ((i * 37) % count),
    headers: i % 3 === 0 ? [{ key: 'h', value: Buffer.from('v') }] : [],
  }))
  const bytes = encodeBatch({ records, timestamp: NOW, compression, bytesMax: 1 << 27 })
  return new RecordBatch(bytes)
}

describe.each(CODECS)('a batch compressed with %s', codec => {
  const batch = batchOf(codec, 2_000, 700)

  test.each([0, 1, 999, 1_999])('answers every time from offset %i on', async from => {
    let pauses = 0
    const pause = async (): Promise<void> => {
      pauses += 1
    }
    for (const time of [NOW - 1, NOW, NOW + 500, NOW + 1_998, NOW + 1_999, NOW + 2_000]) {
      expect(await placeInSlices(batch, { atTime: time }, from, pause)).toEqual(
        findOffsetByTimestamp(batch, time, from),
      )
    }
    expect(await placeInSlices(batch, 'maxTimestamp', from, pause)).toEqual(
      maxTimestampRecord(batch, from),
    )
    expect(pauses).toBeGreaterThan(0)
  })
})

test('a walk finds the same places however the bytes are cut', () => {
  const { bytes } = batchOf('none', 40, 3).cursor()
  const walked = (size: number): readonly (readonly number[])[] => {
    const places: (readonly number[])[] = []
    const walker = new PlaceWalker((offset, time) => {
      places.push([offset, time])
      return false
    })
    for (let at = 0; at < bytes.length; at += size) walker.feed(bytes.subarray(at, at + size))
    return places
  }
  const whole = walked(bytes.length)
  expect(whole).toHaveLength(40)
  for (let size = 1; size < 40; size += 1) expect(walked(size), `${size} bytes`).toEqual(whole)
})

test('a batch that opens to more than what it may is refused, not taken into memory', async () => {
  const records = [
    { value: Buffer.alloc(60_000_000), timestamp: NOW },
    { value: Buffer.alloc(60_000_000), timestamp: NOW },
    { value: Buffer.alloc(60_000_000), timestamp: NOW + 5 },
  ]
  const bytes = encodeBatch({ records, timestamp: NOW, compression: 'zstd', bytesMax: 1 << 28 })
  const question = { atTime: NOW + 1 }
  await expect(
    placeInSlices(new RecordBatch(bytes), question, 0, async () => undefined),
  ).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
})
