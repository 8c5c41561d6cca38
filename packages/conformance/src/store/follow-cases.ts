/** Following one stream: what is there, then what comes, each event once and in order. */
import assert from 'node:assert/strict'
import type { CaseSpec } from './case-spec.ts'
import { added, append, loan, numbers, range, take, works } from './words.ts'

export const followCases: readonly CaseSpec[] = [
  {
    name: 'following a stream brings what is there and then what comes',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      const following = scene.meanwhile(() => take(store.follow(loan('a')), 6))
      await scene.sleep(30)
      await append(store, loan('b'), added(5, 100))
      await append(store, loan('a'), added(3, 4))
      assert.deepEqual(numbers(await following), range(1, 6))
    },
  },
  {
    name: 'following begins at a version, also at one that is still to come',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      const second = scene.meanwhile(() => take(store.follow(loan('a'), { from: 2 }), 4))
      const later = scene.meanwhile(() => take(store.follow(loan('a'), { from: 5 }), 1))
      await append(store, loan('a'), added(2, 4))
      assert.deepEqual(numbers(await second), [2, 3, 4, 5])
      assert.deepEqual(numbers(await later), [5])
    },
  },
  {
    name: 'a stream can be followed before it is there',
    run: async scene => {
      const store = await scene.open()
      const following = scene.meanwhile(() => take(store.follow(loan('a')), 2))
      await scene.sleep(30)
      await append(store, loan('a'), added(2))
      assert.deepEqual(numbers(await following), [1, 2])
    },
  },
  {
    name: 'following while others append misses nothing and brings nothing twice',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(50))
      const writing = scene.meanwhile(async () => {
        for (let i = 1; i <= 150; i++) await append(store, loan('a'), added(2, 49 + 2 * i))
      })
      const readers = await Promise.all(range(1, 4).map(() => take(store.follow(loan('a')), 350)))
      await writing
      for (const events of readers) {
        assert.deepEqual(
          events.map(event => event.version),
          range(1, 350),
        )
        assert.deepEqual(numbers(events), range(1, 350))
      }
    },
  },
  {
    name: 'the signal ends the following of a stream, without an error',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      const stop = new AbortController()
      const seen: number[] = []
      const following = scene.meanwhile(async () => {
        for await (const event of store.follow(loan('a'), { signal: stop.signal })) {
          seen.push(...numbers([event]))
        }
      })
      await scene.eventually(async () => assert.deepEqual(seen, [1, 2]))
      stop.abort()
      await following
      await append(store, loan('a'), added(1, 3))
      assert.deepEqual(seen, [1, 2])
    },
  },
  {
    name: 'a follower that leaves does not hold up others',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      const staying = scene.meanwhile(() => take(store.follow(loan('a')), 3))
      assert.deepEqual(numbers(await take(store.follow(loan('a')), 1)), [1])
      await append(store, loan('a'), added(2, 2))
      assert.deepEqual(numbers(await staying), [1, 2, 3])
      await works(store)
    },
  },
  {
    name: 'a slow follower gets everything, in order',
    run: async scene => {
      const store = await scene.open()
      const seen: number[] = []
      const following = scene.meanwhile(async () => {
        for await (const event of store.follow(loan('a'))) {
          seen.push(...numbers([event]))
          if (seen.length === 40) break
          await scene.sleep(2)
        }
      })
      for (let i = 0; i < 20; i++) await append(store, loan('a'), added(2, 2 * i + 1))
      await following
      assert.deepEqual(seen, range(1, 40))
    },
  },
  {
    name: 'following never brings an append that lost',
    run: async scene => {
      const store = await scene.open()
      const following = scene.meanwhile(() => take(store.follow(loan('a')), 3))
      await append(store, loan('a'), added(1))
      const racers = range(1, 10).map(() =>
        store.append(loan('a'), added(1, 2), { expectedVersion: 1 }),
      )
      const taken = (await Promise.all(racers)).filter(result => result.ok)
      assert.equal(taken.length, 1)
      await append(store, loan('a'), added(1, 3))
      assert.deepEqual(numbers(await following), [1, 2, 3])
    },
  },
]
