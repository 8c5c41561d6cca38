/**
 * Fetch: record batches as they lie in their segments, handed on as slices.
 *
 * The engine waits for `minBytes`; nothing here has a timer. Sessions (KIP-227) are refused with
 * session id 0, which every client takes for "send me the whole list each time".
 */
import type { Engine, SlicedFetchResult } from '@millrace/engine'
import type { FetchPosition } from '@millrace/log'
import {
  type Decoded,
  ERROR_CODES,
  type FetchPartitionResponse,
  type FetchRequest,
  type FetchResponse,
  type FetchTopicResponse,
  fetch,
  ISOLATION_LEVEL,
  type Records,
} from '@millrace/protocol'
import { partitionCodeOf } from './error-mapping.ts'
import type { Handler } from './handler.ts'
import { mayRepeat } from './nested.ts'
import { meantId, type NamedTopic, topicKey, topicName } from './topics.ts'

type Request = Decoded<FetchRequest>
type Topic = Request['topics'][number]
type Partition = Topic['partitions'][number]

/** Session epochs that ask for the whole list, whatever the session (KIP-227). */
const NEW_SESSION = 0
/** Ends the session, if there is one. */
const NO_SESSION = -1
/** First version that names topics by their ids. */
const IDS_VERSION_MIN = 13
const NO_BYTES = Buffer.alloc(0)
const NONE: readonly SlicedFetchResult[] = []

/** The handler of Fetch. */
export const fetchHandler: Handler<FetchRequest, FetchResponse> = {
  api: fetch,

  handle: (given, call, { engine }) => {
    const request = withoutRepeats(given)
    const { sessionEpoch } = request
    if (sessionEpoch !== NEW_SESSION && sessionEpoch !== NO_SESSION) {
      // No session was ever given: the client starts again without one.
      return {
        throttleTimeMs: 0,
        errorCode: ERROR_CODES.FETCH_SESSION_ID_NOT_FOUND,
        responses: [],
      }
    }
    const positions: FetchPosition[] = []
    const diverged = new Map<Partition, FetchPartitionResponse>()
    for (const named of request.topics) {
      const topic = topicName(engine, nameOf(named), call.version >= IDS_VERSION_MIN)
      const meant = meantId(nameOf(named))
      for (const asked of named.partitions) {
        const parted =
          topic === undefined
            ? empty(asked.partition, ERROR_CODES.UNKNOWN_TOPIC_ID)
            : divergence(engine, topic, asked)
        if (parted !== undefined || topic === undefined) {
          if (parted !== undefined) diverged.set(asked, parted)
          continue
        }
        positions.push({
          topic,
          ...meant,
          partition: asked.partition,
          offset: asked.fetchOffset,
          maxBytes: asked.partitionMaxBytes,
          leaderEpoch: asked.currentLeaderEpoch,
        })
      }
    }
    if (positions.length === 0) return answer(request, NONE, diverged)
    return engine
      .fetchSlices({
        positions,
        // An answer that reports a divergence does not wait for records.
        minBytes: diverged.size === 0 ? request.minBytes : 0,
        maxBytes: request.maxBytes,
        maxWaitMs: diverged.size === 0 ? request.maxWaitMs : 0,
        isolation:
          request.isolationLevel === ISOLATION_LEVEL.readCommitted
            ? 'read_committed'
            : 'read_uncommitted',
        signal: call.gone,
      })
      .then(results => answer(request, results, diverged))
  },

  failure: (request, { code, partitionCode }, { version }) => ({
    throttleTimeMs: 0,
    errorCode: code,
    // Before version 7 the whole has no error of its own.
    responses:
      version >= 7
        ? []
        : request.topics.map(({ topic, topicId, partitions }) => ({
            topic,
            topicId,
            partitions: partitions.map(({ partition }) => empty(partition, partitionCode)),
          })),
  }),

  discard: response => {
    for (const { partitions } of response.responses) {
      for (const { records } of partitions) release(records)
    }
  },
}

const nameOf = ({ topic, topicId }: Topic): NamedTopic => ({ name: topic, topicId })

/** Of a partition that is named several times the last position counts, as in Apache Kafka. */
function withoutRepeats(request: Request): Request {
  const indexesOf = ({ partitions }: Topic): readonly number[] =>
    partitions.map(({ partition }) => partition)
  if (!mayRepeat(request.topics, topic => topicKey(nameOf(topic)), indexesOf)) return request
  const topics = new Map<string, { topic: Topic; last: Map<number, Partition> }>()
  for (const topic of request.topics) {
    const key = topicKey(nameOf(topic))
    const { last } = topics.get(key) ?? { last: new Map<number, Partition>() }
    for (const asked of topic.partitions) last.set(asked.partition, asked)
    topics.set(key, { topic, last })
  }
  return {
    ...request,
    topics: [...topics.values()].map(({ topic, last }) => ({
      ...topic,
      partitions: [...last.values()],
    })),
  }
}

function answer(
  request: Request,
  results: readonly SlicedFetchResult[],
  diverged: ReadonlyMap<Partition, FetchPartitionResponse>,
): FetchResponse {
  const responses: FetchTopicResponse[] = []
  let index = 0
  for (const { topic, topicId, partitions } of request.topics) {
    const answers: FetchPartitionResponse[] = []
    for (const asked of partitions) {
      const parted = diverged.size === 0 ? undefined : diverged.get(asked)
      if (parted !== undefined) {
        answers.push(parted)
        continue
      }
      const result = results[index]
      index += 1
      if (result === undefined) throw new Error('the log answered fewer positions than asked')
      answers.push(partitionAnswer(asked.partition, result))
    }
    responses.push({ topic, topicId, partitions: answers })
  }
  return { throttleTimeMs: 0, responses }
}

function partitionAnswer(partition: number, result: SlicedFetchResult): FetchPartitionResponse {
  let records: Records = result.records
  if (records.byteLength === 0) {
    // It would not become a piece of the answer, and nobody would release it.
    result.records.release()
    records = NO_BYTES
  }
  if (result.error !== undefined) {
    if (records !== NO_BYTES) release(records)
    // As Kafka does: what it says about a partition beside an error is not to be used.
    return empty(partition, partitionCodeOf(result.error))
  }
  const { abortedTransactions } = result
  return {
    partitionIndex: partition,
    errorCode: ERROR_CODES.NONE,
    highWatermark: result.highWatermark,
    lastStableOffset: result.lastStableOffset,
    logStartOffset: result.logStartOffset,
    abortedTransactions: abortedTransactions.length === 0 ? null : abortedTransactions,
    records,
  }
}

function empty(partition: number, errorCode: number): FetchPartitionResponse {
  return {
    partitionIndex: partition,
    errorCode,
    highWatermark: -1,
    abortedTransactions: null,
    records: NO_BYTES,
  }
}

/**
 * Where the reader's log parts from this one (KIP-595): the epoch that it read last ended here
 * before the offset that it asks for. Of an epoch that never was here nobody knows where it ended:
 * OFFSET_OUT_OF_RANGE. Undefined when all is well.
 */
function divergence(
  engine: Engine,
  topic: string,
  { partition, fetchOffset, currentLeaderEpoch, lastFetchedEpoch }: Partition,
): FetchPartitionResponse | undefined {
  if (lastFetchedEpoch < 0) return undefined
  if (engine.topic(topic)?.partitions[partition] === undefined) return undefined
  const end = engine.endOfEpoch(topic, partition, lastFetchedEpoch, currentLeaderEpoch)
  if (end.error !== undefined) return empty(partition, partitionCodeOf(end.error))
  if (end.leaderEpoch < 0) return empty(partition, ERROR_CODES.OFFSET_OUT_OF_RANGE)
  if (end.leaderEpoch === lastFetchedEpoch && end.endOffset >= fetchOffset) return undefined
  const divergingEpoch = { epoch: end.leaderEpoch, endOffset: end.endOffset }
  return { ...empty(partition, ERROR_CODES.NONE), divergingEpoch }
}

function release(records: Records): void {
  if (records === null || Buffer.isBuffer(records)) return // Only slices of the engine come here.
  ;(records as SlicedFetchResult['records']).release()
}
