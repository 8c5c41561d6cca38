import assert from 'node:assert/strict'
import { describe, expect, test } from 'vitest'
import { Reader } from '../../src/codec/reader.ts'
import { Writer } from '../../src/codec/writer.ts'
import {
  apiVersions,
  createTopics,
  decodeRequest,
  deleteGroups,
  fetch,
  listGroups,
  metadata,
  offsetCommit,
  ProtocolError,
  REQUEST_LIMITS,
  RESPONSE_LIMITS,
  UNKNOWN_TAGS_MAX,
} from '../../src/index.ts'

function bytes(write: (writer: Writer) => void): Buffer {
  const writer = new Writer({ sizePrefix: false, initialBytes: 16 })
  write(writer)
  return Buffer.concat(writer.finish().pieces as readonly Buffer[])
}

function heapGrowth(run: () => void): number {
  const before = process.memoryUsage()
  run()
  const after = process.memoryUsage()
  return after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
}

describe('a count or length that lies', () => {
  test('is found before anything is allocated for it', () => {
    const claims: readonly (readonly [string, () => unknown])[] = [
      [
        'array',
        () =>
          decodeRequest(
            metadata,
            1,
            bytes(w => w.i32(0x7fff_ffff)),
            0,
          ),
      ],
      [
        'compact array',
        () =>
          decodeRequest(
            metadata,
            9,
            bytes(w => w.uvarint(0xffff_ffff)),
            0,
          ),
      ],
      [
        'string',
        () =>
          decodeRequest(
            apiVersions,
            3,
            bytes(w => w.uvarint(0x7fff_ffff)),
            0,
          ),
      ],
      [
        'tags',
        () =>
          decodeRequest(
            listGroups,
            3,
            bytes(w => w.uvarint(0x7fff_ffff)),
            0,
          ),
      ],
    ]
    for (const [what, decode] of claims) {
      const grown = heapGrowth(() => {
        for (let round = 0; round < 100; round += 1) assert.throws(decode, ProtocolError, what)
      })
      expect(grown, what).toBeLessThan(4_000_000)
    }
  })

  test('counts with no room in the frame are COUNT_EXCEEDS_FRAME', () => {
    // A topic of CreateTopics v2 takes at least 16 bytes: 2 of them do not fit into 20.
    const payload = Buffer.concat([bytes(w => w.i32(2)), Buffer.alloc(20)])
    assert.throws(() => decodeRequest(createTopics, 2, payload, 0), { code: 'COUNT_EXCEEDS_FRAME' })
  })

  test('negative counts and lengths other than -1 are BAD_LENGTH', () => {
    assert.throws(
      () =>
        decodeRequest(
          metadata,
          1,
          bytes(w => w.i32(-2)),
          0,
        ),
      { code: 'BAD_LENGTH' },
    )
    assert.throws(
      () =>
        decodeRequest(
          offsetCommit,
          2,
          bytes(w => w.i16(-2)),
          0,
        ),
      {
        code: 'BAD_LENGTH',
      },
    )
  })

  test('null where there is none is UNEXPECTED_NULL', () => {
    assert.throws(
      () =>
        decodeRequest(
          metadata,
          0,
          bytes(w => w.i32(-1)),
          0,
        ),
      {
        code: 'UNEXPECTED_NULL',
      },
    )
    assert.throws(
      () =>
        decodeRequest(
          apiVersions,
          3,
          bytes(w => w.uvarint(0)),
          0,
        ),
      {
        code: 'UNEXPECTED_NULL',
      },
    )
  })
})

describe('the limits of a message', () => {
  const groups = (count: number): Buffer => {
    const payload = Buffer.alloc(4 + 2 * count) // empty strings
    payload.writeInt32BE(count, 0)
    return payload
  }

  test('as many array elements as allowed pass, one more does not', () => {
    const { groupsNames } = decodeRequest(deleteGroups, 0, groups(REQUEST_LIMITS.elements), 0)
    expect(groupsNames.length).toBe(REQUEST_LIMITS.elements)
    assert.throws(() => decodeRequest(deleteGroups, 0, groups(REQUEST_LIMITS.elements + 1), 0), {
      code: 'COUNT_EXCEEDS_LIMIT',
    })
  })

  test('a response may hold more elements than a request', () => {
    expect(RESPONSE_LIMITS.elements).toBeGreaterThan(10 * REQUEST_LIMITS.elements)
  })

  test('a string has at most 32,767 bytes also where its length could be larger', () => {
    const compact = (length: number): Buffer =>
      bytes(writer => {
        writer.uvarint(length + 1)
        writer.bytes(Buffer.alloc(length, 'x'))
        for (let field = 0; field < 20; field += 1) writer.uvarint(1)
      })
    expect(decodeRequest(apiVersions, 3, compact(0x7fff), 0).clientSoftwareName).toHaveLength(
      0x7fff,
    )
    assert.throws(() => decodeRequest(apiVersions, 3, compact(0x8000), 0), { code: 'BAD_LENGTH' })
  })

  test('strings count together: so many bytes of text in a request, and not one more', () => {
    const reader = new Reader(Buffer.alloc(64), 0, { elements: 1, textBytes: 20 })
    reader.text(12)
    reader.text(8)
    assert.throws(() => reader.text(1), { code: 'COUNT_EXCEEDS_LIMIT' })
  })

  test('array elements count over all arrays of a message together', () => {
    const reader = new Reader(Buffer.alloc(REQUEST_LIMITS.elements), 0, REQUEST_LIMITS)
    reader.claimElements(REQUEST_LIMITS.elements / 2, 1)
    reader.claimElements(REQUEST_LIMITS.elements / 2, 1)
    assert.throws(() => reader.claimElements(1, 1), { code: 'COUNT_EXCEEDS_LIMIT' })
  })

  const tags = (count: number): Buffer =>
    bytes(writer => {
      writer.uvarint(count)
      for (let tag = 0; tag < count; tag += 1) {
        writer.uvarint(tag)
        writer.uvarint(0)
      }
    })

  test('as many unknown tags as allowed pass, one more does not', () => {
    const { unknownTags } = decodeRequest(listGroups, 3, tags(UNKNOWN_TAGS_MAX), 0)
    expect(unknownTags?.length).toBe(UNKNOWN_TAGS_MAX)
    assert.throws(() => decodeRequest(listGroups, 3, tags(UNKNOWN_TAGS_MAX + 1), 0), {
      code: 'COUNT_EXCEEDS_LIMIT',
    })
  })
})

describe('malformed primitives', () => {
  test('a variable-length integer beyond 32 bits is BAD_VARINT', () => {
    const read = (hex: string): number => new Reader(Buffer.from(hex, 'hex')).uvarint()
    expect(read('ffffffff0f')).toBe(0xffff_ffff)
    expect(read('8080808008')).toBe(0x8000_0000)
    assert.throws(() => read('ffffffff10'), { code: 'BAD_VARINT' })
    assert.throws(() => read('ffffffffff01'), { code: 'BAD_VARINT' })
    assert.throws(() => read('ffff'), { code: 'TRUNCATED' })
  })

  test('a 64-bit integer beyond 2^53 - 1 is read as the last exact number, never rounded', () => {
    const read = (value: bigint): number => {
      const buffer = Buffer.alloc(8)
      buffer.writeBigInt64BE(value)
      return new Reader(buffer).i64()
    }
    for (const value of [0n, -1n, 2n ** 32n, -(2n ** 32n), 2n ** 53n - 1n, 1n - 2n ** 53n]) {
      expect(BigInt(read(value))).toBe(value)
    }
    for (const value of [2n ** 53n, 2n ** 53n + 1n, 133_000_000_000_000_000n, 2n ** 63n - 1n]) {
      expect(read(value)).toBe(Number.MAX_SAFE_INTEGER)
      expect(read(-value)).toBe(Number.MIN_SAFE_INTEGER)
    }
    expect(read(-(2n ** 63n))).toBe(Number.MIN_SAFE_INTEGER)
  })

  test('tags out of order, twice, or of another length are BAD_TAG', () => {
    const read = (hex: string): object => decodeRequest(listGroups, 3, Buffer.from(hex, 'hex'), 0)
    expect(read('0205000600')).toEqual({
      statesFilter: [],
      typesFilter: [],
      unknownTags: [
        { tag: 5, data: Buffer.alloc(0) },
        { tag: 6, data: Buffer.alloc(0) },
      ],
    })
    assert.throws(() => read('0206000500'), { code: 'BAD_TAG' })
    assert.throws(() => read('0205000500'), { code: 'BAD_TAG' })
    // Fetch v12, tag 0 (clusterId): null in one byte, but said to be two long.
    const request = fetch.request.codec(12)
    const body = Buffer.from(`${'00'.repeat(25)}010101010002000000`, 'hex')
    assert.throws(() => request.decode(new Reader(body)), ProtocolError)
  })

  test('ill-formed UTF-8 is read with U+FFFD, long or short', () => {
    const read = (payload: Buffer): string => new Reader(payload).text(payload.length)
    expect(read(Buffer.from([0x61, 0xff, 0x62]))).toBe('a\ufffdb')
    expect(read(Buffer.concat([Buffer.alloc(40, 0x61), Buffer.of(0xc3)]))).toBe(
      `${'a'.repeat(40)}\ufffd`,
    )
  })
})
