/**
 * Appends: batches to the leaders of their partitions, in the order of the calls.
 *
 * Each partition with something to send has a lane. Its batches go out at once, pipelined, as long
 * as its leader is known. When a leader refuses one because it has moved, the lane stops, waits for
 * what is in flight, finds the new leader and sends the refused ones first: a later batch never
 * overtakes an earlier one. What may have been stored (a connection that ended after the request was
 * written) is never sent again here: the caller decides, with its sequence numbers.
 * Bounded by `append.pending.max.bytes`.
 */
import {
  type AppendEntry,
  type AppendOptions,
  type AppendResult,
  asLogError,
  LogError,
  type RecordError,
  type TopicPartition,
} from '@millrace/log'
import { type Decoded, type ProducePartitionResponse, produce } from '@millrace/protocol'
import type { Broker } from './broker.ts'
import { byTopic, isAboutLeaders, leaderOf, partitionKey, withoutRepeats } from './by-leader.ts'
import type { Cluster } from './cluster.ts'
import { ConnectionLost, closedError, errorOf, failure, leaderMoved } from './errors.ts'
import { backoff } from './retry.ts'

/** First version of Produce that carries record batches of version 2. */
const PRODUCE_MIN = 3
/** Last version of Produce that names topics by their names. */
const PRODUCE_MAX = 12
const ACKS_ALL = -1
const NOTHING = -1

/** A batch on its way. */
type Sending = TopicPartition & {
  readonly batch: Buffer
  readonly acks: number
  readonly timeoutMs: number
  readonly deadline: number
  /** Refused by a leader that was none, so many times. */
  refused: number
  readonly settle: (result: AppendResult) => void
}

/** What is to be sent to one partition. */
type Lane = TopicPartition & {
  readonly queue: Sending[]
  /** Refused ones, in their order; not empty: nothing else is sent. */
  readonly refused: Sending[]
  inFlight: number
  /** To whom the ones in flight went. */
  broker: Broker | undefined
  /** Whether it waits for what is in flight, or for its leader to be found. */
  stopped: boolean
}

/** The append half of the log. */
export class ProduceCalls {
  readonly #cluster: Cluster
  readonly #lanes = new Map<string, Lane>()
  #ready: Lane[] = []
  #pendingBytes = 0

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** See {@link import('@millrace/log').Log.append}. */
  append(
    entries: readonly AppendEntry[],
    options: AppendOptions = {},
  ): Promise<readonly AppendResult[]> {
    const { settings, outside } = this.#cluster
    const acks = options.acks === 'all' || options.acks === undefined ? ACKS_ALL : options.acks
    const timeoutMs = options.timeoutMs ?? settings['request.timeout.ms']
    const deadline = outside.clock.monotonic() + timeoutMs
    const touched = new Set<Lane>()
    const results = entries.map(
      ({ topic, partition, batch }) =>
        new Promise<AppendResult>(resolve => {
          const error = this.#overLimit(batch.length)
          if (error !== undefined) return resolve(failed(error))
          this.#pendingBytes += batch.length
          const settle = (result: AppendResult): void => {
            this.#pendingBytes -= batch.length
            resolve(result)
          }
          const sending = { topic, partition, batch, acks, timeoutMs, deadline, refused: 0, settle }
          const lane = this.#lane(sending)
          lane.queue.push(sending)
          touched.add(lane)
        }),
    )
    this.#send([...touched])
    return Promise.all(results)
  }

  #overLimit(bytes: number): LogError | undefined {
    const max = this.#cluster.settings['append.pending.max.bytes']
    if (this.#pendingBytes === 0 || this.#pendingBytes + bytes <= max) return undefined
    return new LogError('THROTTLING_QUOTA_EXCEEDED', `append.pending.max.bytes: ${max} are pending`)
  }

  #lane(of: TopicPartition): Lane {
    const key = partitionKey(of)
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      const { topic, partition } = of
      const none = { queue: [], refused: [], inFlight: 0, broker: undefined, stopped: false }
      lane = { topic, partition, ...none }
      this.#lanes.set(key, lane)
    }
    return lane
  }

  /** Sends what the lanes hold, as far as they may. */
  #send(lanes: readonly Lane[]): void {
    const sendings: (Sending & { readonly lane: Lane; readonly broker: Broker })[] = []
    for (const lane of lanes) {
      if (lane.stopped || lane.queue.length === 0) continue
      const broker = this.#cluster.known(lane.topic, lane.partition)
      if (broker === undefined || (lane.inFlight > 0 && broker !== lane.broker)) {
        // Behind what is in flight elsewhere: that may be refused, and must be first then.
        lane.stopped = true
        if (lane.inFlight === 0) this.#recover(lane)
        continue
      }
      lane.broker = broker
      lane.inFlight += lane.queue.length
      for (const sending of lane.queue.splice(0)) sendings.push({ ...sending, lane, broker })
    }
    // One batch per partition in a request; the requests of a broker go out in their order.
    for (const wave of withoutRepeats(sendings, partitionKey)) {
      const groups = Map.groupBy(
        wave,
        ({ broker, acks, timeoutMs }) => `${broker.name} ${acks} ${timeoutMs}`,
      )
      for (const group of groups.values()) {
        for (const part of this.#inRequests(group)) {
          const [first] = part
          if (first !== undefined) void this.#produce(first.broker, part)
        }
      }
    }
  }

  /** Splits by `produce.request.max.bytes`. */
  #inRequests<T extends Sending>(group: readonly T[]): readonly (readonly T[])[] {
    const max = this.#cluster.settings['produce.request.max.bytes']
    const parts: T[][] = []
    let bytes = Number.POSITIVE_INFINITY
    for (const sending of group) {
      bytes += sending.batch.length
      if (bytes > max) {
        parts.push([])
        bytes = sending.batch.length
      }
      parts.at(-1)?.push(sending)
    }
    return parts
  }

  async #produce(
    broker: Broker,
    sendings: readonly (Sending & { readonly lane: Lane })[],
  ): Promise<void> {
    const { acks = 0, timeoutMs = 0 } = sendings[0] ?? {}
    const request = {
      transactionalId: null,
      acks,
      timeoutMs,
      topicData: byTopic(sendings).map(([name, list]) => ({
        name,
        partitionData: list.map(each => ({ index: each.partition, records: each.batch })),
      })),
    }
    const options = { waitMs: timeoutMs, versions: { min: PRODUCE_MIN, max: PRODUCE_MAX } }
    let resultOf: (sending: Sending) => AppendResult
    try {
      const connection = broker.lane('produce')
      if (acks === 0) {
        await connection.post(produce, request, options)
        resultOf = () => ({ baseOffset: NOTHING, logAppendTime: NOTHING, logStartOffset: NOTHING })
      } else {
        const { responses } = await connection.call(produce, request, options)
        const told = new Map<string, Decoded<ProducePartitionResponse>>()
        for (const { name, partitionResponses } of responses) {
          for (const each of partitionResponses) {
            told.set(partitionKey({ topic: name, partition: each.index }), each)
          }
        }
        resultOf = sending => resultIn(told.get(partitionKey(sending)))
      }
    } catch (thrown) {
      const error = asLogError(thrown)
      resultOf = () => failed(error)
    }
    for (const sending of sendings) this.#answered(sending.lane, sending, resultOf(sending))
    const lanes = new Set(sendings.map(({ lane }) => lane))
    for (const lane of lanes) this.#goOn(lane)
  }

  #answered(lane: Lane, sending: Sending, result: AppendResult): void {
    lane.inFlight -= 1
    const { error } = result
    if (error !== undefined && isAboutLeaders(error)) this.#cluster.forget(lane.topic)
    if (error === undefined || !this.#mayRepeat(sending, error)) {
      sending.settle(result)
      return
    }
    lane.stopped = true
    lane.refused.push({ ...sending, refused: sending.refused + 1 })
  }

  /** Only what was certainly not stored. */
  #mayRepeat(sending: Sending, error: LogError): boolean {
    const { settings, outside } = this.#cluster
    if (this.#cluster.closed || outside.clock.monotonic() >= sending.deadline) return false
    if (leaderMoved(error)) return sending.refused < settings['leader.retries.max']
    const unsent = error instanceof ConnectionLost && !error.sent
    return unsent && sending.refused < settings['network.retries.max']
  }

  /** After answers: the refused ones again, or the lane is done. */
  #goOn(lane: Lane): void {
    if (lane.inFlight > 0) return
    lane.queue.unshift(...lane.refused.splice(0))
    if (lane.queue.length > 0) this.#recover(lane)
    else this.#lanes.delete(partitionKey(lane))
  }

  /** Finds the leader, after a pause if one has refused, and lets the lane go on. */
  #recover(lane: Lane): void {
    lane.stopped = true
    void this.#findLeader(lane).then(error => {
      lane.stopped = false
      if (error !== undefined) {
        for (const sending of lane.queue.splice(0)) sending.settle(failed(error))
        this.#goOn(lane)
        return
      }
      // Lanes that find their leader together share requests.
      if (this.#ready.length === 0) queueMicrotask(() => this.#send(this.#ready.splice(0)))
      this.#ready.push(lane)
    })
  }

  async #findLeader(lane: Lane): Promise<LogError | undefined> {
    const { settings, outside } = this.#cluster
    try {
      for (let tries = lane.queue[0]?.refused ?? 0; ; tries += 1) {
        if (tries > 0) await backoff(outside, settings, tries)
        if (this.#cluster.closed) return closedError()
        const leader = await leaderOf(this.#cluster, lane)
        if (!(leader instanceof LogError)) return undefined
        if (!leaderMoved(leader) || tries >= settings['leader.retries.max']) return leader
        this.#cluster.forget(lane.topic)
      }
    } catch (thrown) {
      return asLogError(thrown)
    }
  }
}

const failed = (error: LogError): AppendResult => ({
  error,
  baseOffset: NOTHING,
  logAppendTime: NOTHING,
  logStartOffset: NOTHING,
})

function resultIn(told: Decoded<ProducePartitionResponse> | undefined): AppendResult {
  if (told === undefined) {
    return failed(new LogError('UNKNOWN_SERVER_ERROR', 'the broker said nothing of this partition'))
  }
  const record = told.recordErrors.find(each => each.batchIndexErrorMessage !== null)
  const error = errorOf(told.errorCode, told.errorMessage ?? record?.batchIndexErrorMessage)
  return {
    ...failure(error),
    ...(error !== undefined &&
      told.recordErrors.length > 0 && { recordErrors: recordErrorsIn(told, error) }),
    baseOffset: told.baseOffset,
    logAppendTime: told.logAppendTimeMs,
    logStartOffset: told.logStartOffset,
  }
}

/** The records that a broker names; those without a message share that of the batch (KIP-467). */
const recordErrorsIn = (
  { recordErrors, errorMessage }: Decoded<ProducePartitionResponse>,
  error: LogError,
): readonly RecordError[] =>
  recordErrors.map(({ batchIndex, batchIndexErrorMessage }) => ({
    batchIndex,
    message: batchIndexErrorMessage ?? errorMessage ?? error.message,
  }))
