import assert from 'node:assert/strict'
import { describe, expect, test } from 'vitest'
import {
  APIS,
  apiVersions,
  apiVersionsList,
  COPY_BELOW_BYTES,
  decodeRequestHeader,
  decodeResponse,
  ERROR_CODES,
  encodeRequestFrame,
  encodeResponseFrame,
  errorName,
  type FetchResponse,
  fetch,
  frameBytes,
  heartbeat,
  isRetriable,
  metadata,
  ProtocolError,
  produce,
  type Records,
} from '../../src/index.ts'

function fetchResponse(...records: readonly Records[]): FetchResponse {
  return {
    throttleTimeMs: 0,
    responses: [
      {
        topic: 't',
        partitions: records.map((piece, partitionIndex) => ({
          partitionIndex,
          errorCode: 0,
          highWatermark: 0,
          abortedTransactions: null,
          records: piece,
        })),
      },
    ],
  }
}

describe('records in a frame', () => {
  test('that lie elsewhere stand between the pieces, uncopied, and count', () => {
    const range = { byteLength: 5_000_000_00, file: 'segment' }
    const frame = encodeResponseFrame(fetch, 12, 1, fetchResponse(range, null, range))
    expect(frame.pieces.filter(piece => piece === range).length).toBe(2)
    const own = frame.pieces.filter(piece => Buffer.isBuffer(piece))
    expect(own.length).toBe(3)
    const total = own.reduce((sum, piece) => sum + piece.length, 2 * range.byteLength)
    expect(frame.byteLength).toBe(total)
    expect((own[0] as Buffer).readInt32BE(0)).toBe(total - 4)
    assert.throws(() => frameBytes(frame), ProtocolError)
  })

  test('are copied below the limit and are pieces of their own from it on', () => {
    const short = Buffer.alloc(COPY_BELOW_BYTES - 1, 1)
    const long = Buffer.alloc(COPY_BELOW_BYTES, 2)
    expect(encodeResponseFrame(fetch, 4, 1, fetchResponse(short)).pieces.length).toBe(1)
    const frame = encodeResponseFrame(fetch, 4, 1, fetchResponse(long))
    expect(frame.pieces.length).toBe(2)
    expect(frame.pieces[1]).toBe(long)
  })

  test('decode as views into the payload, not as copies', () => {
    const records = Buffer.alloc(100, 7)
    const payload = frameBytes(encodeResponseFrame(fetch, 11, 1, fetchResponse(records))).subarray(
      4,
    )
    const { response } = decodeResponse(fetch, 11, payload)
    const view = response.responses[0]?.partitions[0]?.records
    expect(view).toEqual(records)
    expect(view?.buffer).toBe(payload.buffer)
  })

  test('make a frame that no 32-bit size can name FRAME_TOO_LARGE', () => {
    const range = { byteLength: 0x7fff_ffff }
    assert.throws(() => encodeResponseFrame(fetch, 4, 1, fetchResponse(range)), {
      code: 'FRAME_TOO_LARGE',
    })
  })
})

describe('the header of a request', () => {
  const header = { correlationId: 42, clientId: 'client' }

  test('is read before its body, and says where that begins', () => {
    for (const version of [0, 4]) {
      const request = { groupId: 'g', generationId: 1, memberId: 'm' }
      const payload = frameBytes(encodeRequestFrame(heartbeat, version, header, request)).subarray(
        4,
      )
      const read = decodeRequestHeader(payload, APIS)
      expect(read).toMatchObject({ apiKey: 12, apiVersion: version, supported: true, ...header })
      expect(read.api).toBe(heartbeat)
      expect(read.bodyAt).toBe(version === 0 ? 16 : 17)
    }
  })

  test('keeps tags that nobody knows', () => {
    const unknownTags = [{ tag: 3, data: Buffer.from('x') }]
    const request = { groupId: 'g', generationId: 1, memberId: 'm' }
    const frame = encodeRequestFrame(heartbeat, 4, { ...header, unknownTags }, request)
    expect(decodeRequestHeader(frameBytes(frame).subarray(4), APIS).unknownTags).toEqual(
      unknownTags,
    )
  })

  test('takes a null client id for an empty one', () => {
    const payload = Buffer.from('0012000000000007ffff', 'hex')
    expect(decodeRequestHeader(payload, APIS).clientId).toBe('')
  })

  test('of an API or version that is not spoken is read as far as it is certain', () => {
    const unknownVersion = Buffer.from('0012006300000009', 'hex')
    expect(decodeRequestHeader(unknownVersion, APIS)).toMatchObject({
      api: apiVersions,
      apiVersion: 99,
      correlationId: 9,
      supported: false,
    })
    const unknownApi = Buffer.from('03e7000000000009', 'hex')
    expect(decodeRequestHeader(unknownApi, APIS)).toMatchObject({ apiKey: 999, supported: false })
    expect(decodeRequestHeader(unknownApi, APIS).api).toBeUndefined()
    assert.throws(() => decodeRequestHeader(unknownApi.subarray(0, 7), APIS), { code: 'TRUNCATED' })
  })
})

describe('what the encoder refuses', () => {
  test('a value that its field cannot carry', () => {
    const of =
      (generationId: number, groupId = 'g') =>
      () =>
        encodeRequestFrame(
          heartbeat,
          0,
          { correlationId: 1, clientId: '' },
          {
            groupId,
            generationId,
            memberId: '',
          },
        )
    for (const value of [2 ** 31, -(2 ** 31) - 1, 0.5, Number.NaN]) {
      assert.throws(of(value), { code: 'VALUE_OUT_OF_RANGE' })
    }
    assert.throws(of(0, 'x'.repeat(32_768)), { code: 'VALUE_OUT_OF_RANGE' })
    expect(frameBytes(of(0, 'x'.repeat(32_767))()).length).toBeGreaterThan(32_767)
  })

  test('null in a version that has none', () => {
    const of = (version: number) => () =>
      encodeRequestFrame(metadata, version, { correlationId: 1, clientId: '' }, { topics: null })
    assert.throws(of(0), { code: 'VALUE_OUT_OF_RANGE' })
    expect(of(1)).not.toThrow()
  })

  test('a version that is not spoken', () => {
    for (const version of [-1, 14, 0.5]) {
      assert.throws(() => produce.request.codec(version), { code: 'UNSUPPORTED_VERSION' })
    }
  })
})

describe('the tables', () => {
  test('what is advertised is what can be decoded and encoded, by ascending key', () => {
    const list = apiVersionsList()
    expect(list.map(({ apiKey }) => apiKey)).toEqual([...APIS.keys()].sort((a, b) => a - b))
    expect(list.length).toBe(38)
    for (const { apiKey, minVersion, maxVersion } of list) {
      const api = APIS.get(apiKey)
      expect(() => api?.request.codec(minVersion)).not.toThrow()
      expect(() => api?.response.codec(maxVersion)).not.toThrow()
    }
  })

  test('error codes go from name to number and back, without gaps from -1 to 133', () => {
    const codes = Object.entries(ERROR_CODES)
    expect(codes.length).toBe(135)
    for (const [name, code] of codes) expect(errorName(code)).toBe(name)
    expect(new Set(codes.map(([, code]) => code)).size).toBe(135)
    expect(errorName(9999)).toBe('UNKNOWN_SERVER_ERROR')
    expect(isRetriable(ERROR_CODES.NOT_LEADER_OR_FOLLOWER)).toBe(true)
    expect(isRetriable(ERROR_CODES.MESSAGE_TOO_LARGE)).toBe(false)
  })
})
