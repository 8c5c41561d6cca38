/**
 * The configuration of a topic: Kafka's names, as text, over the node's defaults.
 *
 * Keys that mean something here are listed with their bounds. Keys that a single node has no use for
 * are accepted with the values that Kafka accepts, so that clients which always send them work, and
 * are documented as being without effect.
 */
import { type ConfigChange, type ConfigEntry, type ConfigType, LogError } from '@millrace/log'

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

type ConfigKey = {
  readonly type: ConfigType
  readonly default: string
  readonly doc: string
  /** What is wrong with the value; null if nothing. */
  readonly problem: (value: string) => string | null
}

const FOREVER = '9223372036854775807'

const long = (fallback: string, min: number, doc: string, max = FOREVER): ConfigKey => ({
  type: 'long',
  default: fallback,
  doc,
  problem: value => wholeNumberProblem(value, BigInt(min), BigInt(max)),
})

const choice = (fallback: string, choices: readonly string[], doc: string): ConfigKey => ({
  type: 'string',
  default: fallback,
  doc,
  problem: value => (choices.includes(value) ? null : `must be one of ${choices.join(', ')}`),
})

const flag = (fallback: string, doc: string): ConfigKey => ({
  type: 'boolean',
  default: fallback,
  doc,
  problem: value => (value === 'true' || value === 'false' ? null : 'must be true or false'),
})

/** Words of `choices`, each at most once, separated by commas; at least one. */
const words = (fallback: string, choices: readonly string[], doc: string): ConfigKey => ({
  type: 'list',
  default: fallback,
  doc,
  problem: value => {
    const named = value.split(',')
    const right =
      named.every(word => choices.includes(word)) && new Set(named).size === named.length
    return right ? null : `must be one or more of ${choices.join(', ')}, separated by commas`
  },
})

const IDLE = 'Accepted for compatibility; without effect here. '

/** All keys of a topic's configuration. */
const KEYS: Readonly<Record<string, ConfigKey>> = {
  'cleanup.policy': words(
    'delete',
    ['compact', 'delete'],
    'What becomes of old records: delete, by retention.ms and retention.bytes; compact, the last value of each key stays; or both.',
  ),
  'compression.type': choice('producer', ['producer'], 'Batches are stored as they come.'),
  'delete.retention.ms': long(
    '86400000',
    0,
    'How long a tombstone of a compacted topic stays once what it deletes is gone. Milliseconds.',
  ),
  durability: choice(
    'sync',
    ['sync', 'interval', 'os'],
    'When an append is acknowledged: after its sync; after its write, synced at the latest after flush.interval.ms; after its write, synced at the next checkpoint. Ours.',
  ),
  'file.delete.delay.ms': long('60000', 0, `${IDLE}Files go as soon as nobody reads them.`),
  'flush.messages': long(FOREVER, 1, `${IDLE}See durability.`),
  'flush.ms': long(FOREVER, 0, `${IDLE}See durability.`),
  'index.interval.bytes': long('4096', 0, `${IDLE}The index is sparse by itself.`),
  'max.compaction.lag.ms': long(
    FOREVER,
    1,
    'Age at which the records of a compacted topic are cleaned whatever min.cleanable.dirty.ratio says; a segment is closed early enough for it. Milliseconds.',
  ),
  'max.message.bytes': long('1048588', 0, 'Largest record batch, as received. Bytes.', '15728640'),
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
  'min.cleanable.dirty.ratio': {
    type: 'double',
    default: '0.5',
    doc: 'Share of uncleaned bytes in a compacted partition from which on it is cleaned, 0 to 1.',
    problem: value =>
      Number(value) >= 0 && Number(value) <= 1 && value.trim() !== '' ? null : 'must lie in 0 to 1',
  },
  'min.compaction.lag.ms': long(
    '0',
    0,
    'How long a record of a compacted topic stays at least. Milliseconds.',
  ),
  'min.insync.replicas': long('1', 1, 'One node keeps one copy.', '1'),
  preallocate: flag('false', `${IDLE}The journal is preallocated.`),
  'retention.bytes': long('-1', -1, 'Largest size of a partition; -1 for no limit. Bytes.'),
  'retention.ms': long('604800000', -1, 'How long records are kept; -1 for ever. Milliseconds.'),
  'segment.bytes': long('134217728', 4096, 'Size at which a segment is closed.', '1073741824'),
  'segment.index.bytes': long('10485760', 4, `${IDLE}The index is sparse by itself.`),
  'segment.jitter.ms': long('0', 0, `${IDLE}Segments are closed as they fill.`),
  'segment.ms': long('604800000', 1, 'Age at which a segment is closed. Milliseconds.'),
  'unclean.leader.election.enable': flag('false', `${IDLE}There are no elections on one node.`),
}

/** Own keys only: names such as `constructor` come from clients, too. */
function keyNamed(name: string): ConfigKey {
  const key = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined
  if (key === undefined) throw new LogError('INVALID_CONFIG', `unknown key ${name}`)
  return key
}

/** The overrides of a topic, checked: throws INVALID_CONFIG that names key and bound. */
export function checkTopicConfig(overrides: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(overrides)) {
    const key = keyNamed(name)
    const problem = key.problem(value)
    if (problem !== null) throw new LogError('INVALID_CONFIG', `${name}=${value}: ${problem}`)
  }
  const { minCompactionLagMs: min, maxCompactionLagMs: max } = topicConfigOf(overrides, {})
  if (min > max) {
    throw new LogError(
      'INVALID_CONFIG',
      `min.compaction.lag.ms=${min}: at most max.compaction.lag.ms=${max}`,
    )
  }
}

/** The overrides after some changes (KIP-339). Throws INVALID_CONFIG. */
export function changeTopicConfig(
  overrides: Readonly<Record<string, string>>,
  changes: readonly ConfigChange[],
): Readonly<Record<string, string>> {
  const result: Record<string, string> = { ...overrides }
  for (const { name, operation, value } of changes) {
    const key = keyNamed(name)
    if (operation === 'delete') {
      delete result[name]
      continue
    }
    if (value === null) throw new LogError('INVALID_CONFIG', `${name}: a value is missing`)
    if (operation === 'set') {
      result[name] = value
      continue
    }
    if (key.type !== 'list') {
      throw new LogError('INVALID_CONFIG', `${name} is no list: ${operation} does not apply`)
    }
    const current = (result[name] ?? key.default).split(',').filter(item => item !== '')
    const named = value.split(',').filter(item => item !== '')
    const next =
      operation === 'append'
        ? [...current, ...named.filter(item => !current.includes(item))]
        : current.filter(item => !named.includes(item))
    result[name] = next.join(',')
  }
  checkTopicConfig(result)
  return result
}

/** The values that the engine works with. */
export function topicConfigOf(
  overrides: Readonly<Record<string, string>>,
  node: Readonly<Record<string, string>>,
): TopicConfig {
  const text = (name: string): string => overrides[name] ?? node[name] ?? KEYS[name]?.default ?? ''
  // Beyond 2^53 a number of ms or bytes means "for ever": the nearest safe integer means it too.
  const number = (name: string): number => Math.min(Number(text(name)), Number.MAX_SAFE_INTEGER)
  const policy = text('cleanup.policy').split(',')
  const compacts = policy.includes('compact')
  const minCompactionLagMs = number('min.compaction.lag.ms')
  const maxCompactionLagMs = number('max.compaction.lag.ms')
  // What is still being written cannot be cleaned: it is closed so early that the lag can be kept.
  const closedAfterMs = compacts
    ? Math.max(maxCompactionLagMs - minCompactionLagMs, 1)
    : Number.POSITIVE_INFINITY
  return {
    durability: text('durability') as Durability,
    maxMessageBytes: number('max.message.bytes'),
    timestampType: text('message.timestamp.type') as TopicConfig['timestampType'],
    timestampBeforeMaxMs: number('message.timestamp.before.max.ms'),
    timestampAfterMaxMs: number('message.timestamp.after.max.ms'),
    retentionBytes: number('retention.bytes'),
    retentionMs: number('retention.ms'),
    segmentBytes: number('segment.bytes'),
    segmentMs: Math.min(number('segment.ms'), closedAfterMs),
    deletes: policy.includes('delete'),
    compacts,
    deleteRetentionMs: number('delete.retention.ms'),
    minCompactionLagMs,
    maxCompactionLagMs,
    minCleanableDirtyRatio: number('min.cleanable.dirty.ratio'),
  }
}

/** The whole configuration as DescribeConfigs shows it. */
export function describeTopicConfig(
  overrides: Readonly<Record<string, string>>,
  node: Readonly<Record<string, string>>,
): readonly ConfigEntry[] {
  return Object.entries(KEYS).map(([name, key]) => {
    const source =
      overrides[name] !== undefined ? 'topic' : node[name] !== undefined ? 'node' : 'default'
    return {
      name,
      value: overrides[name] ?? node[name] ?? key.default,
      source,
      type: key.type,
      readOnly: false,
      documentation: key.doc,
    }
  })
}

function wholeNumberProblem(value: string, min: bigint, max: bigint): string | null {
  if (!/^-?\d{1,19}$/.test(value)) return 'must be a whole number'
  const number = BigInt(value)
  return number >= min && number <= max ? null : `must lie in ${min} to ${max}`
}
