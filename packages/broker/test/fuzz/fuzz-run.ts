/**
 * A run of the fuzzer against listener, handlers and engine.
 *
 * Each case has a connection of its own: most without a network, one in twenty over a real socket.
 * What it must lead to is told by the codecs (`expectation.ts`): all its answers in order, or a
 * prefix of them and a logged reason. Nothing may be logged as an error. Every so often what the
 * cases have created is taken away, so that memory can be held against the beginning.
 */
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { resolveSettings } from '@millrace/base'
import { encodeBatch, NO_GENERATION } from '@millrace/log'
import { type FuzzCase, fuzzFrames } from '../../../protocol/test/support/fuzz/index.ts'
import { BROKER_SETTINGS, type BrokerSettings } from '../../src/settings.ts'
import { type EngineNode, type LogLine, startEngineNode } from '../support/engine-node.ts'
import { correlationIdsIn, type Expectation, expectationOf } from './expectation.ts'
import { MemoryNode } from './memory-node.ts'
import { MemorySocket } from './memory-socket.ts'

export type FuzzOptions = {
  readonly seed: number
  readonly cases: number
  /** Cases before this one are made but not sent. */
  readonly from: number
}

export type FuzzReport = {
  readonly cases: number
  readonly answered: number
  readonly refused: number
  readonly left: number
  readonly heapGrowthBytes: number
  readonly rssGrowthBytes: number
}

/** Names that cases use and that are there again, with records and offsets, after every cleaning. */
const TOPICS = ['fuzz-0', 'fuzz-1'] as const
const GROUPS = ['fuzz-group-0', 'fuzz-group-1'] as const
const PARTITIONS = 4
const AT_ONCE = 24
const OVER_SOCKETS_ONE_IN = 20
const CLEAN_EVERY = 1_000
/** Until then a connection must have ended. */
const END_MS_MAX = 15_000
/** A member that waits for others is given up after this long: its peer goes away. */
const WAIT_MS = 150
const FRAME_BYTES_MAX = 64 * 1024

const LIMITS: Partial<BrokerSettings> = {
  'socket.request.max.bytes': FRAME_BYTES_MAX,
  'queued.max.request.bytes': 8 * 1024 * 1024,
}

/** What a case came to. */
type Outcome = {
  readonly answers: readonly number[]
  readonly peer: string
  /** The peer has gone away, as nobody came whom it waited for. */
  readonly left: boolean
  /** Ended by the listener, which logs only so many reasons a second but counts them all. */
  readonly counted: boolean
}

/** Runs all cases. Throws an error with the case and how to replay it. */
export class FuzzRun {
  readonly #options: FuzzOptions
  readonly #lines = new Map<string, LogLine>()
  #unexpected: string | undefined
  #node: EngineNode | undefined
  #memory: MemoryNode | undefined
  #next = 0
  #answered = 0
  #refused = 0
  #left = 0
  #countsDue = 0

  constructor(options: FuzzOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const onLine = (line: LogLine): void => this.#note(line)
    const node = await startEngineNode({
      engine: {
        settings: { 'topics.max': 60, 'partitions.max': 300, 'partition.producers.max': 50 },
        groupSettings: {
          'groups.max': 200,
          'group.initial.rebalance.delay.ms': 1,
          'group.max.session.timeout.ms': 60_000,
        },
      },
      broker: LIMITS,
      onLine,
    })
    const log =
      (level: LogLine['level']): ((fields: LogLine['fields'], message: string) => void) =>
      (fields, message) =>
        onLine({ level, fields, message })
    this.#node = node
    this.#memory = new MemoryNode(node.engine, resolveSettings(BROKER_SETTINGS, LIMITS), {
      info: log('info'),
      warn: log('warn'),
      error: log('error'),
    })
    await this.clean()
  }

  /** The node under test. */
  get node(): EngineNode {
    if (this.#node === undefined) throw new Error('not started')
    return this.#node
  }

  get connectionsOpen(): number {
    return (this.#memory?.connections.size ?? 0) + this.node.listener.connections
  }

  get bytesInFlight(): number {
    return (this.#memory?.bytes.total ?? 0) + (this.node.listener.metrics()['bytes_in_flight'] ?? 0)
  }

  /** Connections over sockets that had to end for a cause, and those that the listener counted. */
  get causes(): { readonly due: number; readonly counted: number } {
    const counted = this.node.listener.metrics()['connections_closed_for_cause_total'] ?? 0
    return { due: this.#countsDue, counted }
  }

  async run(): Promise<FuzzReport> {
    const { seed, cases, from } = this.#options
    const frames = fuzzFrames(seed, cases, { topics: TOPICS, groups: GROUPS })
    const warmUp = from + Math.max(1, Math.floor((cases - from) / 4))
    await this.#runUntil(frames, warmUp)
    const before = await this.#measure()
    await this.#runUntil(frames, cases)
    const after = await this.#measure()
    return {
      cases: cases - from,
      answered: this.#answered,
      refused: this.#refused,
      left: this.#left,
      heapGrowthBytes: after.heapUsed - before.heapUsed,
      rssGrowthBytes: after.rss - before.rss,
    }
  }

  async stop(): Promise<void> {
    await this.#node?.stop()
  }

  /** Takes away what cases have made, and puts back what they may have taken away. */
  async clean(): Promise<void> {
    const { engine } = this.node
    const topics = (await engine.describeTopics()).filter(({ internal }) => !internal)
    await engine.deleteTopics(topics.map(({ name }) => name))
    const groups = await engine.groups.describe(
      (await engine.groups.list()).map(({ groupId }) => groupId),
    )
    for (const { groupId, members } of groups) {
      await engine.groups.leave({
        groupId,
        members: members.map(({ memberId }) => ({ memberId, groupInstanceId: null })),
      })
    }
    await engine.groups.delete(groups.map(({ groupId }) => groupId))
    await engine.createTopics(TOPICS.map(name => ({ name, partitions: PARTITIONS })))
    const places = TOPICS.flatMap(topic =>
      Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition })),
    )
    await engine.append(
      places.map(place => ({
        ...place,
        batch: encodeBatch({ timestamp: Date.now(), records: [{ key: 'key', value: 'value' }] }),
      })),
    )
    for (const groupId of GROUPS) {
      await engine.groups.commit({
        groupId,
        generationId: NO_GENERATION,
        memberId: '',
        groupInstanceId: null,
        offsets: places.map(place => ({ ...place, offset: 1, leaderEpoch: -1, metadata: null })),
      })
    }
    this.#lines.clear()
  }

  async #runUntil(frames: Iterator<FuzzCase>, end: number): Promise<void> {
    while (this.#next < end) {
      const stop = Math.min(end, this.#next + CLEAN_EVERY)
      await Promise.all(Array.from({ length: AT_ONCE }, () => this.#work(frames, stop)))
      await this.clean()
    }
  }

  async #work(frames: Iterator<FuzzCase>, end: number): Promise<void> {
    while (this.#next < end) {
      const index = this.#next
      const { value, done } = frames.next()
      this.#next += 1
      if (done === true || index < this.#options.from) continue
      const fuzzCase: FuzzCase = value
      try {
        await this.#case(fuzzCase, index)
      } catch (error) {
        throw new Error(this.#failure(fuzzCase, index, error as Error), { cause: error })
      }
    }
  }

  async #case({ bytes, splits, valid }: FuzzCase, index: number): Promise<void> {
    const expected = expectationOf(bytes, FRAME_BYTES_MAX)
    if (valid && (expected.malformed !== undefined || expected.truncated)) {
      // Only what is pipelined behind a valid frame may be wrong, and that is valid, too.
      throw new Error(`a valid case is judged ${expected.malformed ?? 'truncated'}`)
    }
    const parts = [0, ...splits].map((at, part) => bytes.subarray(at, splits[part] ?? bytes.length))
    const outcome =
      index % OVER_SOCKETS_ONE_IN === 0
        ? await this.#overSocket(parts, expected)
        : await this.#overMemory(parts, expected)
    this.#judge(expected, outcome)
    if (this.#unexpected !== undefined) throw new Error(this.#unexpected)
  }

  #judge(expected: Expectation, { answers, peer, left, counted }: Outcome): void {
    const hasReason = this.#lines.delete(peer)
    const isShort = answers.length < expected.answers.length
    if (counted && (expected.malformed !== undefined || (isShort && !left))) this.#countsDue += 1
    const isPrefix = answers.every((id, at) => id === expected.answers[at])
    if (!isPrefix) throw new Error(`answers ${answers} where ${expected.answers} were due`)
    if (expected.malformed !== undefined && !hasReason && !counted) {
      throw new Error(`closed without a logged reason, but: ${expected.malformed}`)
    }
    if (isShort && !hasReason && !left && !counted) {
      throw new Error(`${answers.length} answers of ${expected.answers.length}, and no reason`)
    }
    this.#answered += answers.length
    if (hasReason) this.#refused += 1
    if (left) this.#left += 1
  }

  async #overMemory(parts: readonly Buffer[], expected: Expectation): Promise<Outcome> {
    const socket = new MemorySocket()
    const closed = new Promise<void>(resolve => socket.once('close', resolve))
    this.#memory?.accept(socket)
    for (const part of parts) {
      // The server keeps views of what it is given.
      socket.deliver(Buffer.from(part))
      if (parts.length > 1) await undefined
    }
    socket.end()
    const left = await this.#untilClosed(closed, expected, () => socket.destroy())
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    return { answers: correlationIdsIn(socket.received), peer, left, counted: false }
  }

  async #overSocket(parts: readonly Buffer[], expected: Expectation): Promise<Outcome> {
    const { host, port } = this.node.listener.address
    const socket = connect({ host, port, noDelay: true, allowHalfOpen: true })
    const received: Buffer[] = []
    // A reset is an end like another: the server has refused what it was sent.
    socket.on('error', () => undefined)
    socket.on('data', chunk => received.push(chunk))
    socket.on('end', () => socket.end())
    const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
    await new Promise<void>(resolve => socket.once('connect', () => resolve()))
    const peer = `127.0.0.1:${socket.localPort ?? 0}`
    for (const part of parts) {
      if (socket.destroyed) break
      await new Promise<void>(resolve => socket.write(part, () => resolve()))
    }
    socket.end()
    let reset = false
    socket.once('error', () => {
      reset = true
    })
    const left = await this.#untilClosed(closed, expected, () => socket.destroy())
    // The log line and the close of the server's side may come a moment later than ours.
    await new Promise(resolve => setImmediate(resolve))
    const bytes = Buffer.concat(received)
    return { answers: reset ? [] : correlationIdsIn([bytes]), peer, left, counted: true }
  }

  /** Resolves when the connection has ended; true if the peer had to go away for it. */
  async #untilClosed(
    closed: Promise<void>,
    expected: Expectation,
    leave: () => void,
  ): Promise<boolean> {
    let left = false
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const afterMs = expected.mayWait ? WAIT_MS : END_MS_MAX
      timer = setTimeout(() => {
        if (!expected.mayWait) {
          reject(new Error(`the connection has not ended after ${END_MS_MAX} ms`))
          return
        }
        left = true
        leave()
      }, afterMs)
    })
    try {
      await Promise.race([closed, late])
    } finally {
      clearTimeout(timer)
    }
    return left
  }

  #note(line: LogLine): void {
    const peer = String(line.fields['peer'])
    this.#lines.set(peer, line)
    if (line.level !== 'error') return
    this.#unexpected ??= `logged as an error: ${line.message}: ${JSON.stringify(line.fields)}`
  }

  #failure({ label, bytes }: FuzzCase, index: number, error: Error): string {
    const { seed, cases } = this.#options
    return [
      `seed ${seed}, case ${index} (${label}): ${error.message}`,
      `bytes: ${bytes.subarray(0, 512).toString('hex')}`,
      `replay: npm run test:fuzz -- --seed ${seed} --cases ${cases}`,
      `this case and what follows: npm run test:fuzz -- --seed ${seed} --cases ${index + 1} --from ${Math.max(0, index - AT_ONCE)}`,
    ].join('\n')
  }

  async #measure(): Promise<NodeJS.MemoryUsage> {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    // Twice, with a turn between: finalizers of the first free what the second collects.
    for (let round = 0; round < 2; round += 1) {
      gc()
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    return process.memoryUsage()
  }
}
