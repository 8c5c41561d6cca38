/** Unique values by reservation, over any store: nobody gets what another has. */
import assert from 'node:assert/strict'
import type { EventStore } from '@millrace/store'
import {
  confirm,
  holderOf,
  type ReservationOf,
  release,
  reservationCategory,
  reserve,
} from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import type { StoreScene } from './scene.ts'
import { range, refuses } from './words.ts'

const HOUR_MS = 3_600_000

const open = (scene: StoreScene, index = 0): Promise<EventStore> =>
  scene.open({ index, categories: { names: { buckets: 3, ...reservationCategory() } } })

const name = (value: string, owner: string): ReservationOf => ({
  category: 'names',
  scope: 'user.name',
  value,
  owner,
})

export const reservationCases: readonly CaseSpec[] = [
  {
    name: 'of many who reserve a value at once exactly one gets it, and the others are told who',
    run: async scene => {
      const store = await open(scene)
      for (const round of range(1, 5)) {
        const results = await Promise.all(
          range(1, 10).map(n => reserve(store, name(`ada-${round}`, `owner-${n}`), HOUR_MS)),
        )
        const holder = await holderOf(store, name(`ada-${round}`, ''))
        assert.equal(results.filter(result => result.ok).length, 1)
        for (const [i, result] of results.entries()) {
          if (result.ok) assert.equal(holder?.owner, `owner-${i + 1}`)
          else assert.equal(result.holder?.owner, holder?.owner)
        }
      }
    },
  },
  {
    name: 'the owner of a value may reserve it again; another may not',
    run: async scene => {
      const store = await open(scene)
      assert.equal((await reserve(store, name('ada', 'a'), HOUR_MS)).ok, true)
      assert.equal((await reserve(store, name('ada', 'a'), HOUR_MS)).ok, true)
      assert.equal((await reserve(store, name('ada', 'b'), HOUR_MS)).ok, false)
      assert.equal((await reserve(store, name('bob', 'b'), HOUR_MS)).ok, true)
    },
  },
  {
    name: 'a value that was released is free; only its owner releases it',
    run: async scene => {
      const store = await open(scene)
      await reserve(store, name('ada', 'a'), HOUR_MS)
      assert.equal((await release(store, name('ada', 'b'))).ok, false)
      assert.equal((await holderOf(store, name('ada', '')))?.owner, 'a')
      assert.equal((await release(store, name('ada', 'a'))).ok, true)
      assert.equal(await holderOf(store, name('ada', '')), null)
      assert.equal((await reserve(store, name('ada', 'b'), HOUR_MS)).ok, true)
    },
  },
  {
    name: 'a reservation ends with its time; what was confirmed does not',
    run: async scene => {
      const store = await open(scene)
      let time = 1_700_000_000_000
      const now = () => time
      await reserve(store, name('ada', 'a'), 1000, { now })
      await reserve(store, name('bob', 'a'), 1000, { now })
      assert.equal((await confirm(store, name('bob', 'a'), { now })).ok, true)
      time += 999
      assert.equal((await reserve(store, name('ada', 'b'), 1000, { now })).ok, false)
      time += 1
      assert.equal((await reserve(store, name('ada', 'b'), 1000, { now })).ok, true)
      assert.equal((await reserve(store, name('bob', 'b'), 1000, { now })).ok, false)
      assert.equal((await confirm(store, name('ada', 'a'), { now })).ok, false)
    },
  },
  {
    name: 'values of two scopes and two tenants are different values',
    run: async scene => {
      const store = await open(scene)
      const each = [
        name('ada', 'a'),
        { ...name('ada', 'b'), scope: 'user.mail' },
        { ...name('ada', 'c'), tenant: 'acme' },
      ]
      for (const one of each) assert.equal((await reserve(store, one, HOUR_MS)).ok, true)
      for (const one of each) assert.equal((await holderOf(store, one))?.owner, one.owner)
      assert.equal((await reserve(store, name('ada', 'd'), HOUR_MS)).ok, false)
    },
  },
  {
    name: 'of two stores that reserve a value one gets it',
    needs: 'severalStores',
    run: async scene => {
      const stores = [await open(scene, 0), await open(scene, 1)]
      for (const round of range(1, 10)) {
        const results = await Promise.all(
          stores.map((store, i) => reserve(store, name(`ada-${round}`, `owner-${i}`), HOUR_MS)),
        )
        assert.equal(results.filter(result => result.ok).length, 1)
        for (const store of stores) {
          const holder = await holderOf(store, name(`ada-${round}`, ''))
          assert.equal(holder?.owner, `owner-${results[0]?.ok ? 0 : 1}`)
        }
      }
    },
  },
  {
    name: 'a reservation lasts from a millisecond to thirty days',
    run: async scene => {
      const store = await open(scene)
      const most = 30 * 24 * HOUR_MS
      for (const forMs of [0, -1, 1.5, most + 1]) {
        await refuses(() => reserve(store, name('ada', 'a'), forMs), 'BAD_ARGUMENT', 'forMs', most)
      }
      assert.equal((await reserve(store, name('ada', 'a'), most)).ok, true)
      assert.equal((await holderOf(store, name('ada', '')))?.owner, 'a')
    },
  },
]
