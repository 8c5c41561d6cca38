/** Folding streams: whole, by version, by time. */
import assert from 'node:assert/strict'
import type { Fold } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import { added, append, loan, numbers, range, refuses, SUM, works } from './words.ts'

const sumTo = (n: number): number => (n * (n + 1)) / 2

/** The numbers of a stream, in order. */
const LIST: Fold<readonly number[]> = {
  initial: () => [],
  evolve: (state, event) => [...state, ...numbers([event])],
}

export const aggregateCases: readonly CaseSpec[] = [
  {
    name: 'a stream is folded from its first event to its last, in order',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(20))
      const folded = await store.aggregate(loan('a'), LIST)
      assert.deepEqual(folded.state, range(1, 20))
      assert.deepEqual([folded.version, folded.stateVersion, folded.snapshotVersion], [20, 20, 0])
      assert.deepEqual([folded.archived, folded.tombstoned], [false, false])
    },
  },
  {
    name: 'a stream that is not there folds to the initial state at version 0',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      assert.deepEqual((await store.aggregate(loan('a'), LIST)).state, [1])
      const folded = await store.aggregate(loan('b'), LIST)
      assert.deepEqual([folded.state, folded.version, folded.stateVersion], [[], 0, 0])
      await store.reached(folded.checkpoint)
    },
  },
  {
    name: 'a fold sees what was just appended, and decides for the next append',
    run: async scene => {
      const store = await scene.open()
      for (const n of range(1, 30)) {
        const { state, version } = await store.aggregate(loan('a'), SUM)
        assert.deepEqual([state.sum, version], [sumTo(n - 1), n - 1])
        await append(store, loan('a'), added(1, n), { expectedVersion: version })
      }
    },
  },
  {
    name: 'a stream is folded up to a version',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(10))
      for (const version of [0, 1, 5, 10]) {
        const folded = await store.aggregate(loan('a'), SUM, { version })
        assert.deepEqual(
          [folded.state.sum, folded.stateVersion, folded.version],
          [sumTo(version), version, 10],
        )
      }
      const beyond = await store.aggregate(loan('a'), SUM, { version: 99 })
      assert.deepEqual([beyond.state.sum, beyond.stateVersion], [55, 10])
    },
  },
  {
    name: 'a stream is folded up to a time, the time included',
    run: async scene => {
      const store = await scene.open()
      await append(
        store,
        loan('a'),
        added(4).map((event, i) => ({ ...event, time: 1000 * Math.ceil((i + 1) / 2) })),
      )
      for (const [time, version] of [
        [999, 0],
        [1000, 2],
        [1999, 2],
        [2000, 4],
        [9999, 4],
      ] as const) {
        const folded = await store.aggregate(loan('a'), SUM, { time })
        assert.deepEqual([folded.state.sum, folded.stateVersion], [sumTo(version), version])
      }
    },
  },
  {
    name: 'version and time together end a fold at whichever comes first',
    run: async scene => {
      const store = await scene.open()
      await append(
        store,
        loan('a'),
        added(4).map((event, i) => ({ ...event, time: 1000 * (i + 1) })),
      )
      const both = async (version: number, time: number) =>
        (await store.aggregate(loan('a'), SUM, { version, time })).stateVersion
      assert.equal(await both(2, 3000), 2)
      assert.equal(await both(4, 3000), 3)
    },
  },
  {
    name: 'a fold is of one stream, and of the part that was not truncated',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(5))
      await append(store, loan('b'), added(5, 100))
      await store.truncate(loan('a'), 4)
      assert.deepEqual((await store.aggregate(loan('a'), LIST)).state, [4, 5])
      assert.deepEqual((await store.aggregate(loan('b'), LIST)).state, range(100, 104))
    },
  },
  {
    name: 'an evolve that throws fails the fold with its own error, and the next one works',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(5))
      const broken = new Error('cannot evolve')
      let breaks = true
      const fold: Fold<number> = {
        initial: () => 0,
        evolve: (state, event) => {
          if (breaks && event.version === 3) throw broken
          return state + 1
        },
        snapshot: { name: 'count', hash: '1', every: 1 },
      }
      await assert.rejects(async () => store.aggregate(loan('a'), fold), broken)
      breaks = false
      assert.equal((await store.aggregate(loan('a'), fold)).state, 5)
    },
  },
  {
    name: 'two folds of one stream do not mix',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(6))
      const sum = { ...SUM, snapshot: { name: 'sum', hash: '1', every: 2 } }
      const list = { ...LIST, snapshot: { name: 'list', hash: '1', every: 2 } }
      for (const n of range(7, 12)) {
        assert.equal((await store.aggregate(loan('a'), sum)).state.sum, sumTo(n - 1))
        assert.deepEqual((await store.aggregate(loan('a'), list)).state, range(1, n - 1))
        await append(store, loan('a'), added(1, n))
      }
    },
  },
  {
    name: 'many folds of one stream at once, while it grows, each fold a prefix',
    run: async scene => {
      const store = await scene.open()
      const fold = { ...SUM, snapshot: { name: 'sum', hash: '1', every: 5 } }
      const writing = scene.meanwhile(async () => {
        for (const n of range(1, 60)) await append(store, loan('a'), added(1, n))
      })
      const reading = range(1, 8).map(async () => {
        for (let i = 0; i < 20; i++) {
          const { state, stateVersion } = await store.aggregate(loan('a'), fold)
          assert.deepEqual([state.sum, state.count], [sumTo(stateVersion), stateVersion])
        }
      })
      await Promise.all([writing, ...reading])
      assert.equal((await store.aggregate(loan('a'), fold)).state.sum, sumTo(60))
    },
  },
  {
    name: 'a fold is asked for up to a version from 0 on, and to none below',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      const to = (version: number) => store.aggregate(loan('a'), SUM, { version })
      await refuses(() => to(-1), 'BAD_ARGUMENT', 'version', 0)
      await refuses(() => to(0.5), 'BAD_ARGUMENT', 'version')
      assert.equal((await to(0)).stateVersion, 0)
      await works(store)
    },
  },
]
