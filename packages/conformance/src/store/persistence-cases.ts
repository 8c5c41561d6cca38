/** What outlives a store: everything that was answered. What does not matter: derived data. */
import assert from 'node:assert/strict'
import type { EventStore } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import type { StoreScene } from './scene.ts'
import {
  added,
  allPages,
  append,
  course,
  eventsOf,
  loan,
  lost,
  numbers,
  range,
  refuses,
  SUM,
  tagged,
  works,
} from './words.ts'

/** Streams in every state that a stream can be in. */
async function fill(store: EventStore): Promise<void> {
  for (const n of range(1, 20)) {
    await append(store, loan(`s${n}`), added(3), { commandId: 'c1', correlationId: `k${n % 3}` })
    await append(store, { tenant: 't', ...course(`x/${n}`) }, [tagged('A', `n:${n}`)])
  }
  lost(await store.append(loan('s1'), added(1), { expectedVersion: 1 }))
  await append(store, loan('s4'), [{ type: 'Tagged', data: { n: 7 }, tags: ['x:1'] }])
  await store.truncate(loan('s1'), 3)
  await store.archive(loan('s2'))
  await store.tombstone(loan('s3'))
}

/** All that a store answers about what {@link fill} wrote. */
async function answers(scene: StoreScene, store: EventStore): Promise<unknown> {
  const streams = []
  for (const n of range(1, 21)) {
    const { checkpoint: _, ...state } = await store.state(loan(`s${n}`))
    streams.push([state, await eventsOf(store, loan(`s${n}`))])
  }
  const listings = []
  for await (const listing of store.streams('loan')) listings.push(listing)
  const byPlace = (a: { bucket: number; offset: number }, b: typeof a) =>
    a.bucket - b.bucket || a.offset - b.offset
  const all = await allPages(store.readAll(['loan', 'course'], { tenant: null }))
  const found = await allPages(store.search(['loan'], { correlationId: 'k1' }))
  const described = (await store.describe()).map(({ category, buckets }) => [
    category,
    buckets.map(({ bucket, events, voided, foreign, clock }) => [
      bucket,
      events,
      voided,
      foreign,
      clock,
    ]),
  ])
  assert.ok((await scene.all(store)).events.length > 0)
  return {
    streams,
    listings,
    all: [...all.events].sort(byPlace),
    found: [...found.events].sort(byPlace),
    described,
    sum: (await store.aggregate(loan('s5'), SUM)).state,
  }
}

/** What a store decides after it was opened again as it would have before. */
async function decides(store: EventStore): Promise<void> {
  const again = await append(store, loan('s5'), added(1), { commandId: 'c1' })
  assert.deepEqual([again.duplicate, again.firstVersion, again.version], [true, 1, 3])
  lost(await store.append(loan('s5'), added(1), { expectedVersion: 2 }))
  await refuses(() => store.append(loan('s2'), added(1)), 'STREAM_ARCHIVED')
  await refuses(() => store.append(loan('s3'), added(1)), 'STREAM_TOMBSTONED')
  const condition = { failIfMatch: [{ tags: ['n:7'] }] }
  const stream = { tenant: 't', ...course('x/7') }
  lost(await store.append(stream, [tagged('B')], { condition }), 'condition')
  assert.equal((await append(store, loan('s1'), added(1, 4))).version, 4)
  await works(store)
}

export const persistenceCases: readonly CaseSpec[] = [
  {
    name: 'a store that is closed and opened again answers the same and decides the same',
    run: async scene => {
      let store = await scene.open()
      await fill(store)
      const before = await answers(scene, store)
      store = await scene.reopen(store)
      assert.deepEqual(await answers(scene, store), before)
      await decides(store)
    },
  },
  {
    name: 'everything that was answered is there after a restart',
    needs: 'restarts',
    run: async scene => {
      let store = await scene.open()
      await fill(store)
      const before = await answers(scene, store)
      await scene.restart()
      store = await scene.open()
      assert.deepEqual(await answers(scene, store), before)
      await decides(store)
    },
  },
  {
    name: 'a store whose derived data is gone builds it again and answers the same',
    needs: 'discards',
    run: async scene => {
      let store = await scene.open()
      await fill(store)
      const before = await answers(scene, store)
      store = await scene.rebuild(store)
      assert.deepEqual(await answers(scene, store), before)
      await decides(store)
    },
  },
  {
    name: 'a store that may keep little in memory takes much, at once and one after another',
    run: async scene => {
      const settings = {
        'index.flush.bytes': 65_536,
        'index.flush.ms': 1,
        'index.page.bytes': 1024,
        'streams.cache': 100,
        'read.page.bytes': 65_536,
      }
      let store = await scene.open({ settings })
      const big = { text: 'x'.repeat(50_000) }
      const write = async (n: number) => {
        for (const i of range(1, 20)) {
          const data = i % 3 === 0 ? { ...big, n: i } : { n: i }
          await append(store, loan(`s${n}`), [{ type: 'Added', data }])
        }
      }
      await Promise.all(range(1, 10).map(write))
      for (const n of range(1, 10)) {
        assert.deepEqual(numbers(await eventsOf(store, loan(`s${n}`))), range(1, 20))
      }
      store = await scene.reopen(store)
      assert.equal((await scene.all(store)).events.length, 200)
    },
  },
  {
    name: 'a checkpoint from before a restart goes on where it was',
    run: async scene => {
      let store = await scene.open()
      for (const n of range(1, 10)) await append(store, loan(`s${n}`), added(2))
      const { checkpoint } = await scene.all(store)
      const { id } = store
      store = await scene.reopen(store)
      assert.equal(store.id, id)
      await store.reached(checkpoint)
      assert.deepEqual((await scene.all(store, 'loan', checkpoint)).events, [])
      await append(store, loan('s5'), added(1, 3))
      assert.deepEqual(numbers((await scene.all(store, 'loan', checkpoint)).events), [3])
    },
  },
  {
    name: 'a stream is gone on with over many openings',
    run: async scene => {
      let store = await scene.open()
      for (const n of range(1, 6)) {
        await append(store, loan('a'), added(2, 2 * n - 1), { expectedVersion: 2 * n - 2 })
        store = await scene.reopen(store)
        assert.equal((await store.state(loan('a'))).version, 2 * n)
      }
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), range(1, 12))
    },
  },
  {
    name: 'readers that stop with the store and go on from their checkpoint miss nothing',
    run: async scene => {
      let store = await scene.open()
      const seen: string[] = []
      let after: string | undefined
      for (const round of range(1, 5)) {
        for (const n of range(1, 10)) await append(store, loan(`s${n}`), added(1, round))
        const read = store.readAll(['loan'], {
          pageSize: 3,
          ...(after === undefined ? {} : { after }),
        })
        let pages = 0
        for await (const page of read) {
          seen.push(...page.events.map(event => `${event.stream}@${event.version}`))
          after = page.checkpoint
          pages += 1
          if (pages === 3) break
        }
        store = await scene.reopen(store)
      }
      const rest = await scene.all(store, 'loan', after)
      seen.push(...rest.events.map(event => `${event.stream}@${event.version}`))
      assert.deepEqual([seen.length, new Set(seen).size], [50, 50])
    },
  },
]
