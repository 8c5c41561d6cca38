/**
 * Requests a second through a real loopback socket, and what one costs the listener's process.
 *
 *   node --conditions=millrace:source packages/broker/test/bench/listener-bench.ts [seconds]
 *
 * The client is a process of its own that sends the same bytes again and again, a fixed number of
 * requests in flight. The engine acknowledges at the end of each turn of the event loop, as a group
 * commit does, and keeps nothing.
 */
import { fork } from 'node:child_process'
import { connect } from 'node:net'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { resolveSettings, systemOutside } from '@millrace/base'
import type { Engine } from '@millrace/engine'
import type { AppendResult } from '@millrace/log'
import { fetch, produce } from '@millrace/protocol'
import { startListener } from '../../src/listener/listener.ts'
import { BROKER_SETTINGS } from '../../src/settings.ts'
import { batchOf } from '../support/batches.ts'
import { bytesOf } from '../support/harness.ts'

type Shape = {
  readonly name: string
  readonly connections: number
  readonly inFlight: number
  readonly partitions: number
  /** Of one partition: written by produce, read by fetch. */
  readonly bytes: number
  readonly kind: 'produce' | 'fetch'
}

const SHAPES: readonly Shape[] = [
  {
    name: 'produce 1 x 100 B, 1 connection x 100',
    connections: 1,
    inFlight: 100,
    partitions: 1,
    bytes: 100,
    kind: 'produce',
  },
  {
    name: 'produce 1 x 100 B, 8 connections x 16',
    connections: 8,
    inFlight: 16,
    partitions: 1,
    bytes: 100,
    kind: 'produce',
  },
  {
    name: 'produce 1 x 16 KiB, 1 connection x 5',
    connections: 1,
    inFlight: 5,
    partitions: 1,
    bytes: 15_900,
    kind: 'produce',
  },
  {
    name: 'produce 12 x 16 KiB, 1 connection x 5',
    connections: 1,
    inFlight: 5,
    partitions: 12,
    bytes: 15_900,
    kind: 'produce',
  },
  {
    name: 'produce 100 x 16 KiB, 1 connection x 5',
    connections: 1,
    inFlight: 5,
    partitions: 100,
    bytes: 15_900,
    kind: 'produce',
  },
  {
    name: 'fetch 1 x 1 MiB, 1 connection x 1',
    connections: 1,
    inFlight: 1,
    partitions: 1,
    bytes: 1 << 20,
    kind: 'fetch',
  },
  {
    name: 'fetch 12 x 64 KiB, 1 connection x 1',
    connections: 1,
    inFlight: 1,
    partitions: 12,
    bytes: 65_536,
    kind: 'fetch',
  },
  {
    name: 'fetch 100 x 16 KiB, 1 connection x 1',
    connections: 1,
    inFlight: 1,
    partitions: 100,
    bytes: 16_384,
    kind: 'fetch',
  },
  {
    name: 'fetch 1 x 100 B, 8 connections x 1',
    connections: 8,
    inFlight: 1,
    partitions: 1,
    bytes: 100,
    kind: 'fetch',
  },
]

if (argv[2] === 'client') client()
else await server(Number(argv[2] ?? 3))

async function server(seconds: number): Promise<void> {
  const listener = await startListener({
    engine: hollowEngine(),
    host: '127.0.0.1',
    port: 0,
    settings: resolveSettings(BROKER_SETTINGS),
    outside: systemOutside({ keepAlive: false }),
    logger: { info: console.log, warn: console.log, error: console.log },
  })
  for (const shape of SHAPES) {
    const child = fork(fileURLToPath(import.meta.url), ['client'], {
      execArgv: ['--conditions=millrace:source'],
    })
    child.send({ port: listener.address.port, shape })
    await new Promise(resolve => setTimeout(resolve, 1_000))
    const before = requestsOf(listener.metrics())
    const cpuBefore = process.cpuUsage()
    const begin = performance.now()
    await new Promise(resolve => setTimeout(resolve, seconds * 1_000))
    const took = (performance.now() - begin) / 1_000
    const cpu = process.cpuUsage(cpuBefore)
    const count = requestsOf(listener.metrics()) - before
    const cpuMicros = (cpu.user + cpu.system) / count
    const mib = (count * shape.partitions * shape.bytes) / took / 2 ** 20
    console.log(
      `${shape.name.padEnd(42)} ${Math.round(count / took)
        .toString()
        .padStart(
          8,
        )}/s ${mib.toFixed(0).padStart(6)} MiB/s ${cpuMicros.toFixed(1).padStart(8)} us cpu/request, ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`,
    )
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill()
    await gone
  }
  await listener.close({ drainMs: 100 })
}

function requestsOf(metrics: Readonly<Record<string, number>>): number {
  return (metrics['requests_Produce_total'] ?? 0) + (metrics['requests_Fetch_total'] ?? 0)
}

/** Acknowledges everything, keeps nothing, reads from one piece of memory. */
function hollowEngine(): Engine {
  const source = Buffer.alloc(1 << 20, 1)
  let group: (() => void)[] = []
  let offset = 0
  const engine: Pick<Engine, 'append' | 'fetchSlices' | 'topic' | 'id' | 'nodeId'> = {
    id: 'hollow',
    nodeId: 1,
    topic: () => undefined,
    append: entries =>
      new Promise(resolve => {
        const results = entries.map((): AppendResult => {
          offset += 1
          return { baseOffset: offset, logAppendTime: -1, logStartOffset: 0 }
        })
        group.push(() => resolve(results))
        if (group.length > 1) return
        setImmediate(() => {
          const done = group
          group = []
          for (const acknowledge of done) acknowledge()
        })
      }),
    fetchSlices: async ({ positions }) =>
      positions.map(({ topic, partition, maxBytes }) => ({
        topic,
        partition,
        highWatermark: 1,
        lastStableOffset: 1,
        logStartOffset: 0,
        abortedTransactions: [],
        records: {
          byteLength: maxBytes,
          read: (from, target) => void source.copy(target, 0, from, from + target.length),
          release: () => undefined,
        },
      })),
  }
  return engine as Engine
}

function client(): void {
  process.once('disconnect', () => process.exit())
  process.once('message', ({ port, shape }: { port: number; shape: Shape }) => {
    const partitions = Array.from({ length: shape.partitions }, (_, index) => index)
    const request =
      shape.kind === 'produce'
        ? bytesOf(produce, 9, 1, {
            transactionalId: null,
            acks: -1,
            timeoutMs: 1_000,
            topicData: [
              {
                name: 'bench',
                partitionData: partitions.map(index => ({ index, records: batchOf(shape.bytes) })),
              },
            ],
          })
        : bytesOf(fetch, 12, 1, {
            maxWaitMs: 0,
            minBytes: 1,
            isolationLevel: 0,
            topics: [
              {
                topic: 'bench',
                partitions: partitions.map(partition => ({
                  partition,
                  fetchOffset: 0,
                  partitionMaxBytes: shape.bytes,
                })),
              },
            ],
          })
    for (let index = 0; index < shape.connections; index += 1) drive(port, request, shape.inFlight)
  })
}

/** Sends the request again for every answer that comes back whole. */
function drive(port: number, request: Buffer, inFlight: number): void {
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  socket.on('error', () => process.exit())
  const many = new Map<number, Buffer>()
  const send = (count: number): void => {
    let bytes = many.get(count)
    if (bytes === undefined) {
      bytes = Buffer.concat(Array.from({ length: count }, () => request))
      many.set(count, bytes)
    }
    socket.write(bytes)
  }
  socket.on('connect', () => send(inFlight))
  let skip = 0
  let head = Buffer.alloc(0)
  socket.on('data', data => {
    let at = 0
    let answers = 0
    let chunk = data
    if (head.length > 0) {
      chunk = Buffer.concat([head, data])
      head = Buffer.alloc(0)
    }
    for (;;) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at)
        skip -= step
        at += step
        if (skip > 0) break
        answers += 1
      }
      if (chunk.length - at < 4) {
        head = chunk.subarray(at)
        break
      }
      skip = chunk.readInt32BE(at)
      at += 4
    }
    if (answers > 0) send(answers)
  })
}
