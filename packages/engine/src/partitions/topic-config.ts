/**
 * The configuration of a topic: Kafka's names, as text, over the node's defaults.
 *
 * Every key of Kafka is taken with the values that Kafka takes, so that clients which always send them
 * work. Those that a single node has no use for are documented as being without effect, and where a
 * bound of ours is narrower the value counts as far as it goes.
 */
import { type ConfigChange, type ConfigEntry, type ConfigSynonym, LogError } from '@millrace/log'
import { ENGINE_SETTINGS, type EngineSettings } from '../settings.ts'
import {
  anyLong,
  type ConfigKey,
  choice,
  FOREVER,
  flag,
  fraction,
  int,
  intOrMinusOne,
  list,
  long,
  parseConfig,
  Refused,
  text,
  wordsOf,
} from './config-def.ts'

/** When an append to a topic is acknowledged. */
export type Durability = 'sync' | 'interval' | 'os'

/** The values that the engine works with. */
export type TopicConfig = {
  readonly durability: Durability
  readonly maxMessageBytes: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
  /** -1: no limit. */
  readonly retentionBytes: number
  readonly retentionMs: number
  readonly segmentBytes: number
  /** Age at which a segment is closed; no later than `maxCompactionLagMs` asks for. */
  readonly segmentMs: number
  /** Whether old segments go by `retentionMs` and `retentionBytes`. */
  readonly deletes: boolean
  /** Whether older values of a key go, and every record needs a key. */
  readonly compacts: boolean
  readonly deleteRetentionMs: number
  readonly minCompactionLagMs: number
  readonly maxCompactionLagMs: number
  readonly minCleanableDirtyRatio: number
}

/** A batch fits into one file of the journal. */
const BATCH_BYTES_MAX = 15_728_640
/** Positions in a segment are small numbers. */
const SEGMENT_BYTES_MAX = 1_073_741_824
const SEGMENT_BYTES_MIN = 4096

const IDLE = 'Accepted for compatibility; without effect here. '

const TIERED = `${IDLE}There is no tiered storage.`
const THROTTLED = '"*", or PARTITION:NODE pairs separated by commas, such as 0:1,1:1'
const areThrottled = (words: readonly string[]): boolean =>
  words.join() === '*' || words.every(word => /^\d+:\d+$/.test(word))

/** All keys of a topic's configuration. */
const KEYS: Readonly<Record<string, ConfigKey>> = {
  'cleanup.policy': list(
    'delete',
    words => words.every(word => word === 'compact' || word === 'delete'),
    'compact, delete, both (compact,delete), or empty for neither',
    'What becomes of old records: delete, by retention.ms and retention.bytes; compact, the last value of each key stays; both; or, when empty, nothing: they stay.',
  ),
  'compression.gzip.level': intOrMinusOne('-1', [1, 9], `${IDLE}Batches are stored as they come.`),
  'compression.lz4.level': int('9', 1, `${IDLE}Batches are stored as they come.`, '17'),
  'compression.type': choice(
    'producer',
    ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'],
    'Whatever it says, batches are stored as they come, like with producer: nothing is compressed again.',
  ),
  'compression.zstd.level': int('3', -131_072, `${IDLE}Batches are stored as they come.`, '22'),
  'delete.retention.ms': long(
    '86400000',
    0,
    'How long a tombstone of a compacted topic stays once what it deletes is gone. Milliseconds.',
  ),
  durability: choice(
    'sync',
    ['sync', 'interval', 'os'],
    'When an append is acknowledged: after its sync; after its write, synced at the latest after flush.interval.ms; after its write, synced at the next checkpoint. Ours; without it flush.messages and flush.ms decide.',
  ),
  'file.delete.delay.ms': long('60000', 0, `${IDLE}Files go as soon as nobody reads them.`),
  'flush.messages': long(
    FOREVER,
    1,
    'Below 2^63 - 1: durability sync, which is at least what any number asks for. durability wins over it.',
  ),
  'flush.ms': long(
    FOREVER,
    0,
    'How long an append may stay unsynced: below flush.interval.ms it means durability sync, below checkpoint.interval.ms interval, from there on os; 2^63 - 1 means nothing. durability wins over it. Milliseconds.',
  ),
  'follower.replication.throttled.replicas': list(
    '',
    areThrottled,
    THROTTLED,
    `${IDLE}There are no followers.`,
  ),
  'index.interval.bytes': int('4096', 0, `${IDLE}The index is sparse by itself.`),
  'leader.replication.throttled.replicas': list(
    '',
    areThrottled,
    THROTTLED,
    `${IDLE}There are no followers.`,
  ),
  'local.retention.bytes': long('-2', -2, TIERED),
  'local.retention.ms': long('-2', -2, TIERED),
  'max.compaction.lag.ms': long(
    FOREVER,
    1,
    'Age at which the records of a compacted topic are cleaned whatever min.cleanable.dirty.ratio says; a segment is closed early enough for it. Milliseconds.',
  ),
  'max.message.bytes': int(
    '1048588',
    0,
    `Largest record batch, as received; at most ${BATCH_BYTES_MAX}, whatever more it says. Bytes.`,
  ),
  'message.timestamp.after.max.ms': long(
    '3600000',
    0,
    'How far a timestamp may lie ahead of the node. Milliseconds.',
  ),
  'message.timestamp.before.max.ms': long(
    FOREVER,
    0,
    'How far a timestamp may lie behind the node. Milliseconds.',
  ),
  'message.timestamp.type': choice(
    'CreateTime',
    ['CreateTime', 'LogAppendTime'],
    'Whose clock the timestamps show.',
  ),
  'min.cleanable.dirty.ratio': fraction(
    '0.5',
    [0, 1],
    'Share of uncleaned bytes in a compacted partition from which on it is cleaned, 0 to 1.',
  ),
  'min.compaction.lag.ms': long(
    '0',
    0,
    'How long a record of a compacted topic stays at least. Milliseconds.',
  ),
  'min.insync.replicas': int(
    '1',
    1,
    `${IDLE}One node keeps one copy, whatever is asked, and answers when that is as safe as durability says.`,
  ),
  preallocate: flag('false', `${IDLE}The journal is preallocated.`),
  'remote.log.copy.disable': flag('false', TIERED),
  'remote.log.delete.on.disable': flag('false', TIERED),
  'remote.storage.enable': {
    ...flag('false', 'There is no tiered storage: only false is taken.'),
    parse: value =>
      value.trim().toLowerCase() === 'false'
        ? 'false'
        : new Refused('must be false: this node has no tiered storage'),
  },
  'retention.bytes': anyLong('-1', 'Largest size of a partition; negative for no limit. Bytes.'),
  'retention.ms': long('604800000', -1, 'How long records are kept; -1 for ever. Milliseconds.'),
  'segment.bytes': int(
    '134217728',
    SEGMENT_BYTES_MIN,
    `Size at which a segment is closed; at most ${SEGMENT_BYTES_MAX}, whatever more it says. Bytes.`,
  ),
  'segment.index.bytes': int('10485760', 4, `${IDLE}The index is sparse by itself.`),
  'segment.jitter.ms': long('0', 0, `${IDLE}Segments are closed as they fill.`),
  'segment.ms': long('604800000', 1, 'Age at which a segment is closed. Milliseconds.'),
  'unclean.leader.election.enable': flag('false', `${IDLE}There are no elections on one node.`),
}

/** Keys of earlier Kafkas, which old tools still send: taken, shown only where a topic has them. */
const PAST_KEYS: Readonly<Record<string, ConfigKey>> = {
  'message.downconversion.enable': flag('true', `${IDLE}Kafka had it up to 3.9.`),
  'message.format.version': text('3.0-IV1', `${IDLE}Kafka had it up to 3.9.`),
  'message.timestamp.difference.max.ms': long(FOREVER, 0, `${IDLE}Kafka had it up to 3.9.`),
}

/** Own keys only: names such as `constructor` come from clients, too. */
function keyNamed(name: string): ConfigKey | undefined {
  if (Object.hasOwn(KEYS, name)) return KEYS[name]
  return Object.hasOwn(PAST_KEYS, name) ? PAST_KEYS[name] : undefined
}

function requireKey(name: string): ConfigKey {
  const key = keyNamed(name)
  if (key === undefined) throw new LogError('INVALID_CONFIG', `unknown key ${name}`)
  return key
}

/**
 * The overrides of a topic in their canonical text. Throws INVALID_CONFIG that names key and bound.
 */
export function canonicalTopicConfig(
  overrides: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const canonical = Object.fromEntries(
    Object.entries(overrides).map(([name, value]) => [
      name,
      parseConfig(name, requireKey(name), value),
    ]),
  )
  const { minCompactionLagMs: min, maxCompactionLagMs: max } = topicConfigOf(canonical, {})
  if (min > max) {
    throw new LogError(
      'INVALID_CONFIG',
      `min.compaction.lag.ms=${min}: at most max.compaction.lag.ms=${max}`,
    )
  }
  return canonical
}

/** The overrides after some changes (KIP-339). Throws INVALID_CONFIG. */
export function changeTopicConfig(
  overrides: Readonly<Record<string, string>>,
  changes: readonly ConfigChange[],
): Readonly<Record<string, string>> {
  const result = new Map(Object.entries(overrides))
  for (const { name, operation, value } of changes) {
    // Tools reset keys of other versions to their defaults, beside what they want to change.
    if (operation === 'delete') {
      result.delete(name)
      continue
    }
    const key = requireKey(name)
    if (value === null) throw new LogError('INVALID_CONFIG', `${name}: a value is missing`)
    if (operation === 'set') {
      result.set(name, value)
      continue
    }
    if (key.type !== 'list') {
      throw new LogError('INVALID_CONFIG', `${name} is no list: ${operation} does not apply`)
    }
    const current = wordsOf(result.get(name) ?? key.default)
    const named = wordsOf(value)
    const next =
      operation === 'append'
        ? [...current, ...named]
        : current.filter(item => !named.includes(item))
    result.set(name, next.join(','))
  }
  return canonicalTopicConfig(Object.fromEntries(result))
}

/** The settings of the node on which it depends what `flush.ms` means. */
export type FlushSettings = Pick<EngineSettings, 'checkpoint.interval.ms' | 'flush.interval.ms'>

const FLUSH_DEFAULTS: FlushSettings = {
  'checkpoint.interval.ms': ENGINE_SETTINGS['checkpoint.interval.ms'].default,
  'flush.interval.ms': ENGINE_SETTINGS['flush.interval.ms'].default,
}

/** What Kafka's own keys ask for; undefined when they ask for nothing. */
function durabilityOfFlush(
  text: (name: string) => string,
  settings: FlushSettings,
): Durability | undefined {
  if (text('flush.messages') !== FOREVER) return 'sync'
  if (text('flush.ms') === FOREVER) return undefined
  const ms = Number(text('flush.ms'))
  if (ms < settings['flush.interval.ms']) return 'sync'
  return ms < settings['checkpoint.interval.ms'] ? 'interval' : 'os'
}

/** By the topic's `durability`, its `flush` keys, the node's, in this order. */
function durabilityOf(
  overrides: Readonly<Record<string, string>>,
  node: Readonly<Record<string, string>>,
  settings: FlushSettings,
): Durability {
  for (const level of [overrides, node]) {
    const own = level['durability'] as Durability | undefined
    const asked = durabilityOfFlush(name => level[name] ?? FOREVER, settings)
    if (own !== undefined || asked !== undefined) return own ?? asked ?? 'sync'
  }
  return KEYS['durability']?.default as Durability
}

/** The values that the engine works with. */
export function topicConfigOf(
  overrides: Readonly<Record<string, string>>,
  node: Readonly<Record<string, string>>,
  settings: FlushSettings = FLUSH_DEFAULTS,
): TopicConfig {
  const text = (name: string): string => overrides[name] ?? node[name] ?? KEYS[name]?.default ?? ''
  // Beyond 2^53 a number of ms or bytes means "for ever": the nearest safe integer means it too.
  const number = (name: string): number => Math.min(Number(text(name)), Number.MAX_SAFE_INTEGER)
  const policy = wordsOf(text('cleanup.policy'))
  const compacts = policy.includes('compact')
  const minCompactionLagMs = number('min.compaction.lag.ms')
  const maxCompactionLagMs = number('max.compaction.lag.ms')
  // What is still being written cannot be cleaned: it is closed so early that the lag can be kept.
  const closedAfterMs = compacts
    ? Math.max(maxCompactionLagMs - minCompactionLagMs, 1)
    : Number.POSITIVE_INFINITY
  return {
    durability: durabilityOf(overrides, node, settings),
    maxMessageBytes: Math.min(number('max.message.bytes'), BATCH_BYTES_MAX),
    timestampType: text('message.timestamp.type') as TopicConfig['timestampType'],
    timestampBeforeMaxMs: number('message.timestamp.before.max.ms'),
    timestampAfterMaxMs: number('message.timestamp.after.max.ms'),
    retentionBytes: Math.max(number('retention.bytes'), -1),
    retentionMs: number('retention.ms'),
    segmentBytes: Math.min(number('segment.bytes'), SEGMENT_BYTES_MAX),
    segmentMs: Math.min(number('segment.ms'), closedAfterMs),
    deletes: policy.includes('delete'),
    compacts,
    deleteRetentionMs: number('delete.retention.ms'),
    minCompactionLagMs,
    maxCompactionLagMs,
    minCleanableDirtyRatio: number('min.cleanable.dirty.ratio'),
  }
}

/** The whole configuration as DescribeConfigs shows it: the values in force, and where they come from. */
export function describeTopicConfig(
  overrides: Readonly<Record<string, string>>,
  node: Readonly<Record<string, string>>,
  settings: FlushSettings = FLUSH_DEFAULTS,
): readonly ConfigEntry[] {
  const durability = durabilityOf(overrides, node, settings)
  const inForce: Readonly<Record<string, string>> = {
    durability,
    ...flushOf(durability, settings),
  }
  const past = Object.entries(PAST_KEYS).filter(([name]) => overrides[name] !== undefined)
  return [...Object.entries(KEYS), ...past]
    .map(([name, key]) => {
      const [own, nodes] = [overrides[name], node[name]]
      const fallback = inForce[name] ?? key.default
      const places: readonly ConfigSynonym[] = [
        ...(own === undefined ? [] : [{ name, value: own, source: 'topic' } as const]),
        ...(nodes === undefined
          ? []
          : [{ name: brokerName(name), value: nodes, source: 'node' } as const]),
        ...defaultPlace(name, own === undefined && nodes === undefined ? fallback : key.default),
      ]
      const [first] = places
      return {
        name,
        value: own ?? nodes ?? fallback,
        source: first?.source ?? 'default',
        type: key.type,
        readOnly: false,
        documentation: key.doc,
        synonyms: places,
      }
    })
    .sort((left, right) => (left.name < right.name ? -1 : 1))
}

/** Kafka's keys for a durability, as its own tools show it where nobody has set them. */
function flushOf(
  durability: Durability,
  settings: FlushSettings,
): Readonly<Record<string, string>> {
  if (durability === 'sync') return { 'flush.messages': '1' }
  const ms = settings[durability === 'interval' ? 'flush.interval.ms' : 'checkpoint.interval.ms']
  return { 'flush.ms': String(ms) }
}

/** Kafka's broker name of a topic default, where it is not `log.` in front of the topic's name. */
const BROKER_NAMES: Readonly<Record<string, string>> = {
  'compression.gzip.level': 'compression.gzip.level',
  'compression.lz4.level': 'compression.lz4.level',
  'compression.type': 'compression.type',
  'compression.zstd.level': 'compression.zstd.level',
  'delete.retention.ms': 'log.cleaner.delete.retention.ms',
  'file.delete.delay.ms': 'log.segment.delete.delay.ms',
  'flush.messages': 'log.flush.interval.messages',
  'flush.ms': 'log.flush.interval.ms',
  'max.compaction.lag.ms': 'log.cleaner.max.compaction.lag.ms',
  'max.message.bytes': 'message.max.bytes',
  'min.cleanable.dirty.ratio': 'log.cleaner.min.cleanable.ratio',
  'min.compaction.lag.ms': 'log.cleaner.min.compaction.lag.ms',
  'min.insync.replicas': 'min.insync.replicas',
  'segment.index.bytes': 'log.index.size.max.bytes',
  'segment.jitter.ms': 'log.roll.jitter.ms',
  'segment.ms': 'log.roll.ms',
  'unclean.leader.election.enable': 'unclean.leader.election.enable',
}

/** Keys that only topics have: a broker has no default of them under any name. */
const TOPICS_ALONE: ReadonlySet<string> = new Set([
  'follower.replication.throttled.replicas',
  'leader.replication.throttled.replicas',
  'remote.log.copy.disable',
  'remote.log.delete.on.disable',
  'remote.storage.enable',
])

/** Keys whose broker's default is not set in Kafka, which then goes by others (log.retention.hours). */
const UNSET_BY_DEFAULT: ReadonlySet<string> = new Set([
  'flush.ms',
  'retention.ms',
  'segment.jitter.ms',
  'segment.ms',
])

/** Whether brokers have a default of the topic's key, under {@link brokerName}. */
export const hasBrokerName = (name: string): boolean => !TOPICS_ALONE.has(name)

const defaultPlace = (name: string, value: string): readonly ConfigSynonym[] =>
  hasBrokerName(name) && !UNSET_BY_DEFAULT.has(name)
    ? [{ name: brokerName(name), value, source: 'default' }]
    : []

/** The name under which a broker has the default of a topic's key. */
export const brokerName = (name: string): string => BROKER_NAMES[name] ?? `log.${name}`
