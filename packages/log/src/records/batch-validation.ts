/**
 * What a log checks of a batch's header before it looks at the records (`judgeBatch`): length,
 * checksum, and all that contradicts itself. It answers with an error instead of throwing it. The
 * rules are those of Apache Kafka's LogValidator.
 */
import { COMPRESSIONS } from '../compression/compression.ts'
import { LogError } from '../errors.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  baseSequenceOf,
  baseTimestampOf,
  batchBytesOf,
  compressionOf,
  computeBatchCrc,
  crcOf,
  hasDeleteHorizon,
  hasUnusedBits,
  isControl,
  isLogAppendTime,
  isTransactional,
  lastOffsetDeltaOf,
  magicOf,
  NO_PRODUCER_ID,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from './batch-header.ts'

/** Bytes of the smallest record: length, attributes, two deltas, two lengths, header count. */
const RECORD_BYTES_MIN = 7

/** What is allowed beyond what the format asks for. */
export type BatchRules = {
  /** Bound of the batch as it was sent (`max.message.bytes`). */
  readonly bytesMax?: number
  /** Whether the log sets the time of append, so that whatever times the batch has do not count. */
  readonly stamped?: boolean
  /** Whether control batches may be written: by the log itself, never by a client. */
  readonly control?: boolean
  /** Whether batches of transactions may be written: only within one that is open. */
  readonly transactional?: boolean
}

/**
 * Checks that `length` bytes at `at` are exactly one batch that may be stored; null if so.
 *
 * Codes: CORRUPT_MESSAGE (length, checksum), MESSAGE_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE,
 * INVALID_TIMESTAMP, INVALID_TXN_STATE, INVALID_RECORD (format, count of batches, attributes,
 * offsets, producer). The largest timestamp is not looked at: who stores the batch computes it.
 */
export function validateBatch(
  buffer: Buffer,
  at: number,
  length: number,
  rules: BatchRules = {},
): LogError | null {
  if (length < BATCH_HEADER_BYTES || at + length > buffer.length) {
    return new LogError('CORRUPT_MESSAGE', `${length} bytes are no whole batch`)
  }
  const magic = magicOf(buffer, at)
  if (magic !== BATCH_MAGIC) return invalid(`the batch has format ${magic}, not ${BATCH_MAGIC}`)
  const bytes = batchBytesOf(buffer, at)
  if (bytes < BATCH_HEADER_BYTES || bytes > length) {
    return new LogError('CORRUPT_MESSAGE', `the batch claims ${bytes} bytes, ${length} are there`)
  }
  if (bytes < length) return invalid('one append holds exactly one batch for a partition')
  if (rules.bytesMax !== undefined && bytes > rules.bytesMax) {
    return new LogError('MESSAGE_TOO_LARGE', `a batch of ${bytes} bytes, at most ${rules.bytesMax}`)
  }
  if (crcOf(buffer, at) !== computeBatchCrc(buffer, at, bytes)) {
    return new LogError('CORRUPT_MESSAGE', 'the checksum of the batch is wrong')
  }
  return (
    attributesProblem(attributesOf(buffer, at), rules) ??
    countProblem(buffer, at, bytes) ??
    (rules.stamped === true ? null : timestampProblem(buffer, at)) ??
    producerProblem(buffer, at)
  )
}

function attributesProblem(attributes: number, rules: BatchRules): LogError | null {
  const codec = compressionOf(attributes)
  if (codec >= COMPRESSIONS.length) {
    return new LogError('UNSUPPORTED_COMPRESSION_TYPE', `codec ${codec} is not one of 0 to 4`)
  }
  if (hasUnusedBits(attributes)) return invalid('attribute bits without a meaning are set')
  if (hasDeleteHorizon(attributes)) return invalid('only compaction sets a delete horizon')
  if (isControl(attributes) && rules.control !== true) {
    return invalid('clients may not write control records')
  }
  if (isTransactional(attributes) && rules.transactional !== true) {
    return new LogError('INVALID_TXN_STATE', 'the batch belongs to no transaction that is open')
  }
  if (isLogAppendTime(attributes)) {
    return new LogError('INVALID_TIMESTAMP', 'only the log sets append times')
  }
  return null
}

function countProblem(b: Buffer, at: number, bytes: number): LogError | null {
  const count = recordCountOf(b, at)
  const offsets = lastOffsetDeltaOf(b, at) + 1
  if (count < 1) return invalid(`a batch of ${count} records`)
  if (offsets !== count) return invalid(`${count} records in ${offsets} offsets`)
  const roomFor = Math.floor((bytes - BATCH_HEADER_BYTES) / RECORD_BYTES_MIN)
  if (compressionOf(attributesOf(b, at)) === 0 && count > roomFor) {
    return invalid(`${count} records in ${bytes} bytes`)
  }
  return null
}

function timestampProblem(b: Buffer, at: number): LogError | null {
  if (!Number.isNaN(baseTimestampOf(b, at))) return null
  return new LogError('INVALID_TIMESTAMP', 'a timestamp beyond 2^53 - 1')
}

function producerProblem(b: Buffer, at: number): LogError | null {
  const id = producerIdOf(b, at)
  if (id === NO_PRODUCER_ID) {
    return isTransactional(attributesOf(b, at))
      ? invalid('a transactional batch without a producer id')
      : null
  }
  // NaN, an id beyond 2^53 - 1, fails the comparison too.
  if (!(id >= 0)) return invalid('a producer id that no log has given out')
  if (producerEpochOf(b, at) < 0) return invalid(`producer ${id} without an epoch`)
  // Markers of transactions carry a producer and no sequence.
  if (baseSequenceOf(b, at) < 0 && !isControl(attributesOf(b, at))) {
    return invalid(`producer ${id} without a sequence number`)
  }
  return null
}

const invalid = (detail: string): LogError => new LogError('INVALID_RECORD', detail)
