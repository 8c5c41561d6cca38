/** Unusual names and data: what went in comes out. */
import assert from 'node:assert/strict'
import type { Json } from '@millrace/store'
import { nth } from '../frame/frame.ts'
import type { CaseSpec } from './case-spec.ts'
import { added, allPages, append, eventsOf, loan, range, refuses, tagged, works } from './words.ts'

/** Text that something on the way may take for something else. */
const TEXTS = [
  'Grüße aus Zürich',
  '世界 こんにちは',
  '😀👩‍👩‍👧',
  'e\u0301 is not é',
  'tab\tnewline\nreturn\r\n',
  'quote " apostrophe \' backslash \\ slash /',
  'percent %s %00 {0} $x',
  '</script><!-- -->',
  "'; drop table events; --",
  ' leading and trailing ',
  '__proto__',
  'null',
  '\u2028\u2029\uFEFF',
]

const JSONS: readonly (readonly [string, Json])[] = [
  ['null', null],
  ['true', true],
  ['a number', -12.5e-7],
  ['a large number', 9007199254740991],
  ['text', 'text'],
  ['empty text', ''],
  ['an empty object', {}],
  ['an empty list', []],
  ['a list of everything', [null, true, 0, '', {}, []]],
  ['odd names', { '': 1, ' ': 2, 'a.b': 3, constructor: 4, 'ä"\n': 5 }],
]

/** Lists within lists. */
function nested(depth: number): Json {
  let data: Json = 'core'
  for (let i = 0; i < depth; i++) data = [data]
  return data
}

export const dataCases: readonly CaseSpec[] = [
  {
    name: 'data of every kind of JSON comes back as it was',
    run: async scene => {
      const store = await scene.open()
      const events = JSONS.map(([type, data]) => ({ type, data }))
      await append(store, loan('a'), events)
      assert.deepEqual(
        (await eventsOf(store, loan('a'))).map(({ type, data }) => [type, data]),
        JSONS,
      )
    },
  },
  {
    name: 'text of any characters comes back as it was: in data, types, tags and ids',
    run: async scene => {
      const store = await scene.open()
      for (const [i, text] of TEXTS.entries()) {
        const event = { type: text, data: { [text]: text }, id: `${i} ${text}`, tags: [text] }
        await append(store, loan(text), [event], { actor: text, correlationId: text })
      }
      for (const [i, text] of TEXTS.entries()) {
        const event = nth(await eventsOf(store, loan(text)), 0)
        assert.deepEqual(
          [event.stream, event.type, event.data, event.id, event.tags],
          [text, text, { [text]: text }, `${i} ${text}`, [text]],
        )
        assert.deepEqual([event.actor, event.correlationId], [text, text])
        const found = await allPages(
          store.search(['loan'], { types: [text], tags: [text], correlationId: text }),
        )
        assert.deepEqual(found.events, [event])
      }
    },
  },
  {
    name: 'stream ids that look alike are different streams',
    run: async scene => {
      const store = await scene.open()
      const ids = [
        'a',
        'A',
        'a ',
        ' a',
        'a\t',
        'é',
        'e\u0301',
        'ａ',
        'a/',
        'a%2F',
        '1',
        '01',
        '1.0',
      ]
      for (const [i, id] of ids.entries()) await append(store, loan(id), added(i + 1))
      for (const [i, id] of ids.entries()) {
        assert.equal((await store.state(loan(id))).version, i + 1)
        assert.equal((await eventsOf(store, loan(id))).length, i + 1)
      }
    },
  },
  {
    name: 'a stream whose id begins like another keeps its events apart',
    run: async scene => {
      const store = await scene.open()
      const ids = ['s', 's1', 's10', 's1/2', 's\u0001', 's\uffff']
      for (const [i, id] of ids.entries()) await append(store, loan(id), added(20, 100 * i))
      for (const [i, id] of ids.entries()) {
        const events = await eventsOf(store, loan(id))
        assert.deepEqual(
          events.map(event => event.data),
          range(100 * i, 100 * i + 19).map(n => ({ n })),
        )
      }
    },
  },
  {
    name: 'data of a mebibyte comes back as it was, among small ones',
    run: async scene => {
      const store = await scene.open()
      const text = 'äb'.repeat((1024 * 1024) / 3 - 1000)
      await append(store, loan('a'), added(1))
      await append(store, loan('a'), [{ type: 'Big', data: { text } }])
      await append(store, loan('a'), added(1))
      const events = await eventsOf(store, loan('a'))
      assert.deepEqual(
        events.map(event => event.version),
        [1, 2, 3],
      )
      assert.ok((nth(events, 1).data as { text: string }).text === text, 'the text is the same')
      assert.equal((await scene.all(store)).events.length, 3)
    },
  },
  {
    name: 'deep data comes back as it was',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), [{ type: 'Deep', data: nested(100) }])
      assert.deepEqual(nth(await eventsOf(store, loan('a')), 0).data, nested(100))
    },
  },
  {
    name: 'what is not JSON is refused, and names the event',
    run: async scene => {
      const store = await scene.open()
      const circle: Record<string, unknown> = {}
      circle['self'] = circle
      const bad = [
        undefined,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        1n,
        Symbol('s'),
        () => 1,
        new Date(0),
        new Map(),
        { deep: [{ n: 1n }] },
        circle,
      ]
      for (const data of bad) {
        const events = [...added(1), { type: 'Bad', data: data as Json }]
        await refuses(() => store.append(loan('a'), events), 'INVALID_EVENT', 'Bad')
      }
      assert.equal((await store.state(loan('a'))).version, 0)
      await works(store)
    },
  },
  {
    name: 'half of a surrogate pair is refused in ids, types and tags',
    run: async scene => {
      const store = await scene.open()
      const half = 'x\ud83d'
      const refused = (call: () => unknown) => refuses(call, 'BAD_ARGUMENT')
      await refused(() => store.append(loan(half), added(1)))
      await refused(() => store.append(loan('a'), [{ type: half, data: {} }]))
      await refused(() => store.append(loan('a'), [tagged('A', half)]))
      await refused(() => store.append(loan('a'), added(1), { commandId: half }))
      assert.equal((await append(store, loan('x😀'), [tagged('😀', '😀')])).version, 1)
      await works(store)
    },
  },
  {
    name: 'a type named as a property of every object is a type like others',
    run: async scene => {
      const store = await scene.open()
      const types = ['constructor', '__proto__', 'toString', 'hasOwnProperty']
      await append(
        store,
        loan('a'),
        types.map(type => ({ type, data: {} })),
      )
      assert.deepEqual(
        (await eventsOf(store, loan('a'))).map(event => event.type),
        types,
      )
    },
  },
]
