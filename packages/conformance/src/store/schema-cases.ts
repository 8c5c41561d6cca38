/** Types of events: validation on write, old schema versions brought up on read, closed categories. */
import assert from 'node:assert/strict'
import type { EventSchema, EventStore, Json, NewEvent, StoreErrorCode } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import type { OpenOptions, StoreScene } from './scene.ts'
import { allPages, append, eventsOf, loan, lost, refuses, take, works } from './words.ts'

/** Takes objects with a positive amount, and fills in a currency. */
const AMOUNT: EventSchema = {
  '~standard': {
    version: 1,
    vendor: 'conformance',
    validate: value => {
      const { amount } = value as { amount?: unknown }
      return typeof amount === 'number' && amount > 0
        ? { value: { currency: 'EUR', ...(value as object) } }
        : { issues: [{ message: 'must be positive', path: ['amount'] }] }
    },
  },
}

const paid = (data: Json): NewEvent => ({ type: 'Paid', data })

const withAmount: OpenOptions = { categories: { loan: { events: { Paid: { schema: AMOUNT } } } } }

type Step = (data: Json) => Json

/** A store that brings `Paid` up by these steps. */
const withSteps = (...upcast: Step[]): OpenOptions => ({
  categories: { loan: { events: { Paid: { upcast } } } },
})

const toCents: Step = data => ({ cents: (data as { amount: number }).amount * 100 })
const toMoney: Step = data => ({ money: { ...(data as { cents: number }), currency: 'EUR' } })

const UNTYPED: OpenOptions = { categories: { loan: {} } }

/**
 * Asserts that a read of all streams gives one event as unreadable, by name and place, with all
 * others as they are, and that nobody can take its data for something else.
 */
async function unreadable(
  scene: StoreScene,
  store: EventStore,
  code: StoreErrorCode,
  ...mentions: readonly (string | number)[]
): Promise<void> {
  const { events } = await scene.all(store)
  const [found, ...more] = events.filter(event => event.unreadable !== undefined)
  assert.equal(more.length, 0)
  await refuses(
    () => {
      throw found?.unreadable
    },
    code,
    ...mentions,
  )
  await refuses(() => found?.data, code)
  const others = events.filter(event => event !== found)
  assert.notEqual(others.length, 0)
  for (const { data } of others) assert.notEqual(data, undefined)
}

export const schemaCases: readonly CaseSpec[] = [
  {
    name: 'data that does not pass the schema of its type is refused, and nothing is written',
    run: async scene => {
      const store = await scene.open(withAmount)
      const events = [paid({ amount: 1 }), paid({ amount: -1 })]
      await refuses(() => store.append(loan('a'), events), 'INVALID_EVENT', 'Paid', 'amount')
      await refuses(() => store.append(loan('a'), [paid({})]), 'INVALID_EVENT', 'amount')
      assert.equal((await store.state(loan('a'))).version, 0)
      await append(store, loan('a'), [paid({ amount: 1 })])
      assert.equal((await scene.all(store)).events.length, 1)
    },
  },
  {
    name: 'what the schema makes of data is what is written',
    run: async scene => {
      const store = await scene.open(withAmount)
      await append(store, loan('a'), [paid({ amount: 2 }), paid({ amount: 3, currency: 'CHF' })])
      assert.deepEqual(
        (await eventsOf(store, loan('a'))).map(event => event.data),
        [
          { currency: 'EUR', amount: 2 },
          { currency: 'CHF', amount: 3 },
        ],
      )
    },
  },
  {
    name: 'types that a category does not name are written and read as they are',
    run: async scene => {
      const store = await scene.open(withAmount)
      const event = { type: 'Other', data: { amount: -1 }, schemaVersion: 4 }
      await append(store, loan('a'), [event])
      const [read] = await eventsOf(store, loan('a'))
      assert.deepEqual([read?.type, read?.data, read?.schemaVersion], ['Other', { amount: -1 }, 4])
    },
  },
  {
    name: 'a closed category refuses types that it does not name, and takes those that it does',
    run: async scene => {
      const store = await scene.open({
        categories: { loan: { closed: true, events: { Paid: {} } } },
      })
      const other = () => store.append(loan('a'), [{ type: 'Other', data: {} }])
      await refuses(other, 'INVALID_EVENT', 'Other')
      await append(store, loan('a'), [paid({})])
      assert.equal((await eventsOf(store, loan('a'))).length, 1)
    },
  },
  {
    name: 'a type that a closed category does not know is never skipped on read, and stops no other',
    run: async scene => {
      const open = await scene.open(UNTYPED)
      await append(open, loan('a'), [paid({}), { type: 'New', data: {} }])
      await append(open, loan('b'), [paid({})])
      const store = await scene.reopen(open, {
        categories: { loan: { closed: true, events: { Paid: {} } } },
      })
      await refuses(() => eventsOf(store, loan('a')), 'NEWER_SCHEMA', 'New')
      const fold = { initial: () => 0, evolve: (n: number) => n + 1 }
      await refuses(() => store.aggregate(loan('a'), fold), 'NEWER_SCHEMA', 'New')
      await unreadable(scene, store, 'NEWER_SCHEMA', 'New', 'loan', 'a', 2)
      assert.equal((await store.aggregate(loan('b'), fold)).state, 1)
    },
  },
  {
    name: 'events are written with the present schema version of their type',
    run: async scene => {
      const store = await scene.open(withSteps(toCents, toMoney))
      await append(store, loan('a'), [paid({ money: 1 }), { type: 'Other', data: {} }])
      assert.deepEqual(
        (await eventsOf(store, loan('a'))).map(event => event.schemaVersion),
        [3, 1],
      )
    },
  },
  {
    name: 'old events are brought up step by step, in every way of reading',
    run: async scene => {
      let store = await scene.open(UNTYPED)
      await append(store, loan('a'), [paid({ amount: 1 })])
      store = await scene.reopen(store, withSteps(toCents))
      await append(store, loan('a'), [paid({ cents: 200 })])
      store = await scene.reopen(store, withSteps(toCents, toMoney))
      await append(store, loan('a'), [paid({ money: { cents: 300, currency: 'CHF' } })])
      const expected = [
        { money: { cents: 100, currency: 'EUR' } },
        { money: { cents: 200, currency: 'EUR' } },
        { money: { cents: 300, currency: 'CHF' } },
      ]
      const fold = {
        initial: (): readonly unknown[] => [],
        evolve: (state: readonly unknown[], event: { readonly data: unknown }) => [
          ...state,
          event.data,
        ],
      }
      const conflict = lost(await store.append(loan('a'), [], { expectedVersion: 0 }))
      const ways = {
        read: await eventsOf(store, loan('a')),
        follow: await take(store.follow(loan('a')), 3),
        readAll: (await scene.all(store)).events,
        search: (await allPages(store.search(['loan'], { types: ['Paid'] }))).events,
        conflict: conflict.events,
      }
      for (const [way, events] of Object.entries(ways)) {
        assert.deepEqual(
          events.map(event => [event.data, event.schemaVersion]),
          expected.map(data => [data, 3]),
          way,
        )
      }
      assert.deepEqual((await store.event(loan('a'), 1))?.data, expected[0])
      assert.deepEqual((await store.aggregate(loan('a'), fold)).state, expected)
    },
  },
  {
    name: 'a step that throws fails the read by name, and leaves other types alone',
    run: async scene => {
      let store = await scene.open(UNTYPED)
      await append(store, loan('a'), [paid({ amount: 1 })])
      await append(store, loan('b'), [{ type: 'Other', data: {} }])
      const broken: Step = () => {
        throw new Error('no rate')
      }
      store = await scene.reopen(store, withSteps(broken))
      await refuses(() => eventsOf(store, loan('a')), 'UPCAST_FAILED', 'Paid', 'no rate')
      await unreadable(scene, store, 'UPCAST_FAILED', 'Paid', 'no rate', 'loan', 'a', 1)
      assert.equal((await eventsOf(store, loan('b'))).length, 1)
      await works(store)
    },
  },
  {
    name: 'an event of a newer schema version than is known fails the read, and is not skipped',
    run: async scene => {
      let store = await scene.open(withSteps(toCents, toMoney))
      await append(store, loan('a'), [paid({ money: 1 })])
      await append(store, loan('b'), [{ type: 'Other', data: {} }])
      store = await scene.reopen(store, withSteps(toCents))
      const error = await refuses(() => eventsOf(store, loan('a')), 'NEWER_SCHEMA', 'Paid', 3, 2)
      assert.equal(error.retriable, true)
      await unreadable(scene, store, 'NEWER_SCHEMA', 'Paid', 'loan', 'a', 1)
      assert.equal((await eventsOf(store, loan('b'))).length, 1)
    },
  },
  {
    name: 'tags that a type computes stand beside those that the writer gives, each once',
    run: async scene => {
      const store = await scene.open({
        categories: {
          loan: {
            events: {
              Paid: { tags: data => [`payer:${(data as { payer: string }).payer}`, 'paid'] },
            },
          },
        },
      })
      await append(store, loan('a'), [{ ...paid({ payer: 'ada' }), tags: ['x:1', 'paid'] }])
      await append(store, loan('a'), [paid({ payer: 'bob' })])
      const [first, second] = await eventsOf(store, loan('a'))
      assert.deepEqual([...(first?.tags ?? [])].sort(), ['paid', 'payer:ada', 'x:1'])
      assert.deepEqual([...(second?.tags ?? [])].sort(), ['paid', 'payer:bob'])
      const { events } = await allPages(store.search(['loan'], { tags: ['payer:bob'] }))
      assert.equal(events.length, 1)
    },
  },
]
