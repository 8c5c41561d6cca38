/** Opening: what a store is opened with is checked, and may grow. */
import assert from 'node:assert/strict'
import type { CategoryOptions } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import type { OpenOptions } from './scene.ts'
import { added, allPages, append, eventsOf, loan, refuses, works } from './words.ts'

/** Categories that a store is not opened with, and what the refusal names. */
const bad = (
  name: string,
  categories: Readonly<Record<string, CategoryOptions>>,
  ...mentions: readonly string[]
): CaseSpec => ({
  name,
  run: async scene => {
    await refuses(() => scene.open({ index: 1, categories }), 'BAD_ARGUMENT', ...mentions)
    await works(await scene.open())
  },
})

const personal = { Signed: { personal: { fields: ['name'] } } }

export const openingCases: readonly CaseSpec[] = [
  bad('a category has a name of a-z A-Z 0-9 . _ -', { 'a b': { topic: 'a-b' } }, 'category', 'a b'),
  bad('two categories do not share a topic', { a: { topic: 't' }, b: { topic: 't' } }, 't'),
  bad('a closed category names its types', { loan: { closed: true } }, 'loan', 'closed'),
  bad('personal fields need keys', { loan: { events: personal } }, 'keys'),
  bad(
    'a type of event has at least one personal field, if any',
    { loan: { events: { Signed: { personal: { fields: [] } } } } },
    'loan',
    'Signed',
  ),

  {
    name: 'a setting outside of its bounds is refused by its name',
    run: async scene => {
      const settings: OpenOptions['settings'] = { 'append.events.max': 0 }
      const opening = scene.open({ index: 1, settings })
      await assert.rejects(opening, { name: 'RangeError', message: /append\.events\.max/ })
      await works(await scene.open())
    },
  },
  {
    name: 'a boundary that does not give text fails the calls about that stream',
    run: async scene => {
      const boundary = (id: string) => (id === 'odd' ? 5 : id) as string
      const store = await scene.open({ categories: { loan: { boundary } } })
      await refuses(() => store.append(loan('odd'), added(1)), 'BAD_ARGUMENT', 'boundary', 'odd')
      await refuses(() => store.state(loan('odd')), 'BAD_ARGUMENT', 'boundary', 'odd')
      await works(store)
    },
  },
  {
    name: 'a store is opened with more categories, and with fewer; what is in them stays',
    run: async scene => {
      let store = await scene.open({ categories: { loan: { buckets: 3 } } })
      await append(store, loan('a'), added(2))
      const both = { loan: { buckets: 3 }, offer: { buckets: 2 } }
      store = await scene.reopen(store, { categories: both })
      const offer = { category: 'offer', id: 'a' }
      await append(store, offer, added(3))
      await append(store, loan('a'), added(1))
      store = await scene.reopen(store, { categories: { offer: { buckets: 2 } } })
      await refuses(() => store.state(loan('a')), 'UNKNOWN_CATEGORY', 'loan')
      assert.equal((await append(store, offer, added(1))).version, 4)
      store = await scene.reopen(store, { categories: both })
      assert.equal((await eventsOf(store, loan('a'))).length, 3)
      assert.equal((await eventsOf(store, offer)).length, 4)
      assert.equal((await allPages(store.readAll(['offer', 'loan']))).events.length, 7)
    },
  },
  {
    name: 'a store may be opened without naming the buckets that are there',
    run: async scene => {
      let store = await scene.open({ categories: { loan: { buckets: 5 } } })
      const { bucket } = await append(store, loan('a'), added(1))
      store = await scene.reopen(store, { categories: { loan: {} } })
      assert.equal((await append(store, loan('a'), added(1))).bucket, bucket)
      const described = await store.describe()
      assert.equal(described[0]?.buckets.length, 5)
    },
  },
]
