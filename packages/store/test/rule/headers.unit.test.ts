// What the rule is told of a record's bytes: of a record of the store all that it wrote, and of any
// other that it is foreign (rule 1) or newer (rule 6).
import { Prng } from '@millrace/engine/simulation'
import { decodeBatches, encodeBatch, type NewRecord } from '@millrace/log'
import { describe, expect, it } from 'vitest'
import { decodeFacts } from '../../src/rule/decode-headers.ts'
import { HeaderEncoder } from '../../src/rule/headers.ts'
import { STAMP_MAX } from '../../src/rule/hybrid-clock.ts'
import { type EventFacts, type Facts, RULE_VERSION, streamKey } from '../../src/rules.ts'

/** A record as the log gives it back, as the rule sees it. */
function factsOf(record: Parameters<typeof encodeBatch>[0]['records'][number]): Facts {
  const [batch] = decodeBatches(encodeBatch({ records: [record] }))
  const cursor = batch?.cursor()
  if (batch === undefined || !cursor?.advance()) throw new Error('no record')
  const { bytes, keyAt, keyLength } = cursor
  const key = keyLength < 0 ? null : bytes.subarray(keyAt, keyAt + keyLength)
  return decodeFacts(0, batch.timestampOf(cursor.timestampDelta), key, cursor).facts
}

type Headers = Readonly<Record<string, string | undefined>>

const EVENT: Headers = {
  ce_type: 'T',
  ce_append: 'a',
  ce_place: '1/0/1',
  ce_rule: String(RULE_VERSION),
}

const plain = (more: Headers, key: string | null = 's'): Facts => {
  const headers: NonNullable<NewRecord['headers']> = Object.entries({ ...EVENT, ...more }).flatMap(
    ([name, value]) => (value === undefined ? [] : [{ key: name, value }]),
  )
  return factsOf({ key, value: '{}', headers })
}

const TEXTS = ['a', 'ä', '日本', '😀', 'a b', '"', '\\', '1/2', 'ce_append', 'x'.repeat(200)]

function randomEvent(prng: Prng): EventFacts {
  const count = prng.pick([1, 2, 1024])
  const index = prng.below(count)
  const claim = prng.pick([1, 7, 1e12])
  const texts = (): string[] => Array.from({ length: prng.below(4) }, () => prng.pick(TEXTS))
  const first = index === 0
  const checks = [{ stream: streamKey(prng.pick(['', 't']), prng.pick(TEXTS)), version: claim }]
  const query = prng.pick([
    { tags: texts() },
    { types: texts() },
    { types: texts(), tags: texts() },
  ])
  return {
    kind: 'event',
    offset: 0,
    stream: streamKey(prng.pick(['', 't-1', 'A.b_c']), prng.pick(TEXTS)),
    appendId: prng.pick(TEXTS),
    index,
    count,
    version: claim + index,
    type: prng.pick(TEXTS),
    tags: texts(),
    time: prng.pick([0, 1, 1_750_000_000_000]),
    stamp: first ? prng.pick([undefined, 0, 1_750_000_000_000_000, STAMP_MAX]) : undefined,
    commandId: first && prng.chance(0.5) ? prng.pick(TEXTS) : undefined,
    condition: first && prng.chance(0.5) ? { after: claim, failIfMatch: [query] } : undefined,
    checks: first && prng.chance(0.5) ? checks : undefined,
  }
}

it('an event is read as it was written, by whoever reads it', () => {
  const encoder = new HeaderEncoder('things')
  for (let seed = 1; seed <= 2000; seed += 1) {
    const facts = randomEvent(new Prng(seed))
    const [tenant, key] = facts.stream.split('\0') as [string, string]
    const headers = encoder.event(facts.type, {
      ...facts,
      tenant,
      schemaVersion: 1 + (seed % 2),
      id: undefined,
      correlationId: undefined,
      causationId: 'c',
      actor: undefined,
      saga: undefined,
      personal: undefined,
      metadata: { place: 'metadata is no header of the rule' },
    })
    const read = factsOf({ key, value: '{}', headers, timestamp: facts.time })
    expect(read, `seed ${seed}`).toEqual(facts)
  }
})

it('settle and control records are read as they were written', () => {
  const encoder = new HeaderEncoder('things')
  const settle = factsOf({ key: 's', value: null, headers: encoder.settle('t', 'a', 7) })
  expect(settle).toEqual({ kind: 'settle', offset: 0, stream: 't\0s', appendId: 'a', claim: 7 })
  for (const kind of ['truncate', 'archive', 'unarchive', 'tombstone'] as const) {
    const headers = encoder.control(kind, '', 'x', 3)
    const control = factsOf({ key: 's', value: null, headers })
    expect(control).toEqual({ kind, offset: 0, stream: '\0s', before: 3 })
  }
})

it('what a category is, is read as it was written, of later rules too', () => {
  const headers = new HeaderEncoder('things').identity('i', 12, { name: 'region', version: 3 })
  const read = factsOf({ key: null, value: null, headers })
  const identity = { kind: 'identity', offset: 0, id: 'i', buckets: 12, boundary: 'region' }
  expect(read).toEqual({ ...identity, boundaryVersion: 3, rule: RULE_VERSION })
  const later = { ce_kind: 'identity', ce_place: '1', ce_boundary: '1/id', ce_rule: '99' }
  expect(plain(later, null)).toMatchObject({ kind: 'identity', buckets: 1, rule: 99 })
})

describe('foreign is a record', () => {
  it('without headers, or of another producer of CloudEvents', () => {
    expect(factsOf({ key: 's', value: '{}' }).kind).toBe('foreign')
    const headers = [{ key: 'ce_type', value: 'T' }]
    expect(factsOf({ key: 's', value: '{}', headers }).kind).toBe('foreign')
  })

  const FOREIGN: Readonly<Record<string, Headers>> = {
    'without an append id': { ce_append: undefined },
    'with an empty append id': { ce_append: '' },
    'without a type': { ce_type: undefined },
    'with an empty type': { ce_type: '' },
    'without a rule': { ce_rule: undefined },
    'with a rule that is no number': { ce_rule: 'one' },
    'without a place': { ce_place: undefined },
    'with a place that is no place': { ce_place: '1/0' },
    'with a negative version': { ce_place: '-1/0/1' },
    'with version 0': { ce_place: '0/0/1' },
    'with no records': { ce_place: '1/0/0' },
    'with too many records': { ce_place: '1/0/1025' },
    'behind the end of its append': { ce_place: '3/2/2' },
    'with tags that are no JSON': { ce_tags: 'a,b' },
    'with tags that are no texts': { ce_tags: '[1]' },
    'with checks that are no list': { ce_checks: '{}' },
    'with a check without a version': { ce_checks: '[{"stream":"s"}]' },
    'with a check of nothing': { ce_checks: '[null]' },
    'with a condition of nothing': { ce_condition: 'null' },
    'with a condition without a place': { ce_condition: '{"failIfMatch":[]}' },
    'with a condition on numbers': { ce_condition: '{"after":0,"failIfMatch":[{"tags":[1]}]}' },
    'of an unknown kind': { ce_kind: 'erase', ce_place: '1' },
    'that settles a place': { ce_kind: 'settle' },
    'with NUL in its tenant': { ce_tenant: 'a\0b' },
    'of a tenant that no tenant can be': { ce_tenant: '*' },
    'with a type that is too long': { ce_type: 'x'.repeat(201) },
    'with an append id that is too long': { ce_append: 'x'.repeat(513) },
    'with a command id that is too long': { ce_command: 'x'.repeat(257) },
    'that says what a category is, without a boundary': { ce_kind: 'identity', ce_place: '1' },
    'that says that a category has no buckets': {
      ...{ ce_kind: 'identity', ce_place: '0', ce_boundary: '1/id' },
    },
  }
  it.each(Object.entries(FOREIGN))('%s', (_, headers) => {
    expect(plain({}).kind).toBe('event')
    expect(plain(headers).kind).toBe('foreign')
  })

  it('without a key, or with one that is no stream id', () => {
    for (const key of [null, '', 'a\0b', 'x'.repeat(513)])
      expect(plain({}, key).kind).toBe('foreign')
  })
})

it('of a time that no date holds a record is foreign, and of the last that one does it is not', () => {
  const headers = [...Object.entries(EVENT)].map(([key, value]) => ({
    key,
    value: value as string,
  }))
  const at = (timestamp: number): Facts => factsOf({ key: 's', value: '{}', headers, timestamp })
  for (const time of [253_402_300_800_000, 8.64e15 + 1, 8.9e15]) {
    expect(at(time).kind, String(time)).toBe('foreign')
  }
  expect(at(253_402_300_799_999).kind).toBe('event')
})

it('a key that is no UTF-8 is no stream id', () => {
  const headers = [...Object.entries(EVENT)].map(([key, value]) => ({
    key,
    value: value as string,
  }))
  expect(factsOf({ key: Buffer.from([0x61, 0xff]), value: '{}', headers }).kind).toBe('foreign')
  expect(factsOf({ key: 'a\ufffd', value: '{}', headers }).kind).toBe('event')
})

describe('newer is a record', () => {
  const rule = RULE_VERSION + 1
  const newer = { kind: 'newer', offset: 0, rule }

  it('that was written under a later rule', () => {
    expect(plain({ ce_rule: String(rule) })).toEqual(newer)
  })

  it('also where the rest of it means nothing to this program', () => {
    const ce_rule = String(rule)
    expect(plain({ ce_rule, ce_place: '1/0/1/0' })).toEqual(newer)
    expect(plain({ ce_rule, ce_place: undefined, ce_type: undefined })).toEqual(newer)
    expect(plain({ ce_rule, ce_kind: 'merge', ce_tags: 'x' })).toEqual(newer)
    expect(plain({ ce_rule }, null)).toEqual(newer)
  })
})
