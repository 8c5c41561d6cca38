/**
 * The verdict of a log on a batch that a client sent: whether every reader could read it, and what
 * its records are. The rules are those of Apache Kafka's LogValidator, and where Kafka stores what
 * its own consumers cannot read, stricter.
 *
 * `judgeBatch` answers at once. Records without a codec are looked at where they lie; compressed ones
 * are decompressed whole if that yields few bytes. Where there is more, the answer is `later`, and
 * `judgeInSlices` does it, a part in each turn and without holding what it has looked at.
 *
 * Header fields that can be computed are not believed: count, offsets and times come from the records.
 * What lies about its count is refused; a wrong largest timestamp is set right by the caller, as Kafka
 * does, since clients that leave it empty are about.
 */

import { COMPRESSIONS, decompress } from '../compression/compression.ts'
import { decompressedChunks } from '../compression/decompressed-chunks.ts'
import { LogError } from '../errors.ts'
import type { Timestamp } from '../vocabulary.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseTimestampOf,
  compressionOf,
  recordCountOf,
} from './batch-header.ts'
import { type BatchRules, validateBatch } from './batch-validation.ts'
import { type RecordError, type RecordRules, RecordScanner } from './record-scanner.ts'

/** Whatever the ratio says, a batch may decompress to this many bytes: 16 MiB. */
export const DECOMPRESSED_BYTES_FREE: number = 16 * 1024 * 1024

/** What a batch has to obey to be stored. */
export type JudgeRules = BatchRules &
  RecordRules & {
    /** Bound of what a batch decompresses to. */
    readonly decompressedBytesMax: number
    /**
     * Bound of decompressed bytes for each compressed one, beyond {@link DECOMPRESSED_BYTES_FREE}.
     */
    readonly decompressedRatioMax: number
  }

/** What a batch is found to be. */
export type Verdict = {
  /** Why it is refused; absent where it is not. */
  readonly error?: LogError
  /** The records that are to blame, if single ones are. */
  readonly recordErrors?: readonly RecordError[]
  /** Largest timestamp of the records, whatever the header says; -1 without any. */
  readonly maxTimestamp: Timestamp
  /** What was decompressed. */
  readonly decompressedBytes: number
}

/**
 * Judges one batch of `length` bytes at `at`.
 *
 * @param bytesNow how many bytes of records may be looked at in this turn
 * @returns `later` where that is not enough
 */
export function judgeBatch(
  buffer: Buffer,
  at: number,
  length: number,
  rules: JudgeRules,
  bytesNow: number,
): Verdict | 'later' {
  const problem = validateBatch(buffer, at, length, rules)
  if (problem !== null) return refused(problem)
  const scanner = scannerOf(buffer, at, rules)
  const codec = codecOf(buffer, at)
  if (codec === 'none') {
    const bytes = length - BATCH_HEADER_BYTES
    if (bytes > bytesNow) return 'later'
    return verdict(scanner, bytes, buffer, at + BATCH_HEADER_BYTES, at + length)
  }
  const payload = buffer.subarray(at + BATCH_HEADER_BYTES, at + length)
  const bytesMax = boundOf(payload, rules)
  const now = Math.min(bytesNow, bytesMax)
  let records: Buffer
  try {
    records = decompress(codec, payload, now, true)
  } catch (error) {
    if (now < bytesMax && error instanceof LogError && error.code === 'MESSAGE_TOO_LARGE') {
      return 'later'
    }
    return refused(unreadable(error))
  }
  return verdict(scanner, records.length, records)
}

/** Bytes that are looked at in one turn. */
const SLICE_BYTES = 512 * 1024

/**
 * Judges the records of a batch whose header `judgeBatch` has found good, chunk by chunk. Most of the
 * work is done by the platform's threads; a chunk is looked at in few turns and then forgotten.
 *
 * @param pause resolves in a later turn of the event loop
 */
export async function judgeInSlices(
  batch: Buffer,
  rules: JudgeRules,
  pause: () => Promise<void>,
): Promise<Verdict> {
  const payload = batch.subarray(BATCH_HEADER_BYTES)
  const scanner = scannerOf(batch, 0, rules)
  let bytes = 0
  try {
    for await (const chunk of decompressedChunks(
      codecOf(batch, 0),
      payload,
      boundOf(payload, rules),
    )) {
      bytes += chunk.length
      for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
        if (at > 0) await pause()
        scanner.feed(chunk.subarray(at, at + SLICE_BYTES))
      }
    }
  } catch (error) {
    return broken(scanner, error)
  }
  return verdict(scanner, bytes)
}

const codecOf = (b: Buffer, at: number): (typeof COMPRESSIONS)[number] =>
  COMPRESSIONS[compressionOf(attributesOf(b, at))] ?? 'none'

const scannerOf = (b: Buffer, at: number, rules: JudgeRules): RecordScanner =>
  new RecordScanner(recordCountOf(b, at), baseTimestampOf(b, at), rules)

const boundOf = (payload: Buffer, rules: JudgeRules): number =>
  Math.min(
    rules.decompressedBytesMax,
    Math.max(DECOMPRESSED_BYTES_FREE, payload.length * rules.decompressedRatioMax),
  )

/** @param rest records that have not been looked at yet, in [from, to) */
function verdict(
  scanner: RecordScanner,
  bytes: number,
  rest?: Buffer,
  from?: number,
  to?: number,
): Verdict {
  try {
    if (rest !== undefined) scanner.feed(rest, from, to)
    scanner.end()
  } catch (error) {
    return broken(scanner, error)
  }
  const error = scanner.refusal()
  if (error !== null) return refused(error, scanner.recordErrors)
  return { maxTimestamp: scanner.maxTimestamp, decompressedBytes: bytes }
}

const broken = (scanner: RecordScanner, error: unknown): Verdict =>
  refused(unreadable(error), scanner.recordErrors)

const refused = (error: LogError, recordErrors: readonly RecordError[] = []): Verdict => ({
  error,
  ...(recordErrors.length > 0 && { recordErrors }),
  maxTimestamp: -1,
  decompressedBytes: 0,
})

/**
 * The checksum was right, so what cannot be read was written so: sending it again does not help, and
 * CORRUPT_MESSAGE would make clients do that.
 */
function unreadable(error: unknown): LogError {
  if (!(error instanceof LogError)) throw error
  if (error.code !== 'CORRUPT_MESSAGE') return error
  return new LogError('INVALID_RECORD', error.message, error)
}
