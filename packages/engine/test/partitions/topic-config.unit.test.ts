// A topic's configuration: every key within its bounds, changes all or none (KIP-339).
import { LogError } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import {
  canonicalTopicConfig,
  changeTopicConfig,
  describeTopicConfig,
  topicConfigOf,
} from '../../src/partitions/topic-config.ts'

const FOREVER = '9223372036854775807'
const BEYOND = '9223372036854775808'

function refusal(work: () => unknown): string | null {
  try {
    work()
    return null
  } catch (cause) {
    if (!(cause instanceof LogError)) throw cause
    expect(cause.code).toBe('INVALID_CONFIG')
    return cause.message
  }
}

const LONG_MIN = '-9223372036854775808'
const INT_MAX = '2147483647'

/** Key, smallest and largest value that is taken: those of Apache Kafka, segment.bytes apart. */
const WHOLE_NUMBERS: readonly (readonly [string, string, string])[] = [
  ['compression.lz4.level', '1', '17'],
  ['compression.zstd.level', '-131072', '22'],
  ['delete.retention.ms', '0', FOREVER],
  ['file.delete.delay.ms', '0', FOREVER],
  ['flush.messages', '1', FOREVER],
  ['flush.ms', '0', FOREVER],
  ['index.interval.bytes', '0', INT_MAX],
  ['local.retention.bytes', '-2', FOREVER],
  ['local.retention.ms', '-2', FOREVER],
  ['max.compaction.lag.ms', '1', FOREVER],
  ['max.message.bytes', '0', INT_MAX],
  ['message.timestamp.after.max.ms', '0', FOREVER],
  ['message.timestamp.before.max.ms', '0', FOREVER],
  ['min.compaction.lag.ms', '0', FOREVER],
  ['min.insync.replicas', '1', INT_MAX],
  ['retention.bytes', LONG_MIN, FOREVER],
  ['retention.ms', '-1', FOREVER],
  ['segment.bytes', '4096', INT_MAX],
  ['segment.index.bytes', '4', INT_MAX],
  ['segment.jitter.ms', '0', FOREVER],
  ['segment.ms', '1', FOREVER],
]

const CHOICES: readonly (readonly [string, readonly string[]])[] = [
  ['compression.type', ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd']],
  ['durability', ['sync', 'interval', 'os']],
  ['message.timestamp.type', ['CreateTime', 'LogAppendTime']],
]

const FLAGS = [
  'preallocate',
  'remote.log.copy.disable',
  'remote.log.delete.on.disable',
  'unclean.leader.election.enable',
]

const OTHERS = [
  'cleanup.policy',
  'compression.gzip.level',
  'follower.replication.throttled.replicas',
  'leader.replication.throttled.replicas',
  'min.cleanable.dirty.ratio',
  'remote.storage.enable',
]

/** The canonical text of one value. */
const canonical = (key: string, value: string): string | undefined =>
  canonicalTopicConfig({ [key]: value })[key]

describe('the configuration of a topic', () => {
  test.each(WHOLE_NUMBERS)('%s is taken from %s to %s and not beyond', (key, min, max) => {
    const below = String(BigInt(min) - 1n)
    const above = max === FOREVER ? BEYOND : String(BigInt(max) + 1n)
    for (const value of [min, max]) expect(canonical(key, value)).toBe(value)
    for (const value of [below, above]) {
      const message = refusal(() => canonicalTopicConfig({ [key]: value }))
      expect(message).toContain(key)
      expect(message).toMatch(/must lie in|must be a whole number/)
    }
    for (const value of ['', '5.0', '1e3', '0x10', '1 0', '--1', 'many', '99999999999999999999']) {
      expect(
        refusal(() => canonicalTopicConfig({ [key]: value })),
        value,
      ).toContain(key)
    }
  })

  test('numbers may have space around them and a sign, and are kept without', () => {
    expect(canonical('retention.ms', ' 1000\t')).toBe('1000')
    expect(canonical('retention.ms', '+1000')).toBe('1000')
    expect(canonical('retention.ms', '0001000')).toBe('1000')
    expect(canonical('retention.ms', '-1')).toBe('-1')
  })

  test.each(CHOICES)('%s takes exactly its choices, in their case', (key, choices) => {
    for (const value of choices) expect(canonical(key, ` ${value} `)).toBe(value)
    for (const value of ['', 'other', choices[0]?.toUpperCase() ?? '']) {
      expect(
        refusal(() => canonicalTopicConfig({ [key]: value })),
        value,
      ).toContain(key)
    }
  })

  test.each(FLAGS)('%s is true or false in any case', key => {
    for (const value of ['true', 'TRUE', ' True ']) expect(canonical(key, value)).toBe('true')
    for (const value of ['false', 'FALSE', 'False']) expect(canonical(key, value)).toBe('false')
    for (const value of ['', 'yes', '1', 'truefalse']) {
      expect(
        refusal(() => canonicalTopicConfig({ [key]: value })),
        value,
      ).toContain('true or false')
    }
  })

  test('tiered storage can be said to be off, and not be switched on', () => {
    expect(canonical('remote.storage.enable', 'False')).toBe('false')
    expect(refusal(() => canonicalTopicConfig({ 'remote.storage.enable': 'true' }))).toContain(
      'no tiered storage',
    )
  })

  test('cleanup.policy is a list of compact and delete, each counted once, or empty', () => {
    const texts: Readonly<Record<string, string>> = {
      delete: 'delete',
      compact: 'compact',
      'delete,compact': 'delete,compact',
      ' compact , delete ': 'compact,delete',
      'compact,compact': 'compact',
      '': '',
    }
    for (const [value, text] of Object.entries(texts)) {
      expect(canonical('cleanup.policy', value)).toBe(text)
    }
    for (const value of ['Compact', 'compact,', ',', 'compact delete']) {
      expect(
        refusal(() => canonicalTopicConfig({ 'cleanup.policy': value })),
        value,
      ).toContain('cleanup.policy')
    }
    const both = topicConfigOf({ 'cleanup.policy': 'compact,delete' }, {})
    expect([both.compacts, both.deletes]).toEqual([true, true])
    const neither = topicConfigOf({ 'cleanup.policy': '' }, {})
    expect([neither.compacts, neither.deletes]).toEqual([false, false])
  })

  test.each(['leader', 'follower'])('%s throttles are "*" or pairs, and have no effect', side => {
    const key = `${side}.replication.throttled.replicas`
    for (const value of ['', '*', '0:1', '0:1,1:1']) expect(canonical(key, value)).toBe(value)
    for (const value of ['x', '0:1,*', '0', ':1']) {
      expect(refusal(() => canonicalTopicConfig({ [key]: value }))).toContain(key)
    }
  })

  test('a level of gzip is 1 to 9, or -1', () => {
    for (const value of ['-1', '1', '9']) {
      expect(canonical('compression.gzip.level', value)).toBe(value)
    }
    for (const value of ['-2', '0', '10']) {
      expect(refusal(() => canonicalTopicConfig({ 'compression.gzip.level': value }))).toContain(
        '1 to 9, or be -1',
      )
    }
  })

  test('keys of earlier Kafkas are taken, and shown where a topic has them', () => {
    const past = { 'message.format.version': '2.8', 'message.downconversion.enable': 'FALSE' }
    const kept = canonicalTopicConfig(past)
    expect(kept).toEqual({ ...past, 'message.downconversion.enable': 'false' })
    const names = (overrides: Readonly<Record<string, string>>): readonly string[] =>
      describeTopicConfig(overrides, {}).map(({ name }) => name)
    expect(names(kept)).toEqual(expect.arrayContaining(Object.keys(past)))
    expect(names({})).not.toContain('message.format.version')
  })

  test('where a bound of the engine is narrower, a value counts as far as it goes', () => {
    const large = topicConfigOf({ 'max.message.bytes': INT_MAX, 'segment.bytes': INT_MAX }, {})
    expect([large.maxMessageBytes, large.segmentBytes]).toEqual([15_728_640, 1_073_741_824])
    expect(topicConfigOf({ 'retention.bytes': '-7' }, {}).retentionBytes).toBe(-1)
  })

  test('a compacted topic closes segments so early that both lags can be kept', () => {
    const lags = { 'min.compaction.lag.ms': '400', 'max.compaction.lag.ms': '1000' }
    expect(topicConfigOf({ ...lags, 'cleanup.policy': 'compact' }, {}).segmentMs).toBe(600)
    expect(topicConfigOf(lags, {}).segmentMs).toBe(604_800_000)
    const crossed = { ...lags, 'min.compaction.lag.ms': '1001' }
    expect(refusal(() => canonicalTopicConfig(crossed))).toContain('max.compaction.lag.ms=1000')
  })

  test('min.cleanable.dirty.ratio lies in 0 to 1', () => {
    for (const value of ['0', '0.5', '1', ' .5', '5e-1', '0.5d']) {
      expect(
        refusal(() => canonicalTopicConfig({ 'min.cleanable.dirty.ratio': value })),
        value,
      ).toBeNull()
    }
    expect(canonical('min.cleanable.dirty.ratio', '5e-1')).toBe('0.5')
    for (const value of ['-0.1', '1.1', 'x', '', ' ', 'NaN', '0x1', '1 2']) {
      expect(
        refusal(() => canonicalTopicConfig({ 'min.cleanable.dirty.ratio': value })),
        value,
      ).not.toBeNull()
    }
  })

  test('these are all the keys there are', () => {
    const named = [...WHOLE_NUMBERS, ...CHOICES].map(([key]) => key)
    expect(describeTopicConfig({}, {}).map(({ name }) => name)).toEqual(
      [...named, ...FLAGS, ...OTHERS].sort(),
    )
  })

  describe("durability by Kafka's own keys", () => {
    const settings = { 'flush.interval.ms': 100, 'checkpoint.interval.ms': 10_000 }
    const durability = (
      topic: Readonly<Record<string, string>>,
      node: Readonly<Record<string, string>> = {},
    ): string => topicConfigOf(topic, node, settings).durability

    test('flush.messages of any number asks for sync', () => {
      expect(durability({ 'flush.messages': '1' }, { durability: 'os' })).toBe('sync')
      expect(durability({ 'flush.messages': '10000' }, { durability: 'os' })).toBe('sync')
    })

    test('flush.ms asks for what keeps it', () => {
      expect(durability({ 'flush.ms': '0' }, { durability: 'os' })).toBe('sync')
      expect(durability({ 'flush.ms': '99' }, { durability: 'os' })).toBe('sync')
      expect(durability({ 'flush.ms': '100' })).toBe('interval')
      expect(durability({ 'flush.ms': '9999' })).toBe('interval')
      expect(durability({ 'flush.ms': '10000' })).toBe('os')
    })

    test('the defaults of Kafka, which tools send along, weaken nothing', () => {
      const defaults = { 'flush.messages': FOREVER, 'flush.ms': FOREVER }
      expect(durability(defaults)).toBe('sync')
      expect(durability(defaults, { durability: 'interval' })).toBe('interval')
    })

    test('of both the stronger counts, and durability wins over both', () => {
      expect(durability({ 'flush.messages': '5', 'flush.ms': '60000' })).toBe('sync')
      expect(durability({ 'flush.messages': '1', durability: 'os' })).toBe('os')
      expect(durability({ 'flush.ms': '60000', durability: 'sync' })).toBe('sync')
    })

    test('describe shows what is in force, in both ways', () => {
      const shown = (topic: Readonly<Record<string, string>>): readonly (string | null)[] => {
        const entries = new Map(
          describeTopicConfig(topic, {}, settings).map(({ name, value }) => [name, value]),
        )
        return ['durability', 'flush.messages', 'flush.ms'].map(name => entries.get(name) ?? null)
      }
      expect(shown({})).toEqual(['sync', '1', FOREVER])
      expect(shown({ durability: 'interval' })).toEqual(['interval', FOREVER, '100'])
      expect(shown({ 'flush.ms': '20000' })).toEqual(['os', FOREVER, '20000'])
      expect(shown({ 'flush.messages': '7' })).toEqual(['sync', '7', FOREVER])
    })
  })

  test.each(['no.such.key', 'constructor', '__proto__', 'toString'])(
    '%s is refused as unknown',
    key => {
      expect(refusal(() => canonicalTopicConfig(Object.fromEntries([[key, '1']])))).toContain(
        `unknown key ${key}`,
      )
      for (const operation of ['set', 'append', 'subtract'] as const) {
        expect(
          refusal(() => changeTopicConfig({}, [{ name: key, operation, value: '1' }])),
        ).toContain(key)
      }
    },
  )

  test('a key of another version can be reset beside a change, as mirroring tools do', () => {
    expect(
      changeTopicConfig({ 'retention.ms': '5' }, [
        { name: 'retention.ms', operation: 'set', value: '6' },
        { name: 'no.such.key', operation: 'delete', value: null },
        { name: '__proto__', operation: 'delete', value: null },
      ]),
    ).toEqual({ 'retention.ms': '6' })
  })

  test('set and delete change one key and leave the others and the input alone', () => {
    const before = { 'retention.ms': '5', 'segment.bytes': '4096' }
    expect(
      changeTopicConfig(before, [
        { name: 'retention.ms', operation: 'delete', value: null },
        { name: 'max.message.bytes', operation: 'set', value: '9' },
      ]),
    ).toEqual({ 'segment.bytes': '4096', 'max.message.bytes': '9' })
    expect(before).toEqual({ 'retention.ms': '5', 'segment.bytes': '4096' })
  })

  test('set without a value, and a bad value behind a good one, change nothing', () => {
    expect(
      refusal(() =>
        changeTopicConfig({}, [{ name: 'retention.ms', operation: 'set', value: null }]),
      ),
    ).toContain('retention.ms')
    expect(
      refusal(() =>
        changeTopicConfig({}, [
          { name: 'retention.ms', operation: 'set', value: '1' },
          { name: 'segment.bytes', operation: 'set', value: '1' },
        ]),
      ),
    ).toContain('segment.bytes=1')
  })

  test('append adds to a list what it does not hold yet; subtract takes away', () => {
    const append = { name: 'cleanup.policy', operation: 'append', value: 'delete' } as const
    expect(changeTopicConfig({}, [append])).toEqual({ 'cleanup.policy': 'delete' })
    expect(changeTopicConfig({ 'cleanup.policy': 'delete' }, [append, append])).toEqual({
      'cleanup.policy': 'delete',
    })
    expect(changeTopicConfig({}, [{ ...append, value: 'compact' }])).toEqual({
      'cleanup.policy': 'delete,compact',
    })
    expect(refusal(() => changeTopicConfig({}, [{ ...append, value: 'shrink' }]))).toContain(
      'shrink',
    )
    expect(changeTopicConfig({}, [{ ...append, operation: 'subtract' }])).toEqual({
      'cleanup.policy': '',
    })
  })

  test('append and subtract are refused for keys that are no lists', () => {
    for (const operation of ['append', 'subtract'] as const) {
      expect(
        refusal(() => changeTopicConfig({}, [{ name: 'retention.ms', operation, value: '5' }])),
      ).toContain('no list')
    }
  })

  test('the topic wins over the node, the node over the default, and describe says which', () => {
    const node = { 'retention.ms': '7', 'segment.ms': '8' }
    const topic = { 'retention.ms': '9' }
    const config = topicConfigOf(topic, node)
    expect([config.retentionMs, config.segmentMs, config.segmentBytes]).toEqual([9, 8, 134_217_728])
    const sources = Object.fromEntries(
      describeTopicConfig(topic, node).map(({ name, source, value }) => [
        name,
        `${value} ${source}`,
      ]),
    )
    expect(sources).toMatchObject({
      'retention.ms': '9 topic',
      'segment.ms': '8 node',
      'segment.bytes': '134217728 default',
    })
  })

  test('synonyms name the places that could give a value, under their own names', () => {
    const synonyms = new Map(
      describeTopicConfig(
        { 'max.message.bytes': '9', 'segment.ms': '9' },
        { 'max.message.bytes': '8', 'segment.ms': '8' },
      ).map(entry => [entry.name, entry.synonyms]),
    )
    expect(synonyms.get('max.message.bytes')).toEqual([
      { name: 'max.message.bytes', value: '9', source: 'topic' },
      { name: 'message.max.bytes', value: '8', source: 'node' },
      { name: 'message.max.bytes', value: '1048588', source: 'default' },
    ])
    // As in Apache Kafka, whose default of log.roll.ms is not set.
    expect(synonyms.get('segment.ms')).toEqual([
      { name: 'segment.ms', value: '9', source: 'topic' },
      { name: 'log.roll.ms', value: '8', source: 'node' },
    ])
    expect(synonyms.get('remote.storage.enable')).toEqual([])
  })

  test('the default among the synonyms is the value that is in force', () => {
    for (const { name, value, synonyms } of describeTopicConfig({}, {})) {
      for (const place of synonyms ?? []) expect(place.value, name).toBe(value)
    }
  })

  test('values beyond 2^53 mean for ever, never a rounded number', () => {
    expect(topicConfigOf({ 'retention.ms': FOREVER }, {}).retentionMs).toBe(Number.MAX_SAFE_INTEGER)
    expect(topicConfigOf({ 'retention.ms': '-1' }, {}).retentionMs).toBe(-1)
  })

  test('the defaults are legal themselves', () => {
    const defaults = describeTopicConfig({}, {}).map(({ name, value }) => [name, value ?? ''])
    expect(refusal(() => canonicalTopicConfig(Object.fromEntries(defaults)))).toBeNull()
  })
})
