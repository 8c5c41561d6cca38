/** Tenants: in every call, and nothing of one is seen by another. */
import assert from 'node:assert/strict'
import type { StreamRef } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import {
  added,
  allPages,
  append,
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

const of = (tenant: string, id: string, category = 'loan'): StreamRef => ({ tenant, category, id })

export const tenantCases: readonly CaseSpec[] = [
  {
    name: 'one stream id of two tenants is two streams, with versions of their own',
    run: async scene => {
      const store = await scene.open()
      await append(store, of('acme', 'a'), added(3))
      await append(store, of('beta', 'a'), added(1, 100), { expectedVersion: 'absent' })
      await append(store, loan('a'), added(2, 200), { expectedVersion: 0 })
      assert.deepEqual(numbers(await eventsOf(store, of('acme', 'a'))), [1, 2, 3])
      assert.deepEqual(numbers(await eventsOf(store, of('beta', 'a'))), [100])
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), [200, 201])
      assert.equal((await store.state(of('acme', 'a'))).version, 3)
      assert.equal((await store.state(of('gamma', 'a'))).version, 0)
      assert.equal((await store.aggregate(of('beta', 'a'), SUM)).state.sum, 100)
    },
  },
  {
    name: 'every event carries its tenant',
    run: async scene => {
      const store = await scene.open()
      await append(store, of('acme', 'a'), added(2))
      await append(store, loan('a'), added(1))
      const tenants = async (stream: StreamRef) =>
        (await eventsOf(store, stream)).map(event => event.tenant)
      assert.deepEqual(await tenants(of('acme', 'a')), ['acme', 'acme'])
      assert.deepEqual(await tenants(of('', 'a')), [''])
    },
  },
  {
    name: 'a read of all brings the events of one tenant; of all tenants if asked',
    run: async scene => {
      const store = await scene.open()
      for (const n of range(1, 6)) {
        for (const tenant of ['', 'acme', 'beta']) {
          await append(store, of(tenant, `s${n}`), added(n))
        }
      }
      for (const tenant of ['', 'acme', 'beta']) {
        const { events } = await allPages(store.readAll(['loan'], { tenant }))
        assert.equal(events.length, 21)
        assert.deepEqual(new Set(events.map(event => event.tenant)), new Set([tenant]))
      }
      assert.equal((await scene.all(store)).events.length, 21)
      const all = await allPages(store.readAll(['loan'], { tenant: null }))
      assert.equal(all.events.length, 63)
      assert.deepEqual((await allPages(store.readAll(['loan'], { tenant: 'other' }))).events, [])
    },
  },
  {
    name: 'a search finds events of one tenant, a listing its streams; of all if asked',
    run: async scene => {
      const store = await scene.open()
      await append(store, of('acme', 'a'), [tagged('A', 'x:1')])
      await append(store, of('beta', 'b'), [tagged('A', 'x:1')])
      const found = async (tenant: string | null) => {
        const { events } = await allPages(store.search(['loan'], { tags: ['x:1'] }, { tenant }))
        return events.map(event => event.stream).sort()
      }
      assert.deepEqual(await found('acme'), ['a'])
      assert.deepEqual(await found(''), [])
      assert.deepEqual(await found(null), ['a', 'b'])
      const listed = async (tenant: string | null) => {
        const streams: string[] = []
        for await (const { stream } of store.streams('loan', { tenant })) {
          streams.push(`${stream.tenant}/${stream.id}`)
        }
        return streams.sort()
      }
      assert.deepEqual(await listed('beta'), ['beta/b'])
      assert.deepEqual(await listed(''), [])
      assert.deepEqual(await listed(null), ['acme/a', 'beta/b'])
    },
  },
  {
    name: 'a command id of one tenant is not one of another',
    run: async scene => {
      const store = await scene.open()
      await append(store, of('acme', 'a'), added(1), { commandId: 'c1' })
      const other = await append(store, of('beta', 'a'), added(1), { commandId: 'c1' })
      assert.equal(other.duplicate, false)
      const again = await append(store, of('acme', 'a'), added(1), { commandId: 'c1' })
      assert.equal(again.duplicate, true)
    },
  },
  {
    name: 'the events of one tenant do not stand in the way of the conditions of another',
    run: async scene => {
      const store = await scene.open()
      const tenants = range(1, 12).map(n => `t${n}`)
      const claim = (tenant: string) =>
        store.append(of(tenant, 'x/1', 'course'), [tagged('Taken', 'name:ada')], {
          condition: { failIfMatch: [{ tags: ['name:ada'] }] },
        })
      // More tenants than buckets: some share one.
      for (const tenant of tenants) assert.equal((await claim(tenant)).ok, true)
      for (const tenant of tenants) {
        const conflict = lost(await claim(tenant), 'condition')
        assert.deepEqual(
          conflict.events.map(event => event.tenant),
          [tenant],
        )
      }
    },
  },
  {
    name: 'a checkpoint of one tenant is refused by a read of another',
    run: async scene => {
      const store = await scene.open()
      await append(store, of('acme', 'a'), added(2))
      await append(store, of('beta', 'a'), added(1))
      const { checkpoint } = await allPages(store.readAll(['loan'], { tenant: 'acme' }))
      const read = (tenant: string) =>
        allPages(store.readAll(['loan'], { tenant, after: checkpoint }))
      await refuses(() => read('beta'), 'CHECKPOINT_MISMATCH', 'acme')
      assert.deepEqual((await read('acme')).events, [])
    },
  },
  {
    name: 'archiving, truncating and deleting are of one tenant',
    run: async scene => {
      const store = await scene.open()
      for (const tenant of ['acme', 'beta']) {
        for (const id of ['a', 'b', 'c']) await append(store, of(tenant, id), added(2))
      }
      await store.archive(of('acme', 'a'))
      await store.truncate(of('acme', 'b'), 2)
      await store.tombstone(of('acme', 'c'))
      for (const id of ['a', 'b', 'c']) {
        assert.equal((await eventsOf(store, of('beta', id))).length, 2)
        assert.equal((await append(store, of('beta', id), added(1))).version, 3)
      }
      await refuses(() => store.append(of('acme', 'a'), added(1)), 'STREAM_ARCHIVED')
    },
  },
  {
    name: 'a follower of one tenant gets nothing of others, and its checkpoint passes them',
    run: async scene => {
      const store = await scene.open()
      const stop = new AbortController()
      const seen: string[] = []
      const following = scene.meanwhile(async () => {
        const options = { tenant: 'acme', follow: true, signal: stop.signal }
        for await (const page of store.readAll(['loan'], options)) {
          seen.push(...page.events.map(event => `${event.tenant}/${event.stream}`))
        }
      })
      for (const n of range(1, 5)) {
        await append(store, of('beta', `b${n}`), added(1))
        await append(store, of('acme', `a${n}`), added(1))
      }
      await scene.eventually(async () => {
        assert.deepEqual(
          [...seen].sort(),
          range(1, 5).map(n => `acme/a${n}`),
        )
      })
      stop.abort()
      await following
    },
  },
  {
    name: 'a tenant has at most 64 characters of a-z A-Z 0-9 . _ -',
    run: async scene => {
      const store = await scene.open()
      const longest = 'aZ0._-'.padEnd(64, 'x')
      await append(store, of(longest, 'a'), added(1))
      assert.equal((await eventsOf(store, of(longest, 'a')))[0]?.tenant, longest)
      for (const tenant of [`${longest}x`, 'a b', 'ä', 'a/b', '\0', 'a~b']) {
        const refused = (call: () => unknown) => refuses(call, 'BAD_ARGUMENT', 'tenant', 64)
        await refused(() => store.append(of(tenant, 'a'), added(1)))
        await refused(() => eventsOf(store, of(tenant, 'a')))
        await refused(() => store.state(of(tenant, 'a')))
        await refused(() => allPages(store.readAll(['loan'], { tenant })))
      }
      await works(store)
    },
  },
]
