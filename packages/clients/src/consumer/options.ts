/**
 * What a consumer can be told, with every default and bound in one table.
 */
import type { Backoff } from '@millrace/base'
import { type Outside, resolveSettings, type SettingValues, systemOutside } from '@millrace/base'
import type { Isolation, LogError } from '@millrace/log'
import { ASSIGNORS, type AssignorName } from './assignors.ts'

/** The numbers of a consumer, with defaults and bounds. */
export const CONSUMER_SETTINGS = {
  prefetchBytesMax: {
    type: 'integer',
    default: 16_777_216,
    min: 1,
    max: 4_294_967_296,
    doc: 'Fetched and not yet handed out, in bytes; exceeded by one answer at most.',
  },
  fetchBytesMax: {
    type: 'integer',
    default: 8_388_608,
    min: 1,
    max: 1_073_741_824,
    doc: 'Largest answer to one fetch; a larger batch comes alone.',
  },
  partitionBytesMax: {
    type: 'integer',
    default: 1_048_576,
    min: 1,
    max: 1_073_741_824,
    doc: 'Most of one partition in one fetch, which is also the size of what is handed out.',
  },
  fetchBytesMin: {
    type: 'integer',
    default: 1,
    min: 1,
    max: 1_073_741_824,
    doc: 'A fetch is answered once this many bytes are there.',
  },
  fetchWaitMs: {
    type: 'integer',
    default: 500,
    min: 0,
    max: 3_600_000,
    doc: 'Or after this time.',
  },
  requestTimeoutMs: {
    type: 'integer',
    default: 30_000,
    min: 1,
    max: 3_600_000,
    doc: 'A question that is not answered in this time, beyond what it may wait, has failed.',
  },
  commitIntervalMs: {
    type: 'integer',
    default: 0,
    min: 0,
    max: 86_400_000,
    doc: 'How often finished work is committed by itself; 0: by hand only.',
  },
  commitTimeoutMs: {
    type: 'integer',
    default: 30_000,
    min: 1,
    max: 3_600_000,
    doc: 'How long a commit is tried again while the coordinator cannot answer.',
  },
  sessionTimeoutMs: {
    type: 'integer',
    default: 45_000,
    min: 1,
    max: 3_600_000,
    doc: 'The group takes a member out that was not heard of for this long.',
  },
  heartbeatIntervalMs: {
    type: 'integer',
    default: 3_000,
    min: 1,
    max: 3_600_000,
    doc: 'How often a member is heard of.',
  },
  rebalanceTimeoutMs: {
    type: 'integer',
    default: 60_000,
    min: 1,
    max: 86_400_000,
    doc: 'How long a member may take to finish its work when partitions are taken from it.',
  },
  processingMsMax: {
    type: 'integer',
    default: 300_000,
    min: 1,
    max: 86_400_000,
    doc: 'A member whose loop does not ask for the next batch in this time leaves its group.',
  },
  closeTimeoutMs: {
    type: 'integer',
    default: 10_000,
    min: 0,
    max: 86_400_000,
    doc: 'How long close waits for the batch in hand.',
  },
  metadataMaxAgeMs: {
    type: 'integer',
    default: 300_000,
    min: 1,
    max: 86_400_000,
    doc: 'How often the topics of a subscription are looked at again.',
  },
  topicMissingMsMax: {
    type: 'integer',
    default: 30_000,
    min: 0,
    max: 86_400_000,
    doc: 'A partition assigned by hand that does not exist for this long is an error.',
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

/** Where to start in a partition without a committed offset, or whose offset is gone. */
export type AutoOffsetReset = 'earliest' | 'latest' | 'error'

/** What a consumer can be told; all of it has a default. */
export type ConsumerOptions = Partial<SettingValues<typeof CONSUMER_SETTINGS>> & {
  /** Needed to subscribe and to commit. */
  readonly groupId?: string
  /** Makes a static member: it keeps its partitions over a restart (KIP-345). */
  readonly groupInstanceId?: string
  /** Default "millrace". */
  readonly clientId?: string
  /**
   * In order of preference; default cooperative-sticky alone. Partitions are kept over rebalances
   * only where all of them can do that.
   */
  readonly assignors?: readonly AssignorName[]
  /** Default "latest". */
  readonly autoOffsetReset?: AutoOffsetReset
  /** Default "read_uncommitted". */
  readonly isolation?: Isolation
  /** Whether checksums of fetched batches are compared. Default true. */
  readonly checkCrc?: boolean
  /** Told of failures in the background that are tried again later. Must not throw. */
  readonly onBackgroundError?: (error: LogError) => void
  /** Clock, timers and randomness; default: the platform's. */
  readonly outside?: Outside
}

/** Options with everything decided. */
export type ResolvedConsumerOptions = SettingValues<typeof CONSUMER_SETTINGS> & {
  readonly groupId: string | null
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly assignors: readonly AssignorName[]
  readonly cooperative: boolean
  readonly autoOffsetReset: AutoOffsetReset
  readonly isolation: Isolation
  readonly checkCrc: boolean
  readonly onBackgroundError: (error: LogError) => void
  readonly outside: Outside
  readonly backoff: Backoff
}

/** Checks options and fills in the defaults. Throws RangeError on a bad one. */
export function resolveConsumerOptions(options: ConsumerOptions): ResolvedConsumerOptions {
  const settings = resolveSettings(CONSUMER_SETTINGS, options)
  const assignors = options.assignors ?? ['cooperative-sticky']
  if (assignors.length === 0) throw new RangeError('assignors must name at least one')
  for (const name of assignors)
    if (!Object.hasOwn(ASSIGNORS, name))
      throw new RangeError(`assignors: ${name} is none of ${Object.keys(ASSIGNORS).join(', ')}`)
  if (options.groupId === '') throw new RangeError('groupId must not be empty')
  if (settings.commitIntervalMs > 0 && options.groupId === undefined)
    throw new RangeError('commitIntervalMs needs a groupId')
  if (settings.heartbeatIntervalMs >= settings.sessionTimeoutMs)
    throw new RangeError('heartbeatIntervalMs must be less than sessionTimeoutMs')
  return Object.freeze({
    ...settings,
    groupId: options.groupId ?? null,
    groupInstanceId: options.groupInstanceId ?? null,
    clientId: options.clientId ?? 'millrace',
    assignors: [...assignors],
    cooperative: assignors.every(name => ASSIGNORS[name].cooperative),
    autoOffsetReset: options.autoOffsetReset ?? 'latest',
    isolation: options.isolation ?? 'read_uncommitted',
    checkCrc: options.checkCrc ?? true,
    onBackgroundError: options.onBackgroundError ?? (() => {}),
    outside: options.outside ?? systemOutside(),
    backoff: { firstMs: settings.retryBackoffMs, maxMs: settings.retryBackoffMaxMs },
  })
}
