// A topic's configuration: every key within its bounds, changes all or none (KIP-339).
import { LogError } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import {
  changeTopicConfig,
  checkTopicConfig,
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

/** Key, smallest and largest value that is taken. */
const WHOLE_NUMBERS: readonly (readonly [string, string, string])[] = [
  ['delete.retention.ms', '0', FOREVER],
  ['file.delete.delay.ms', '0', FOREVER],
  ['flush.messages', '1', FOREVER],
  ['flush.ms', '0', FOREVER],
  ['index.interval.bytes', '0', FOREVER],
  ['max.compaction.lag.ms', '1', FOREVER],
  ['max.message.bytes', '0', '15728640'],
  ['message.timestamp.after.max.ms', '0', FOREVER],
  ['message.timestamp.before.max.ms', '0', FOREVER],
  ['min.compaction.lag.ms', '0', FOREVER],
  ['min.insync.replicas', '1', '1'],
  ['retention.bytes', '-1', FOREVER],
  ['retention.ms', '-1', FOREVER],
  ['segment.bytes', '4096', '1073741824'],
  ['segment.index.bytes', '4', FOREVER],
  ['segment.jitter.ms', '0', FOREVER],
  ['segment.ms', '1', FOREVER],
]

const CHOICES: readonly (readonly [string, readonly string[]])[] = [
  ['compression.type', ['producer']],
  ['durability', ['sync', 'interval', 'os']],
  ['message.timestamp.type', ['CreateTime', 'LogAppendTime']],
  ['preallocate', ['true', 'false']],
  ['unclean.leader.election.enable', ['true', 'false']],
]

describe('the configuration of a topic', () => {
  test.each(WHOLE_NUMBERS)('%s is taken from %s to %s and not beyond', (key, min, max) => {
    const below = String(BigInt(min) - 1n)
    const above = max === FOREVER ? BEYOND : String(BigInt(max) + 1n)
    for (const value of [min, max])
      expect(refusal(() => checkTopicConfig({ [key]: value }))).toBeNull()
    for (const value of [below, above]) {
      const message = refusal(() => checkTopicConfig({ [key]: value }))
      expect(message).toContain(key)
      expect(message).toContain(`${min} to ${max}`)
    }
    for (const value of ['', ' 5', '5.0', '1e3', '0x10', 'many', '99999999999999999999']) {
      expect(
        refusal(() => checkTopicConfig({ [key]: value })),
        value,
      ).toContain(key)
    }
  })

  test.each(CHOICES)('%s takes exactly its choices', (key, choices) => {
    for (const value of choices)
      expect(refusal(() => checkTopicConfig({ [key]: value }))).toBeNull()
    for (const value of ['', 'other', choices[0]?.toUpperCase() ?? '']) {
      expect(
        refusal(() => checkTopicConfig({ [key]: value })),
        value,
      ).toContain(key)
    }
  })

  test('cleanup.policy is compact, delete, or both, each once', () => {
    for (const value of ['delete', 'compact', 'compact,delete', 'delete,compact']) {
      expect(refusal(() => checkTopicConfig({ 'cleanup.policy': value }))).toBeNull()
    }
    for (const value of ['', 'Compact', 'compact,', 'compact,compact', 'compact delete']) {
      expect(
        refusal(() => checkTopicConfig({ 'cleanup.policy': value })),
        value,
      ).toContain('cleanup.policy')
    }
    const both = topicConfigOf({ 'cleanup.policy': 'compact,delete' }, {})
    expect([both.compacts, both.deletes]).toEqual([true, true])
  })

  test('a compacted topic closes segments so early that both lags can be kept', () => {
    const lags = { 'min.compaction.lag.ms': '400', 'max.compaction.lag.ms': '1000' }
    expect(topicConfigOf({ ...lags, 'cleanup.policy': 'compact' }, {}).segmentMs).toBe(600)
    expect(topicConfigOf(lags, {}).segmentMs).toBe(604_800_000)
    const crossed = { ...lags, 'min.compaction.lag.ms': '1001' }
    expect(refusal(() => checkTopicConfig(crossed))).toContain('max.compaction.lag.ms=1000')
  })

  test('min.cleanable.dirty.ratio lies in 0 to 1', () => {
    for (const value of ['0', '0.5', '1']) {
      expect(refusal(() => checkTopicConfig({ 'min.cleanable.dirty.ratio': value }))).toBeNull()
    }
    for (const value of ['-0.1', '1.1', 'x', '', ' ', 'NaN']) {
      expect(refusal(() => checkTopicConfig({ 'min.cleanable.dirty.ratio': value }))).not.toBeNull()
    }
  })

  test('these are all the keys there are', () => {
    const named = [...WHOLE_NUMBERS, ...CHOICES].map(([key]) => key)
    expect(describeTopicConfig({}, {}).map(({ name }) => name)).toEqual(
      [...named, 'cleanup.policy', 'min.cleanable.dirty.ratio'].sort(),
    )
  })

  test.each(['no.such.key', 'constructor', '__proto__', 'toString'])(
    '%s is refused as unknown',
    key => {
      expect(refusal(() => checkTopicConfig(Object.fromEntries([[key, '1']])))).toContain(
        `unknown key ${key}`,
      )
      for (const operation of ['set', 'delete', 'append', 'subtract'] as const) {
        expect(
          refusal(() => changeTopicConfig({}, [{ name: key, operation, value: '1' }])),
        ).toContain(key)
      }
    },
  )

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
      'delete,shrink',
    )
    expect(refusal(() => changeTopicConfig({}, [{ ...append, operation: 'subtract' }]))).toContain(
      'cleanup.policy=',
    )
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

  test('values beyond 2^53 mean for ever, never a rounded number', () => {
    expect(topicConfigOf({ 'retention.ms': FOREVER }, {}).retentionMs).toBe(Number.MAX_SAFE_INTEGER)
    expect(topicConfigOf({ 'retention.ms': '-1' }, {}).retentionMs).toBe(-1)
  })

  test('the defaults are legal themselves', () => {
    const defaults = describeTopicConfig({}, {}).map(({ name, value }) => [name, value ?? ''])
    expect(refusal(() => checkTopicConfig(Object.fromEntries(defaults)))).toBeNull()
  })
})
