/** Reading all streams: order, pages, checkpoints, restarts, filters, buckets. */
import assert from 'node:assert/strict'
import type { EventFilter, EventStore, RecordedEvent } from '@millrace/store'
import { nth } from '../frame/frame.ts'
import type { CaseSpec } from './case-spec.ts'
import { BUCKETS } from './scene.ts'
import {
  added,
  allPages,
  append,
  loan,
  lost,
  range,
  refuses,
  tagged,
  takeEvents,
  works,
} from './words.ts'

/** Names an event: which one it is, and where it lies. */
const placeOf = (event: RecordedEvent): string =>
  `${event.category}/${event.stream}@${event.version}=${event.bucket}:${event.offset}`

const places = (events: readonly RecordedEvent[]): string[] => events.map(placeOf)

/** Some streams of unlike length, appended to in turn. */
async function fill(store: EventStore, rounds: number): Promise<number> {
  let events = 0
  for (let round = 1; round <= rounds; round++) {
    for (const stream of range(1, 7)) {
      const count = 1 + ((round + stream) % 3)
      await append(store, loan(`s${stream}`), added(count))
      events += count
    }
  }
  return events
}

/** Events that a filter lets through, of four that differ in everything. */
const filtered = (name: string, filter: EventFilter, expected: readonly string[]): CaseSpec => ({
  name: `a read with a filter by ${name} brings those events alone, and the checkpoint moves on`,
  run: async scene => {
    const store = await scene.open()
    await append(store, loan('a'), [{ ...tagged('A', 'x:1', 'y:1'), time: 1000 }], {
      correlationId: 'c1',
    })
    await append(store, loan('b'), [{ ...tagged('B', 'x:1'), time: 2000 }], { correlationId: 'c2' })
    await append(store, loan('c'), [{ ...tagged('C', 'y:1'), time: 3000 }], { correlationId: 'c1' })
    await append(store, loan('d'), [{ ...tagged('D'), time: 4000 }])
    const read = await allPages(store.readAll(['loan'], { filter }))
    assert.deepEqual(read.events.map(event => event.type).sort(), expected)
    assert.deepEqual((await scene.all(store, 'loan', read.checkpoint)).events, [])
    assert.equal((await scene.all(store)).events.length, 4)
  },
})

export const readAllCases: readonly CaseSpec[] = [
  filtered('type', { types: ['A', 'D'] }, ['A', 'D']),
  filtered('a tag', { tags: ['x:1'] }, ['A', 'B']),
  filtered('two tags', { tags: ['x:1', 'y:1'] }, ['A']),
  filtered('correlation', { correlationId: 'c1' }, ['A', 'C']),
  filtered('stream', { streams: ['b', 'd', 'e'] }, ['B', 'D']),
  filtered('the time from which', { since: 3000 }, ['C', 'D']),
  filtered('the time until which', { before: 3000 }, ['A', 'B']),
  filtered('type and tag', { types: ['A', 'C'], tags: ['x:1'] }, ['A']),
  filtered('what no event has', { types: ['Z'] }, []),
  filtered('an empty list', { types: [] }, []),
  filtered('nothing', {}, ['A', 'B', 'C', 'D']),

  {
    name: 'a read of all brings every event once, in offset order within a bucket',
    run: async scene => {
      const store = await scene.open()
      const count = await fill(store, 6)
      const { events } = await scene.all(store)
      assert.equal(new Set(places(events)).size, count)
      assert.equal(events.length, count)
      const ends = new Map<number, number>()
      const versions = new Map<string, number>()
      for (const { bucket, offset, stream, version } of events) {
        assert.ok(offset > (ends.get(bucket) ?? -1), 'offsets rise within a bucket')
        ends.set(bucket, offset)
        assert.equal(version, (versions.get(stream) ?? 0) + 1)
        versions.set(stream, version)
      }
      assert.ok(ends.size > 1, 'several buckets were read')
    },
  },
  {
    name: 'a read of all brings the events as a read of their stream does',
    run: async scene => {
      const store = await scene.open()
      const count = await fill(store, 2)
      const { events } = await scene.all(store)
      assert.equal(events.length, count)
      for (const event of events) {
        assert.deepEqual(event, await store.event(loan(event.stream), event.version))
      }
    },
  },
  {
    name: 'a read of all brings no append that lost',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      lost(await store.append(loan('a'), added(3), { expectedVersion: 1 }))
      await append(store, loan('a'), added(1))
      const { events } = await scene.all(store)
      assert.deepEqual(
        events.map(event => event.version),
        [1, 2, 3],
      )
    },
  },
  {
    name: 'a read of nothing brings one empty page with a checkpoint that goes on',
    run: async scene => {
      const store = await scene.open()
      const empty = await scene.all(store)
      assert.deepEqual([empty.events, empty.pages.length], [[], 1])
      await append(store, loan('a'), added(2))
      const next = await scene.all(store, 'loan', empty.checkpoint)
      assert.equal(next.events.length, 2)
      const last = await scene.all(store, 'loan', next.checkpoint)
      assert.deepEqual(last.events, [])
      await append(store, loan('b'), added(1))
      const { events } = await scene.all(store, 'loan', last.checkpoint)
      assert.deepEqual(
        events.map(event => event.stream),
        ['b'],
      )
    },
  },
  {
    name: 'a read goes on from the checkpoint of every page, with pages of every size',
    run: async scene => {
      const store = await scene.open()
      const count = await fill(store, 5)
      const whole = places((await scene.all(store)).events).sort()
      for (const pageSize of [1, 2, 7, 1000]) {
        const { pages } = await allPages(store.readAll(['loan'], { pageSize }))
        let seen: string[] = []
        for (const page of pages) {
          assert.ok(page.events.length <= pageSize, `${page.events.length} of ${pageSize}`)
          seen = seen.concat(places(page.events))
          const rest = await scene.all(store, 'loan', page.checkpoint)
          assert.deepEqual([...seen, ...places(rest.events)].sort(), whole)
        }
        assert.equal(seen.length, count)
      }
    },
  },
  {
    name: 'readers with other page sizes and restarts see the same order in each bucket',
    run: async scene => {
      const store = await scene.open()
      await fill(store, 8)
      const byBucket = (events: readonly RecordedEvent[]) =>
        range(0, BUCKETS - 1).map(bucket => places(events.filter(e => e.bucket === bucket)))
      const expected = byBucket((await scene.all(store)).events)
      assert.ok(expected.flat().length > 0)
      for (const pageSize of [1, 3, 10]) {
        const seen: RecordedEvent[] = []
        let after: string | undefined
        for (let going = true; going; ) {
          const read = store.readAll(['loan'], {
            pageSize,
            ...(after === undefined ? {} : { after }),
          })
          let pages = 0
          for await (const page of read) {
            seen.push(...page.events)
            after = page.checkpoint
            going = !page.caughtUp
            pages += 1
            if (pages === 2) break
          }
        }
        assert.deepEqual(byBucket(seen), expected)
      }
    },
  },
  {
    name: 'only the last page of a read says that it has caught up',
    run: async scene => {
      const store = await scene.open()
      await fill(store, 4)
      const { pages } = await allPages(store.readAll(['loan'], { pageSize: 5 }))
      assert.ok(pages.length > 5)
      assert.deepEqual(
        pages.slice(0, -1).map(page => page.caughtUp),
        Array(pages.length - 1).fill(false),
      )
    },
  },
  {
    name: 'several buckets together bring what each brings, and checkpoints of some go on in all',
    run: async scene => {
      const store = await scene.open()
      const count = await fill(store, 4)
      const found = new Set<string>()
      for (const bucket of range(0, BUCKETS - 1)) {
        const one = await allPages(store.readAll(['loan'], { buckets: [bucket] }))
        for (const event of one.events) {
          assert.equal(event.bucket, bucket)
          found.add(placeOf(event))
        }
        const others = await scene.all(store, 'loan', one.checkpoint)
        assert.equal(others.events.length, count - one.events.length)
      }
      assert.equal(found.size, count)
    },
  },
  {
    name: 'a bucket that the category has not is refused',
    run: async scene => {
      const store = await scene.open()
      for (const bucket of [-1, BUCKETS, 1.5]) {
        const read = () => allPages(store.readAll(['loan'], { buckets: [bucket] }))
        await refuses(read, 'BAD_ARGUMENT', 'bucket')
      }
      await works(store)
      const last = await allPages(store.readAll(['loan'], { buckets: range(0, BUCKETS - 1) }))
      assert.equal(last.events.length, 1)
    },
  },
  {
    name: 'several categories are read together, and one alone',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      await append(store, { category: 'course', id: 'b' }, added(2))
      const both = await allPages(store.readAll(['loan', 'course']))
      assert.deepEqual(both.events.map(event => event.category).sort(), [
        ...Array(2).fill('course'),
        ...Array(3).fill('loan'),
      ])
      assert.equal((await scene.all(store, 'course')).events.length, 2)
      const rest = await allPages(store.readAll(['loan', 'course'], { after: both.checkpoint }))
      assert.deepEqual(rest.events, [])
    },
  },
  {
    name: 'a page has from one event to read.page.events, and no other size',
    run: async scene => {
      const store = await scene.open({ settings: { 'read.page.events': 5 } })
      await append(store, loan('a'), added(12))
      const sized = (pageSize: number) => allPages(store.readAll(['loan'], { pageSize }))
      await refuses(() => sized(0), 'BAD_ARGUMENT', 'pageSize', 1)
      await refuses(() => sized(6), 'BAD_ARGUMENT', 'pageSize', 5)
      assert.equal((await sized(5)).events.length, 12)
      for (const page of (await scene.all(store)).pages) assert.ok(page.events.length <= 5)
    },
  },
  {
    name: 'pages end by bytes, and nothing is lost by it',
    run: async scene => {
      const store = await scene.open({ settings: { 'read.page.bytes': 65_536 } })
      const text = 'x'.repeat(10_000)
      for (const n of range(1, 40)) {
        await append(store, loan(`s${n % 4}`), [{ type: 'Big', data: { n, text } }])
      }
      const { events, pages } = await scene.all(store)
      assert.equal(new Set(places(events)).size, 40)
      assert.ok(pages.length > 1, 'it came in more than one page')
    },
  },
  {
    name: 'a reader that leaves between pages does no harm',
    run: async scene => {
      const store = await scene.open()
      await fill(store, 3)
      for (let i = 0; i < 10; i++) {
        const first = await takeEvents(store.readAll(['loan'], { pageSize: 2 }), 2)
        assert.equal(nth(first, 0).version, 1)
      }
      await works(store)
    },
  },
]
