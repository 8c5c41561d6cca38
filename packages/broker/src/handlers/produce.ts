/**
 * Produce: the batches enter the engine as they lie in the frame, without a copy.
 *
 * Judged here is what depends on the request: acks, the version, one whole batch per partition, the
 * same partition twice. Everything about the batch itself, its checksum included, is the engine's.
 */
import type { Engine } from '@millrace/engine'
import {
  type Acks,
  type AppendEntry,
  type AppendResult,
  attributesOf,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  baseOffsetOf,
  batchBytesOf,
  compressionOf,
  LogError,
  magicOf,
  type RecordError,
} from '@millrace/log'
import {
  type Decoded,
  type ProducePartitionResponse,
  type ProduceRecordError,
  type ProduceRequest,
  type ProduceResponse,
  type ProduceTopicResponse,
  produce,
} from '@millrace/protocol'
import { messageOf, partitionCodeOf } from './error-mapping.ts'
import type { Handler } from './handler.ts'
import { mayRepeat } from './nested.ts'
import { meantId, topicKey, topicName, unknownTopicId } from './topics.ts'

/** First version with record batches. */
const BATCH_VERSION_MIN = 3
/** First version whose clients know zstd. */
const ZSTD_VERSION_MIN = 7
const ZSTD = 4
/** Where the version of a batch stands in it. */
const MAGIC_AT = 16
/** The shortest batch of any version: offset, length, and the head of the oldest messages. */
const LEGACY_BYTES_MIN = 26
/** First version that names topics by their ids. */
const IDS_VERSION_MIN = 13

type Request = Decoded<ProduceRequest>
type Topic = Request['topicData'][number]

const indexesOf = ({ partitionData }: Topic): readonly number[] =>
  partitionData.map(({ index }) => index)

/** The handler of Produce. */
export const produceHandler: Handler<ProduceRequest, ProduceResponse> = {
  api: produce,

  isSilent: request => request.acks === 0,

  handle: (request, call, node) => {
    const acks = acksOf(request.acks)
    if (request.transactionalId !== null) {
      throw new LogError('INVALID_TXN_STATE', 'transactions are not served by this node')
    }
    const { engine } = node
    const refusals = judge(request, call.version, engine)
    const entries: AppendEntry[] = []
    let index = 0
    for (const asked of request.topicData) {
      const topic = topicName(engine, asked, call.version >= IDS_VERSION_MIN) ?? ''
      const meant = meantId(asked)
      for (const { index: partition, records } of asked.partitionData) {
        const refused = refusals?.[index] !== undefined
        if (!refused && records !== null)
          entries.push({ topic, ...meant, partition, batch: records })
        index += 1
      }
    }
    if (entries.length === 0) return answer(request, [], refusals)
    return engine
      .append(entries, { acks, timeoutMs: request.timeoutMs })
      .then(results => answer(request, results, refusals))
  },

  failure: (request, { partitionCode: errorCode, message: errorMessage }) => ({
    responses: request.topicData.map(({ name, topicId, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index }) => ({
        index,
        errorCode,
        baseOffset: -1,
        errorMessage,
      })),
    })),
  }),
}

function acksOf(acks: number): Acks {
  if (acks === -1) return 'all'
  if (acks === 1 || acks === 0) return acks
  throw new LogError('INVALID_REQUIRED_ACKS', `${acks}`)
}

/** Refusals by the position of the partition in the request; undefined when there are none. */
function judge(
  request: Request,
  version: number,
  engine: Engine,
): (LogError | undefined)[] | undefined {
  let refusals: (LogError | undefined)[] | undefined
  const refuse = (index: number, error: LogError): void => {
    refusals ??= []
    refusals[index] = error
  }
  const seen = mayRepeat(request.topicData, topicKey, indexesOf) ? new Set<string>() : undefined
  let index = 0
  for (const topic of request.topicData) {
    const known = topicName(engine, topic, version >= IDS_VERSION_MIN) !== undefined
    for (const { index: partition, records } of topic.partitionData) {
      const error = known ? batchProblem(records, version) : unknownTopicId(topic.topicId)
      if (error !== undefined) refuse(index, error)
      if (seen !== undefined) {
        // A name has no slash.
        const key = `${topicKey(topic)}/${partition}`
        if (seen.has(key)) {
          refuse(index, new LogError('INVALID_REQUEST', `partition ${partition} occurs twice`))
        }
        seen.add(key)
      }
      index += 1
    }
  }
  return refusals
}

function batchProblem(records: Buffer | null, version: number): LogError | undefined {
  if (version < BATCH_VERSION_MIN) {
    return new LogError('UNSUPPORTED_VERSION', `Produce version ${version} has no record batches`)
  }
  if (records === null || records.length === 0) {
    return new LogError('INVALID_RECORD', 'no record batch')
  }
  // Too short for a batch: Kafka's reader finds none in them. That cannot be helped by sending again, as
  // CORRUPT_MESSAGE would tell a client.
  if (records.length <= MAGIC_AT) return cutOff(records)
  const magic = magicOf(records)
  const bytes = batchBytesOf(records)
  if (bytes < LEGACY_BYTES_MIN || magic < 0 || magic > BATCH_MAGIC) {
    return new LogError('CORRUPT_MESSAGE', `${bytes} bytes of version ${magic} are no record batch`)
  }
  if (bytes > records.length) return cutOff(records)
  if (magic !== BATCH_MAGIC) return new LogError('INVALID_RECORD', `record batch version ${magic}`)
  if (bytes < BATCH_HEADER_BYTES) {
    return new LogError('CORRUPT_MESSAGE', `${bytes} bytes are no record batch`)
  }
  if (bytes < records.length) return new LogError('INVALID_RECORD', 'more than one record batch')
  const baseOffset = baseOffsetOf(records)
  if (baseOffset !== 0) return new LogError('INVALID_RECORD', `the batch begins at ${baseOffset}`)
  if (version < ZSTD_VERSION_MIN && compressionOf(attributesOf(records)) === ZSTD) {
    return new LogError('UNSUPPORTED_COMPRESSION_TYPE', `zstd in Produce version ${version}`)
  }
  return undefined
}

const cutOff = ({ length }: Buffer): LogError =>
  new LogError('INVALID_RECORD', `no whole record batch in ${length} bytes`)

function answer(
  request: Request,
  results: readonly AppendResult[],
  refusals: readonly (LogError | undefined)[] | undefined,
): ProduceResponse {
  const silent = request.acks === 0
  const responses: ProduceTopicResponse[] = []
  let asked = 0
  let appended = 0
  for (const { name, topicId, partitionData } of request.topicData) {
    const partitionResponses: ProducePartitionResponse[] = []
    for (const { index } of partitionData) {
      const refusal = refusals?.[asked]
      asked += 1
      const result: AppendResult | undefined =
        refusal === undefined ? results[appended++] : { ...NOTHING, error: refusal }
      if (result === undefined) throw new Error('the log answered fewer batches than it was given')
      const { error, recordErrors } = result
      // Nobody hears of it otherwise: the connection ends.
      if (silent && error !== undefined) throw error
      partitionResponses.push({
        index,
        errorCode: partitionCodeOf(error),
        baseOffset: result.baseOffset,
        logAppendTimeMs: result.logAppendTime,
        logStartOffset: result.logStartOffset,
        ...(recordErrors !== undefined && { recordErrors: recordErrors.map(asNamed) }),
        errorMessage: messageOf(error),
      })
    }
    responses.push({ name, topicId, partitionResponses })
  }
  return { responses }
}

const asNamed = ({ batchIndex, message }: RecordError): ProduceRecordError => ({
  batchIndex,
  batchIndexErrorMessage: message,
})

const NOTHING = { baseOffset: -1, logAppendTime: -1, logStartOffset: -1 } as const
