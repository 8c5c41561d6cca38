/** Searching by the index, and listing streams. */
import assert from 'node:assert/strict'
import type { EventFilter, EventStore, RecordedEvent } from '@millrace/store'
import { nth } from '../frame/frame.ts'
import type { CaseSpec } from './case-spec.ts'
import { added, allPages, append, loan, lost, range, refuses, tagged, works } from './words.ts'

/** Ninety events over nine streams that differ by type, tag, time and correlation. */
async function fill(store: EventStore): Promise<void> {
  for (const n of range(1, 90)) {
    const event = tagged(`T${n % 5}`, `mod3:${n % 3}`, `mod7:${n % 7}`)
    await append(store, loan(`s${n % 9}`), [{ ...event, data: { n }, time: 1000 * n }], {
      correlationId: `c${n % 4}`,
    })
  }
}

const found = async (store: EventStore, filter: EventFilter): Promise<number[]> => {
  const { events } = await allPages(store.search(['loan'], filter))
  return events.map(event => (event.data as { n: number }).n).sort((a, b) => a - b)
}

const search = (name: string, filter: EventFilter, matches: (n: number) => boolean): CaseSpec => ({
  name: `a search by ${name} finds what matches, and nothing else`,
  run: async scene => {
    const store = await scene.open()
    await fill(store)
    assert.deepEqual(await found(store, filter), range(1, 90).filter(matches))
    assert.equal((await found(store, {})).length, 90)
  },
})

async function listed(
  store: EventStore,
  options?: Parameters<EventStore['streams']>[1],
): Promise<string[]> {
  const ids: string[] = []
  for await (const stream of store.streams('loan', options)) ids.push(stream.stream.id)
  return ids
}

export const searchCases: readonly CaseSpec[] = [
  search('type', { types: ['T2'] }, n => n % 5 === 2),
  search('any of several types', { types: ['T2', 'T4', 'T9'] }, n => n % 5 === 2 || n % 5 === 4),
  search('a tag', { tags: ['mod7:3'] }, n => n % 7 === 3),
  search('all of several tags', { tags: ['mod3:1', 'mod7:3'] }, n => n % 3 === 1 && n % 7 === 3),
  search('a part of a tag', { tags: ['mod7:'] }, () => false),
  search('correlation', { correlationId: 'c3' }, n => n % 4 === 3),
  search('stream', { streams: ['s1', 's5'] }, n => n % 9 === 1 || n % 9 === 5),
  search('time', { since: 10_000, before: 20_000 }, n => n >= 10 && n < 20),
  search(
    'type, tag, correlation and time together',
    { types: ['T1'], tags: ['mod3:2'], correlationId: 'c3', since: 5000, before: 80_000 },
    n => n % 5 === 1 && n % 3 === 2 && n % 4 === 3 && n >= 5 && n < 80,
  ),

  {
    name: 'a search brings its finds in offset order within a bucket, a page at a time, and ends',
    run: async scene => {
      const store = await scene.open()
      await fill(store)
      const options = { pageSize: 4 }
      const { events, pages } = await allPages(store.search(['loan'], { types: ['T1'] }, options))
      assert.equal(events.length, 18)
      const ends = new Map<number, number>()
      for (const { bucket, offset } of events) {
        assert.ok(offset > (ends.get(bucket) ?? -1))
        ends.set(bucket, offset)
      }
      for (const page of pages) assert.ok(page.events.length <= 4)
    },
  },
  {
    name: 'a search goes on from the checkpoint of any of its pages',
    run: async scene => {
      const store = await scene.open()
      await fill(store)
      const filter = { tags: ['mod3:0'] }
      const id = (event: RecordedEvent) => event.id
      const { pages } = await allPages(store.search(['loan'], filter, { pageSize: 7 }))
      const whole = pages.flatMap(page => page.events.map(id)).sort()
      const seen: string[] = []
      for (const page of pages) {
        seen.push(...page.events.map(id))
        const rest = store.search(['loan'], filter, { after: page.checkpoint })
        assert.deepEqual([...seen, ...(await allPages(rest)).events.map(id)].sort(), whole)
      }
      assert.equal(whole.length, 30)
    },
  },
  {
    name: 'a search finds what a filtered read finds',
    run: async scene => {
      const store = await scene.open()
      await fill(store)
      for (const filter of [{ types: ['T3'] }, { tags: ['mod7:6'] }, { correlationId: 'c0' }]) {
        const byIndex = await allPages(store.search(['loan'], filter))
        const byReading = await allPages(store.readAll(['loan'], { filter }))
        const ordered = (events: readonly RecordedEvent[]) =>
          [...events].sort((a, b) => a.time - b.time)
        assert.deepEqual(ordered(byIndex.events), ordered(byReading.events))
        assert.ok(byIndex.events.length > 0)
      }
    },
  },
  {
    name: 'a search finds at once what was just appended, and no append that lost',
    run: async scene => {
      const store = await scene.open()
      const filter = { types: ['Hot'] }
      for (const n of range(1, 20)) {
        await append(store, loan('a'), [{ type: 'Hot', data: { n } }])
        lost(await store.append(loan('a'), [{ type: 'Hot', data: {} }], { expectedVersion: 0 }))
        assert.deepEqual(await found(store, filter), range(1, n))
      }
    },
  },
  {
    name: 'streams are listed by id in the order of bytes, each once, with their state',
    run: async scene => {
      const store = await scene.open()
      const ids = ['b', 'a', 'B', 'a/1', 'a1', 'ä', '～', '😀', 'z', '10', '9']
      for (const id of ids) await append(store, loan(id), added(2))
      await append(store, loan('a'), added(1))
      const inBytes = [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      assert.deepEqual(await listed(store), inBytes)
      for await (const listing of store.streams('loan')) {
        const { checkpoint: _, ...state } = await store.state(listing.stream)
        assert.deepEqual(listing, state)
      }
    },
  },
  {
    name: 'streams are listed by prefix, after an id, and as many as asked for',
    run: async scene => {
      const store = await scene.open()
      for (const n of range(10, 39)) await append(store, loan(`s${n}`), added(1))
      assert.deepEqual(await listed(store, { limit: 2 }), ['s10', 's11'])
      assert.deepEqual(await listed(store, { after: 's37' }), ['s38', 's39'])
      assert.deepEqual(
        await listed(store, { prefix: 's2' }),
        range(20, 29).map(n => `s${n}`),
      )
      assert.deepEqual(await listed(store, { prefix: 's2', after: 's26', limit: 2 }), [
        's27',
        's28',
      ])
      assert.deepEqual(await listed(store, { prefix: 's2', after: 's39' }), [])
      assert.deepEqual(await listed(store, { prefix: 'x' }), [])
      assert.equal((await listed(store)).length, 30)
    },
  },
  {
    name: 'streams of which nothing counts are not listed; archived ones are, marked',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      await append(store, loan('b'), added(1))
      lost(await store.append(loan('c'), added(1), { expectedVersion: 'exists' }))
      await append(store, loan('d'), [])
      await store.archive(loan('b'))
      const listings = []
      for await (const { stream, archived } of store.streams('loan')) {
        listings.push([stream.id, archived])
      }
      assert.deepEqual(listings, [
        ['a', false],
        ['b', true],
      ])
    },
  },
  {
    name: 'a listing with a limit below 0 is refused',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      await refuses(() => listed(store, { limit: -1 }), 'BAD_ARGUMENT', 'limit', 0)
      assert.deepEqual(await listed(store, { limit: 1 }), ['a'])
      await works(store)
    },
  },
  {
    name: 'a description counts events and void records of each bucket, and tells its clock',
    run: async scene => {
      const store = await scene.open()
      const timed = added(3).map((event, i) => ({ ...event, time: 1000 * (i + 1) }))
      const { bucket, checkpoint } = await append(store, loan('a'), timed)
      await store.reached(checkpoint)
      const all = await store.describe()
      assert.deepEqual(all.map(one => one.category).sort(), ['course', 'loan'])
      const category = all.find(one => one.category === 'loan')
      assert.ok(category !== undefined)
      const one = nth(category.buckets, bucket)
      assert.deepEqual([one.bucket, one.events, one.clock], [bucket, 3, 3000])
      assert.deepEqual([one.foreign, one.openAppends], [0, 0])
      assert.ok(one.decided <= one.position && one.position <= one.endOffset)
      for (const other of category.buckets) {
        if (other.bucket !== bucket) assert.deepEqual([other.events, other.clock], [0, -1])
      }
    },
  },
]
