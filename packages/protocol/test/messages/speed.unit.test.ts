/** Prints what coding costs. Asserts nothing about time: machines differ. */
import { expect, test } from 'vitest'
import {
  APIS,
  decodeRequest,
  decodeRequestHeader,
  encodeRequestFrame,
  encodeResponseFrame,
  fetch,
  frameBytes,
  produce,
} from '../../src/index.ts'
import { everyCase, messageOf, payloadOf, randomOf } from './every-message.ts'

const PARTITIONS = 12
const WARM_UP = 20_000
const ROUNDS = 50_000

function nanoseconds(run: () => unknown): number {
  for (let round = 0; round < WARM_UP; round += 1) run()
  const start = process.hrtime.bigint()
  for (let round = 0; round < ROUNDS; round += 1) run()
  return Math.round(Number(process.hrtime.bigint() - start) / ROUNDS)
}

test('what it costs to decode a Produce and to encode a Fetch of twelve partitions', () => {
  // As in a node that has seen every message: the closures are shared, so what they see is mixed.
  for (const [salt, case_] of everyCase().entries())
    payloadOf(case_, messageOf(case_, randomOf(salt)))
  const records = Buffer.alloc(2000)
  const partitions = Array.from({ length: PARTITIONS }, (_, index) => index)
  const request = {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1000,
    topicData: [{ name: 'loans', partitionData: partitions.map(index => ({ index, records })) }],
  }
  const header = { correlationId: 1, clientId: 'client' }
  const payload = frameBytes(encodeRequestFrame(produce, 9, header, request)).subarray(4)
  const response = {
    throttleTimeMs: 0,
    responses: [
      {
        topic: 'loans',
        partitions: partitions.map(partitionIndex => ({
          partitionIndex,
          errorCode: 0,
          highWatermark: 123_456_789,
          lastStableOffset: 123_456_789,
          logStartOffset: 0,
          abortedTransactions: null,
          records,
        })),
      },
    ],
  }
  const decode = nanoseconds(() =>
    decodeRequest(produce, 9, payload, decodeRequestHeader(payload, APIS).bodyAt),
  )
  const encode = nanoseconds(() => encodeResponseFrame(fetch, 12, 1, response))
  console.log(`decode Produce v9: ${decode} ns, encode Fetch v12: ${encode} ns`)
  expect(decode + encode).toBeGreaterThan(0)
})
