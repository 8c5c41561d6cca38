/**
 * What a producer can be told, with every default and bound in one table.
 */
import type { Backoff } from '@millrace/base'
import { type Outside, resolveSettings, type SettingValues, systemOutside } from '@millrace/base'
import type { Acks, Compression, LogError, TopicPartition } from '@millrace/log'

/** The numbers of a producer, with defaults and bounds. */
export const PRODUCER_SETTINGS = {
  batchBytesMax: {
    type: 'integer',
    default: 65_536,
    min: 1,
    max: 67_108_864,
    doc: 'A batch is closed when the next record would make it larger than this, uncompressed.',
  },
  recordBytesMax: {
    type: 'integer',
    default: 1_048_576,
    min: 64,
    max: 67_108_864,
    doc: 'Largest record; a larger one is refused with MESSAGE_TOO_LARGE.',
  },
  requestBytesMax: {
    type: 'integer',
    default: 1_048_576,
    min: 1,
    max: 67_108_864,
    doc: 'Batches of several partitions go into one append up to this size.',
  },
  bufferBytesMax: {
    type: 'integer',
    default: 33_554_432,
    min: 1024,
    max: 4_294_967_296,
    doc: 'Records taken and not yet answered, in bytes; beyond it the producer takes no more.',
  },
  waitersMax: {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: 'Calls of send that may wait for room at a time; one more is refused.',
  },
  topicsMax: {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: 'Topics one producer may write to.',
  },
  inFlightMax: {
    type: 'integer',
    default: 5,
    min: 1,
    max: 5,
    doc: 'Appends in flight; the log remembers five batches per partition. 1 if not idempotent.',
  },
  lingerMs: {
    type: 'integer',
    default: 5,
    min: 0,
    max: 3_600_000,
    doc: 'How long a batch that is not full waits for more while other appends are in flight.',
  },
  requestTimeoutMs: {
    type: 'integer',
    default: 30_000,
    min: 1,
    max: 3_600_000,
    doc: 'An append that is not answered in this time counts as failed, its outcome unknown.',
  },
  deliveryTimeoutMs: {
    type: 'integer',
    default: 120_000,
    min: 1,
    max: 86_400_000,
    doc: 'A record that is not stored in this time, retries included, is reported as failed.',
  },
  blockMsMax: {
    type: 'integer',
    default: 60_000,
    min: 1,
    max: 86_400_000,
    doc: 'How long send and ready wait for room, for the topic, or for a producer id.',
  },
  metadataMaxAgeMs: {
    type: 'integer',
    default: 300_000,
    min: 1,
    max: 86_400_000,
    doc: 'After this time the partitions of a topic in use are asked for again.',
  },
  retryBackoffMs: {
    type: 'integer',
    default: 100,
    min: 1,
    max: 3_600_000,
    doc: 'Wait before the first retry; doubles with each, with jitter.',
  },
  retryBackoffMaxMs: {
    type: 'integer',
    default: 1_000,
    min: 1,
    max: 3_600_000,
    doc: 'Longest wait between retries.',
  },
} as const

/** Told of every batch that could not be delivered. */
export type DeliveryFailure = TopicPartition & {
  readonly error: LogError
  readonly recordCount: number
}

/** What a producer can be told; all of it has a default. */
export type ProducerOptions = Partial<SettingValues<typeof PRODUCER_SETTINGS>> & {
  /** Default "all". */
  readonly acks?: Acks
  /**
   * Whether retries can never make a second copy (KIP-98). Default: true with acks "all", the only
   * acks it works with.
   */
  readonly idempotent?: boolean
  /** Default "none". */
  readonly compression?: Compression
  /** Level of gzip (1 to 9) or zstd (1 to 22). */
  readonly compressionLevel?: number
  /** Called once for each batch that failed. Must not throw. */
  readonly onFailure?: (failure: DeliveryFailure) => void
  /** Clock, timers and randomness; default: the platform's. */
  readonly outside?: Outside
}

/** Options with everything decided. */
export type ResolvedProducerOptions = SettingValues<typeof PRODUCER_SETTINGS> & {
  readonly acks: Acks
  readonly idempotent: boolean
  readonly compression: Compression
  readonly compressionLevel: number | undefined
  readonly onFailure: ((failure: DeliveryFailure) => void) | undefined
  readonly outside: Outside
  readonly backoff: Backoff
}

/** Checks options and fills in the defaults. Throws RangeError on a bad one. */
export function resolveProducerOptions(options: ProducerOptions): ResolvedProducerOptions {
  const settings = resolveSettings(PRODUCER_SETTINGS, options)
  const acks = options.acks ?? 'all'
  const idempotent = options.idempotent ?? acks === 'all'
  if (idempotent && acks !== 'all')
    throw new RangeError(`an idempotent producer needs acks "all", not ${acks}`)
  return Object.freeze({
    ...settings,
    // Without sequence numbers a retry could overtake: one append at a time keeps the order.
    inFlightMax: idempotent ? settings.inFlightMax : 1,
    acks,
    idempotent,
    compression: options.compression ?? 'none',
    compressionLevel: options.compressionLevel,
    onFailure: options.onFailure,
    outside: options.outside ?? systemOutside(),
    backoff: { firstMs: settings.retryBackoffMs, maxMs: settings.retryBackoffMaxMs },
  })
}
