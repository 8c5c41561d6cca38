// Numbers beyond 2^53 - 1, which clients send in nanoseconds, as Windows file times, or as "the largest
// there is": in whatever 64-bit field of whatever request they stand, they are answered in their place.
import { connect } from 'node:net'
import {
  APIS,
  decodeResponse,
  deleteRecords,
  ERROR_CODES,
  type Field,
  fetch,
  inRange,
  listOffsets,
} from '@millrace/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { batchOf } from '../support/batches.ts'
import { type EngineNode, startEngineNode } from '../support/engine-node.ts'
import { bytesOf, Peer } from '../support/harness.ts'
import { REQUESTS } from '../support/requests.ts'

/** Stands in for the number while the request is encoded: no other field holds it. */
const MARK = 0x0011_2233_4455_66
const EXTREMES = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, 133_000_000_000_000_000n]

let node: EngineNode
let peer: Peer

beforeAll(async () => {
  node = await startEngineNode()
  await node.engine.createTopics([
    { name: 't', partitions: 1 },
    { name: 'other', partitions: 1 },
  ])
  await node.engine.append([{ topic: 't', partition: 0, batch: batchOf(10) }])
  peer = new Peer(connect(node.listener.address.port, '127.0.0.1'))
  await peer.connected
})

afterAll(async () => {
  peer.socket.destroy()
  await node.stop()
})

/** The request with the mark in every 64-bit field that the version has. */
function marked(fields: readonly Field[], version: number, given: object): object {
  const values = new Map(Object.entries(given))
  for (const { name, type, versions } of fields) {
    if (!inRange(versions, version)) continue
    const value = values.get(name)
    if (type.kind === 'i64') values.set(name, MARK)
    const inner = type.kind === 'array' ? type.element : type
    if (inner.kind !== 'struct' || value === undefined || value === null) continue
    values.set(
      name,
      Array.isArray(value)
        ? value.map(each => marked(inner.fields, version, each))
        : marked(inner.fields, version, value),
    )
  }
  return Object.fromEntries(values)
}

/** Puts `value` where the mark is; whether there was one. */
function replaceMarks(bytes: Buffer, value: bigint): boolean {
  const mark = Buffer.alloc(8)
  mark.writeBigInt64BE(BigInt(MARK))
  const at: number[] = []
  for (let found = bytes.indexOf(mark); found >= 0; found = bytes.indexOf(mark, found + 8)) {
    at.push(found)
  }
  for (const place of at) bytes.writeBigInt64BE(value, place)
  return at.length > 0
}

const cases = [...APIS.values()].flatMap(api =>
  Array.from({ length: api.versions[1] - api.versions[0] + 1 }, (_, index) => ({
    api,
    version: api.versions[0] + index,
  })),
)

test('every request of every version is answered, whatever its 64-bit fields hold', async () => {
  const met = new Set<string>()
  for (const { api, version } of cases) {
    const request = marked(api.request.fields, version, REQUESTS[api.name] ?? {})
    for (const value of EXTREMES) {
      const bytes = bytesOf(api, version, 1, request)
      if (!replaceMarks(bytes, value)) continue
      met.add(api.name)
      peer.socket.write(bytes)
      const frame = await peer.frame()
      expect(frame, `${api.name} v${version} with ${value}`).toBeDefined()
      if (frame !== undefined) decodeResponse(api, version, frame)
    }
  }
  expect([...met].sort()).toEqual([
    'DeleteRecords',
    'Fetch',
    'InitProducerId',
    'ListOffsets',
    'OffsetCommit',
  ])
})

/** The answer to a request in which the mark is replaced. */
async function ask<Request extends object, Response extends object>(
  api: Parameters<typeof bytesOf<Request>>[0] & { readonly response: unknown },
  version: number,
  request: Request,
  value: bigint,
): Promise<Response> {
  const bytes = bytesOf(api, version, 1, request)
  expect(replaceMarks(bytes, value)).toBe(true)
  peer.socket.write(bytes)
  const frame = await peer.frame()
  if (frame === undefined) throw new Error('the connection ended')
  return decodeResponse(api as never, version, frame).response as unknown as Response
}

test.each(EXTREMES)('%s as an offset is out of range', async value => {
  const fetched = await ask<object, { responses: { partitions: { errorCode: number }[] }[] }>(
    fetch as never,
    11,
    {
      maxWaitMs: 0,
      minBytes: 0,
      isolationLevel: 0,
      topics: [
        { topic: 't', partitions: [{ partition: 0, fetchOffset: MARK, partitionMaxBytes: 100 }] },
      ],
    },
    value,
  )
  expect(fetched.responses[0]?.partitions[0]?.errorCode).toBe(ERROR_CODES.OFFSET_OUT_OF_RANGE)
  const deleted = await ask<object, { topics: { partitions: { errorCode: number }[] }[] }>(
    deleteRecords as never,
    2,
    { topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: MARK }] }], timeoutMs: 100 },
    value,
  )
  expect(deleted.topics[0]?.partitions[0]?.errorCode).toBe(ERROR_CODES.OFFSET_OUT_OF_RANGE)
})

test.each(EXTREMES.filter(value => value > 0n))(
  '%s as a time is after every record',
  async value => {
    const { topics } = await ask<
      object,
      { topics: { partitions: { errorCode: number; offset: number }[] }[] }
    >(
      listOffsets as never,
      7,
      { topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: MARK }] }] },
      value,
    )
    expect(topics[0]?.partitions[0]).toMatchObject({ errorCode: ERROR_CODES.NONE, offset: -1 })
  },
)
