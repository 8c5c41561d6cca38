// No request holds the event loop: every API, in every version, with the largest requests that the
// protocol allows, made from its grammar.
import { encodeBatch } from '@millrace/log'
import { type AnyApi, APIS, encodeRequestFrame, frameBytes } from '@millrace/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type LargeRequest, largeRequests } from '../../../protocol/test/support/fuzz/index.ts'
import { type EngineNode, startEngineNode } from '../support/engine-node.ts'
import { exchange, longestTurn, TURN_CPU_MS_MAX } from '../support/turns.ts'

const PARTITIONS = 2_000
const FRAME_BYTES_MAX = 8 << 20
/** A turn in which the garbage collector had its day is looked at again. */
const ATTEMPTS = 6
/** A member that waits for others is given up. The node shares this loop: while it works, no time passes. */
const IDLE_MS = 300

let node: EngineNode

const batch = encodeBatch({
  records: [{ key: 'k', value: 'v' }],
  timestamp: 1_700_000_000_000,
})

const OPTIONS = { topic: 'wide', group: 'g', batch, bytesMax: FRAME_BYTES_MAX }

beforeAll(async () => {
  node = await startEngineNode({
    engine: {
      settings: { 'partitions.max': 3_500, 'topics.max': 1_200 },
      groupSettings: { 'group.initial.rebalance.delay.ms': 1 },
    },
    broker: { 'socket.request.max.bytes': FRAME_BYTES_MAX },
  })
  await node.engine.createTopics([{ name: 'wide', partitions: PARTITIONS }])
  await node.engine.append(
    Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: 'wide', partition, batch })),
  )
  for (let i = 0; i < 20; i += 1) {
    const names = Array.from({ length: 50 }, (_, j) => ({ name: `t-${i}-${j}`, partitions: 1 }))
    await node.engine.createTopics(names)
  }
}, 120_000)

afterAll(() => node.stop())

async function held(frame: Buffer): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let attempt = 0; attempt < ATTEMPTS && least > TURN_CPU_MS_MAX; attempt += 1) {
    least = Math.min(least, await longestTurn(exchange(node, frame, IDLE_MS)))
  }
  return least
}

function frameOf(api: AnyApi, version: number, { make }: LargeRequest): Buffer {
  const header = { correlationId: 7, clientId: 'large' }
  return frameBytes(encodeRequestFrame(api, version, header, make()))
}

const isInTurn =
  (version: number) =>
  (_: unknown, index: number, all: readonly unknown[]): boolean =>
    index === version % all.length

test.each([...APIS.values()].map(api => [api.name, api] as const))(
  'no request of %s holds the loop for 50 ms',
  async (_name, api) => {
    const tooLong: string[] = []
    const [first, last] = api.versions
    for (let version = first; version <= last; version += 1) {
      // All of the newest version; of the others, which only lack fields, one each.
      const requests = largeRequests(api, version, OPTIONS)
      const chosen = version === last ? requests : requests.filter(isInTurn(version))
      for (const request of chosen) {
        const { label } = request
        const frame = frameOf(api, version, request)
        const ms = await held(frame)
        if (process.env['TURNS_SHOW'] !== undefined) {
          console.log(
            `${api.name} v${version} ${label}: ${frame.length} bytes, ${ms.toFixed(1)} ms`,
          )
        }
        if (ms > TURN_CPU_MS_MAX) {
          tooLong.push(`v${version} ${label}: ${frame.length} bytes, ${ms.toFixed(1)} ms`)
        }
      }
    }
    expect(tooLong).toEqual([])
  },
  300_000,
)
