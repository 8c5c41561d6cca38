/** What is known of a stream, and its single events. */
import assert from 'node:assert/strict'
import { nth } from '../frame/frame.ts'
import type { CaseSpec } from './case-spec.ts'
import { added, append, course, eventsOf, loan, range, refuses, works } from './words.ts'

export const stateCases: readonly CaseSpec[] = [
  {
    name: 'the state of a stream tells its version and the times of its first and last event',
    run: async scene => {
      const store = await scene.open()
      const timed = added(3).map((event, i) => ({ ...event, time: 1000 * (i + 1) }))
      const { bucket } = await append(store, loan('a'), timed)
      const { checkpoint, ...state } = await store.state(loan('a'))
      assert.deepEqual(state, {
        stream: { tenant: '', category: 'loan', id: 'a' },
        version: 3,
        firstVersion: 1,
        createdAt: 1000,
        updatedAt: 3000,
        archived: false,
        tombstoned: false,
        bucket,
      })
      await store.reached(checkpoint)
    },
  },
  {
    name: 'the state of an unknown stream is version 0, and no error',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      const { checkpoint, bucket, ...state } = await store.state(loan('b'))
      assert.deepEqual(state, {
        stream: { tenant: '', category: 'loan', id: 'b' },
        version: 0,
        firstVersion: 1,
        createdAt: -1,
        updatedAt: -1,
        archived: false,
        tombstoned: false,
      })
      assert.equal(typeof checkpoint, 'string')
      assert.equal(bucket, (await append(store, loan('b'), added(1))).bucket)
    },
  },
  {
    name: 'the state moves with every append, and with none that lost',
    run: async scene => {
      const store = await scene.open()
      for (const version of range(1, 10)) {
        await append(store, loan('a'), added(1))
        await store.append(loan('a'), added(1), { expectedVersion: 99 })
        assert.equal((await store.state(loan('a'))).version, version)
      }
    },
  },
  {
    name: 'a single event is brought by its version',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(5))
      const all = await eventsOf(store, loan('a'))
      for (const version of range(1, 5)) {
        assert.deepEqual(await store.event(loan('a'), version), nth(all, version - 1))
      }
    },
  },
  {
    name: 'an event that is not there is undefined',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      assert.equal(await store.event(loan('a'), 3), undefined)
      assert.equal(await store.event(loan('b'), 1), undefined)
      assert.equal((await store.event(loan('a'), 2))?.version, 2)
    },
  },
  {
    name: 'streams whose boundary is equal lie in one bucket, those of others somewhere',
    run: async scene => {
      const store = await scene.open()
      const buckets = new Set<number>()
      for (const boundary of range(1, 24)) {
        const own = new Set<number>()
        for (const id of ['x', 'y', 'z']) {
          own.add((await append(store, course(`${boundary}/${id}`), added(1))).bucket)
        }
        assert.equal(own.size, 1, 'one boundary, one bucket')
        for (const bucket of own) buckets.add(bucket)
      }
      assert.ok(buckets.size > 1, 'more than one bucket is used')
      for (const bucket of buckets) assert.ok(Number.isInteger(bucket) && bucket >= 0)
    },
  },
  {
    name: 'a category that the store was opened without is refused in every call',
    run: async scene => {
      const store = await scene.open()
      const other = { category: 'nothing', id: 'a' }
      const refused = (call: () => unknown) => refuses(call, 'UNKNOWN_CATEGORY', 'nothing')
      await refused(() => store.append(other, added(1)))
      await refused(() => store.read(other).all())
      await refused(() => store.state(other))
      await refused(() => store.event(other, 1))
      await refused(() => store.archive(other))
      await refused(() => store.now(['loan', 'nothing']))
      await refused(async () => {
        for await (const page of store.readAll(['nothing'])) assert.fail(`${page.checkpoint} came`)
      })
      await works(store)
    },
  },
  {
    name: 'a store names its categories',
    run: async scene => {
      const store = await scene.open()
      assert.deepEqual([...store.categories].sort(), ['course', 'loan'])
      await works(store)
    },
  },
]
