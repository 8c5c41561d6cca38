/**
 * Fetches: positions to the leaders of their partitions, answers put together.
 *
 * With one leader the broker does the waiting. Several are asked without waiting first, then in
 * turns of at most `fetch.turn.max.ms`: records at one are not held back for long by the silence of
 * another.
 * Records are views of the answers' frames. An abort leaves the waiting connection and asks once
 * more without waiting.
 */
import type { FetchPosition, FetchRequest, FetchResult, LogError } from '@millrace/log'
import {
  type Decoded,
  type FetchPartitionResponse,
  fetch,
  ISOLATION_LEVEL,
} from '@millrace/protocol'
import type { Broker } from './broker.ts'
import type { BrokerConnection } from './broker-connection.ts'
import { askLeaders, byTopic, inOrder } from './by-leader.ts'
import type { Cluster } from './cluster.ts'
import { errorOf, failure } from './errors.ts'

const NO_RECORDS = Buffer.alloc(0)
const NO_OFFSET = -1
const NO_EPOCH = -1
/** Bytes before the length of a batch ends, and the length's place. */
const BATCH_OVERHEAD = 12
const BATCH_LENGTH_AT = 8
/** First version of Fetch with batches of version 2 and isolation. */
const FETCH_MIN = 4
/** Last version of Fetch that names topics by their names. */
const FETCH_MAX = 12
/** First version of Fetch that carries the reader's leader epoch. */
const FETCH_EPOCH_MIN = 9

/** What one round of asking may do. */
type Turn = { readonly minBytes: number; readonly waitMs: number }
const AT_ONCE: Turn = { minBytes: 0, waitMs: 0 }

/** The fetch half of the log. */
export class FetchCalls {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** See {@link import('@millrace/log').Log.fetch}. */
  async fetch(request: FetchRequest): Promise<readonly FetchResult[]> {
    if (request.positions.length === 0) return []
    const { clock } = this.#cluster.outside
    const end = clock.monotonic() + request.maxWaitMs
    for (let turns = 0; ; turns += 1) {
      const aborted = request.signal?.aborted === true
      const left = aborted ? 0 : Math.max(0, end - clock.monotonic())
      const alone = this.#haveOneLeader(request.positions)
      const turnMsMax = turns === 0 ? 0 : this.#cluster.settings['fetch.turn.max.ms']
      const turnMs = alone ? left : Math.min(left, turnMsMax)
      const turn = { minBytes: request.minBytes, waitMs: Math.floor(turnMs) }
      const results = await this.#ask(request, turn)
      // Alone, the broker has done the waiting.
      if (alone || aborted || isEnough(results, request.minBytes)) return results
      if (clock.monotonic() >= end) return results
    }
  }

  #haveOneLeader(positions: readonly FetchPosition[]): boolean {
    let only: Broker | undefined
    for (const { topic, partition } of positions) {
      const leader = this.#cluster.known(topic, partition)
      if (leader === undefined) return false
      only ??= leader
      if (leader !== only) return false
    }
    return true
  }

  #ask(request: FetchRequest, turn: Turn): Promise<readonly FetchResult[]> {
    return askLeaders(this.#cluster, request.positions, {
      ask: async (broker, positions) => {
        const ask = (each: Turn): Promise<readonly FetchResult[]> =>
          broker.waiting(connection => this.#askBroker(connection, positions, request, each))
        if (request.signal?.aborted) return ask(AT_ONCE)
        try {
          return await ask(turn)
        } catch (error) {
          if (!request.signal?.aborted) throw error
          return ask(AT_ONCE)
        }
      },
      failed: failedResult,
      errorIn: ({ error }) => error,
      repeat: true,
    })
  }

  async #askBroker(
    connection: BrokerConnection,
    positions: readonly FetchPosition[],
    request: FetchRequest,
    turn: Turn,
  ): Promise<readonly FetchResult[]> {
    const { signal } = request
    const checksEpoch = positions.some(({ leaderEpoch = NO_EPOCH }) => leaderEpoch !== NO_EPOCH)
    const leave = (): void => connection.close('the reader has left')
    if (!signal?.aborted) signal?.addEventListener('abort', leave, { once: true })
    try {
      const response = await connection.call(
        fetch,
        {
          maxWaitMs: turn.waitMs,
          minBytes: turn.minBytes,
          maxBytes: request.maxBytes,
          isolationLevel:
            request.isolation === 'read_committed'
              ? ISOLATION_LEVEL.readCommitted
              : ISOLATION_LEVEL.readUncommitted,
          topics: byTopic(positions).map(([topic, list]) => ({
            topic,
            partitions: list.map(position => ({
              partition: position.partition,
              currentLeaderEpoch: position.leaderEpoch ?? NO_EPOCH,
              fetchOffset: position.offset,
              partitionMaxBytes: position.maxBytes,
            })),
          })),
        },
        {
          waitMs: turn.waitMs,
          versions: { min: checksEpoch ? FETCH_EPOCH_MIN : FETCH_MIN, max: FETCH_MAX },
        },
      )
      const error = errorOf(response.errorCode)
      if (error !== undefined) return positions.map(position => failedResult(position, error))
      const told = response.responses.flatMap(({ topic, partitions }) =>
        partitions.map(each => [topic, each.partitionIndex, each] as const),
      )
      return inOrder(positions, told, resultOf, failedResult)
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }
}

function isEnough(results: readonly FetchResult[], minBytes: number): boolean {
  let bytes = 0
  for (const { records, error } of results) {
    if (error !== undefined) return true
    bytes += records.length
  }
  return bytes >= minBytes
}

function resultOf(position: FetchPosition, told: Decoded<FetchPartitionResponse>): FetchResult {
  const { topic, partition } = position
  return {
    topic,
    partition,
    ...failure(errorOf(told.errorCode)),
    highWatermark: told.highWatermark,
    lastStableOffset: told.lastStableOffset,
    logStartOffset: told.logStartOffset,
    records: wholeBatches(told.records as Buffer | null),
    abortedTransactions: told.abortedTransactions ?? [],
  }
}

function failedResult({ topic, partition }: FetchPosition, error: LogError): FetchResult {
  return {
    topic,
    partition,
    error,
    highWatermark: NO_OFFSET,
    lastStableOffset: NO_OFFSET,
    logStartOffset: NO_OFFSET,
    records: NO_RECORDS,
    abortedTransactions: [],
  }
}

/** Brokers may cut the last batch short: it is left out. */
function wholeBatches(records: Buffer | null): Buffer {
  if (records === null) return NO_RECORDS
  let end = 0
  while (end + BATCH_OVERHEAD <= records.length) {
    const length = records.readInt32BE(end + BATCH_LENGTH_AT)
    const next = end + BATCH_OVERHEAD + length
    if (length < 0 || next > records.length) break
    end = next
  }
  return end === records.length ? records : records.subarray(0, end)
}
