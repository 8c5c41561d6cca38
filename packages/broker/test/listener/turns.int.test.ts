// No request holds the event loop: every API, in every version, with the largest requests that the
// protocol allows, made from its grammar.
import { connect } from 'node:net'
import { encodeBatch } from '@millrace/log'
import { type AnyApi, APIS, encodeRequestFrame, frameBytes } from '@millrace/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type LargeRequest, largeRequests } from '../../../protocol/test/support/fuzz/index.ts'
import { type EngineNode, startEngineNode } from '../support/engine-node.ts'

/** What one turn of the loop may take of the processor, whatever the machine does besides. */
const TURN_CPU_MS_MAX = 50
const PARTITIONS = 2_000
const FRAME_BYTES_MAX = 8 << 20
/** A turn in which the garbage collector had its day is looked at again. */
const ATTEMPTS = 4
const IDLE_MS = 1_000

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

/** The most that one turn takes of this thread's processor time until `work` is done. */
async function longestTurn(work: Promise<unknown>): Promise<number> {
  let longest = 0
  let over = false
  let before = process.threadCpuUsage()
  const look = (): void => {
    const used = process.threadCpuUsage(before)
    before = process.threadCpuUsage()
    longest = Math.max(longest, (used.user + used.system) / 1000)
    if (!over) setImmediate(look)
  }
  setImmediate(look)
  await work
  over = true
  return longest
}

/** Sends a frame; done when as many bytes have come as the answer has, or the connection is over. */
function exchange(frame: Buffer): Promise<void> {
  const { host, port } = node.listener.address
  return new Promise(resolve => {
    const socket = connect(port, host, () => socket.write(frame))
    let size = Number.POSITIVE_INFINITY
    let head = Buffer.alloc(0)
    let received = 0
    socket.on('data', chunk => {
      received += chunk.length
      if (head.length < 4) head = Buffer.concat([head, chunk.subarray(0, 4)])
      if (head.length >= 4) size = 4 + head.readInt32BE(0)
      if (received >= size) socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
    // A member that waits for others: what it costs has been seen by then.
    socket.setTimeout(IDLE_MS, () => socket.destroy())
  })
}

async function held(frame: Buffer): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let attempt = 0; attempt < ATTEMPTS && least > TURN_CPU_MS_MAX; attempt += 1) {
    least = Math.min(least, await longestTurn(exchange(frame)))
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
