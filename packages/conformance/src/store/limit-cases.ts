/** Bounds: what lies on one is taken, what lies past it is refused by a message that names it. */
import assert from 'node:assert/strict'
import type { AppendOptions, EventStore, NewEvent, StreamRef } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import { added, append, loan, range, refuses, tagged, works } from './words.ts'

type Call = {
  readonly stream?: StreamRef
  readonly event?: Partial<NewEvent>
  readonly options?: AppendOptions
}

const run = (store: EventStore, call: Call) =>
  store.append(
    call.stream ?? loan('a'),
    [{ type: 'A', data: {}, ...call.event }],
    call.options ?? {},
  )

/** What is taken and what is refused, with the words that the refusal names. */
const bound = (
  name: string,
  taken: readonly Call[],
  refused: readonly Call[],
  ...mentions: readonly (string | number)[]
): CaseSpec => ({
  name,
  run: async scene => {
    const store = await scene.open()
    for (const call of taken) assert.equal((await run(store, call)).ok, true)
    const before = (await scene.all(store)).events.length
    for (const call of refused) {
      await refuses(() => run(store, call), 'BAD_ARGUMENT', ...mentions)
    }
    assert.equal((await scene.all(store)).events.length, before)
    await works(store)
  },
})

const word = (
  field: 'appendId' | 'commandId' | 'correlationId' | 'causationId' | 'actor' | 'saga',
) =>
  bound(
    `${field} has from 1 to 256 characters`,
    [{ options: { [field]: 'x'.repeat(256) } }, { options: { [field]: 'y' } }],
    [{ options: { [field]: 'x'.repeat(257) } }, { options: { [field]: '' } }],
    field,
    256,
  )

const names = (count: number): Record<string, string> =>
  Object.fromEntries(range(1, count).map(n => [`name-${n}`, 'value']))

export const limitCases: readonly CaseSpec[] = [
  bound(
    'a stream id has from 1 to 512 bytes of UTF-8, without NUL',
    [
      { stream: loan('x'.repeat(512)) },
      { stream: loan('ä'.repeat(256)) },
      { stream: loan('😀'.repeat(128)) },
      { stream: loan('x') },
    ],
    [
      { stream: loan('x'.repeat(513)) },
      { stream: loan('ä'.repeat(257)) },
      { stream: loan('') },
      { stream: loan('a\0b') },
    ],
    'id',
    512,
  ),
  bound(
    'a type has from 1 to 200 characters',
    [{ event: { type: 'T'.repeat(200) } }, { event: { type: 'T' } }],
    [{ event: { type: 'T'.repeat(201) } }, { event: { type: '' } }],
    'type',
    200,
  ),
  bound(
    'an event id has from 1 to 256 characters',
    [{ event: { id: 'i'.repeat(256) } }, { event: { id: 'i' } }],
    [{ event: { id: 'i'.repeat(257) } }, { event: { id: '' } }],
    'id',
    256,
  ),
  word('appendId'),
  word('commandId'),
  word('correlationId'),
  word('causationId'),
  word('actor'),
  word('saga'),
  bound(
    'an event has at most 16 tags',
    [{ event: { tags: range(1, 16).map(n => `t:${n}`) } }, { event: { tags: [] } }],
    [{ event: { tags: range(1, 17).map(n => `t:${n}`) } }],
    'tags',
    16,
  ),
  bound(
    'a tag has at most 128 bytes of UTF-8',
    [{ event: tagged('A', 'x'.repeat(128), 'ä'.repeat(64)) }],
    [{ event: tagged('A', 'x'.repeat(129)) }, { event: tagged('A', 'ä'.repeat(65)) }],
    'tags',
    128,
  ),
  bound(
    'an empty tag is refused',
    [{ event: tagged('A', ' ') }],
    [{ event: tagged('A', '') }],
    'tags',
  ),
  bound(
    'metadata has at most 32 names, of an event and of an append',
    [{ event: { metadata: names(32) } }, { options: { metadata: names(32) } }],
    [{ event: { metadata: names(33) } }, { options: { metadata: names(33) } }],
    'metadata',
    32,
  ),
  bound(
    'a name of metadata has from 1 to 64 characters of a-z A-Z 0-9 . _ -',
    [{ event: { metadata: { [`aZ0._-${'x'.repeat(58)}`]: 'v' } } }],
    ['x'.repeat(65), '', 'a b', 'ä', '__proto__'].map(name => ({
      event: { metadata: { [name]: 'v' } },
    })),
    'metadata',
    64,
  ),
  bound(
    'a value of metadata has at most 4096 bytes of UTF-8',
    [{ event: { metadata: { n: 'x'.repeat(4096) } } }, { options: { metadata: { n: '' } } }],
    [
      { event: { metadata: { n: 'x'.repeat(4097) } } },
      { options: { metadata: { n: 'ä'.repeat(2049) } } },
    ],
    'metadata',
    4096,
  ),
  bound(
    'a schema version is a whole number from 1 on',
    [{ event: { schemaVersion: 1 } }, { event: { schemaVersion: 7 } }],
    [{ event: { schemaVersion: 0 } }, { event: { schemaVersion: 1.5 } }],
    'schemaVersion',
    1,
  ),
  bound(
    'an expected version is a whole number from 0 on, or one of three words',
    [{ options: { expectedVersion: 0 } }, { options: { expectedVersion: 'exists' } }],
    [-1, 0.5, Number.NaN, 'any version' as 'any'].map(expectedVersion => ({
      options: { expectedVersion },
    })),
    'expectedVersion',
  ),
  bound(
    'a time within which an append must be done is a whole number from 1 on',
    [{ options: { timeoutMs: 20_000 } }],
    [{ options: { timeoutMs: 0 } }, { options: { timeoutMs: -5 } }],
    'timeoutMs',
    1,
  ),
  {
    name: 'an append has at most append.events.max events',
    run: async scene => {
      const store = await scene.open()
      assert.equal((await append(store, loan('a'), added(1000))).version, 1000)
      await refuses(() => store.append(loan('a'), added(1001)), 'APPEND_TOO_LARGE', 1000)
      assert.equal((await store.state(loan('a'))).version, 1000)
      const narrow = await scene.reopen(store, { settings: { 'append.events.max': 3 } })
      await append(narrow, loan('b'), added(3))
      await refuses(() => narrow.append(loan('b'), added(4)), 'APPEND_TOO_LARGE', 3)
    },
  },
  {
    name: 'an append of more bytes than one may have is refused, and the store goes on',
    run: async scene => {
      const store = await scene.open()
      const huge = [{ type: 'Huge', data: 'x'.repeat(40 * 1024 * 1024) }]
      await refuses(() => store.append(loan('a'), huge), 'APPEND_TOO_LARGE')
      assert.equal((await store.state(loan('a'))).version, 0)
      await works(store)
    },
  },
  {
    name: 'more appends than may wait are refused as overload; the others are done',
    run: async scene => {
      const store = await scene.open({ settings: { 'append.queue.bytes': 1024 * 1024 } })
      const text = 'x'.repeat(100_000)
      const calls = range(1, 40).map(async n => {
        try {
          await append(store, loan(`s${n}`), [{ type: 'Big', data: { n, text } }])
          return 'done'
        } catch (error) {
          return (error as { code?: string }).code
        }
      })
      const outcomes = await Promise.all(calls)
      const done = outcomes.filter(outcome => outcome === 'done').length
      assert.deepEqual(new Set(outcomes), new Set(['done', 'OVERLOADED']))
      assert.ok(done >= 1)
      assert.equal((await scene.all(store)).events.length, done)
      await works(store)
    },
  },
  {
    name: 'a refusal names what to do and whether it can be repeated as it is',
    run: async scene => {
      const store = await scene.open()
      const refused = await refuses(() => store.append(loan(''), added(1)), 'BAD_ARGUMENT')
      assert.equal(refused.retriable, false)
      assert.ok(refused.operator.length > 0)
      await works(store)
    },
  },
]
