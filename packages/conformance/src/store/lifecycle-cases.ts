/** Truncating, archiving and deleting streams for good. */
import assert from 'node:assert/strict'
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
  take,
  works,
} from './words.ts'

export const lifecycleCases: readonly CaseSpec[] = [
  {
    name: 'a truncated stream is read from its first remaining event; its version stays',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(5))
      const state = await store.truncate(loan('a'), 4)
      assert.deepEqual([state.version, state.firstVersion], [5, 4])
      const read = await store.read(loan('a')).all()
      assert.deepEqual([numbers(read.events), read.version], [[4, 5], 5])
      const backwards = await store.read(loan('a'), { backwards: true }).all()
      assert.deepEqual(numbers(backwards.events), [5, 4])
      const early = await store.read(loan('a'), { from: 1, to: 4 }).all()
      assert.deepEqual(numbers(early.events), [4])
      assert.equal(await store.event(loan('a'), 3), undefined)
      assert.deepEqual(numbers(await take(store.follow(loan('a')), 2)), [4, 5])
    },
  },
  {
    name: 'appending after truncating goes on with the version',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      await store.truncate(loan('a'), 3)
      lost(await store.append(loan('a'), added(1), { expectedVersion: 1 }))
      const next = await append(store, loan('a'), added(2, 4), { expectedVersion: 3 })
      assert.equal(next.version, 5)
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), [3, 4, 5])
    },
  },
  {
    name: 'a stream that is truncated to nothing still exists at its version',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      const state = await store.truncate(loan('a'), 99)
      assert.deepEqual([state.version, state.firstVersion], [3, 4])
      assert.deepEqual(await eventsOf(store, loan('a')), [])
      lost(await store.append(loan('a'), added(1), { expectedVersion: 'absent' }))
      const next = await append(store, loan('a'), added(1, 4), { expectedVersion: 'exists' })
      assert.equal(next.version, 4)
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), [4])
    },
  },
  {
    name: 'truncating twice, to earlier, or where nothing is, changes nothing',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(5))
      await store.truncate(loan('a'), 3)
      assert.equal((await store.truncate(loan('a'), 3)).firstVersion, 3)
      assert.equal((await store.truncate(loan('a'), 1)).firstVersion, 3)
      const unknown = await store.truncate(loan('b'), 3)
      assert.deepEqual([unknown.version, unknown.firstVersion], [0, 1])
      assert.equal((await append(store, loan('b'), added(1))).version, 1)
      assert.equal((await eventsOf(store, loan('b'))).length, 1)
    },
  },
  {
    name: 'truncating one stream leaves its neighbours alone',
    run: async scene => {
      const store = await scene.open()
      const ids = range(1, 9).map(n => `s${n}`)
      for (const id of ids) await append(store, loan(id), added(3))
      await store.truncate(loan('s5'), 3)
      for (const id of ids) {
        const there = numbers(await eventsOf(store, loan(id)))
        assert.deepEqual(there, id === 's5' ? [3] : [1, 2, 3])
      }
    },
  },
  {
    name: 'a stream is truncated at a version from 1 on, and at none below',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      await refuses(() => store.truncate(loan('a'), 0), 'BAD_ARGUMENT', 'before', 1)
      await refuses(() => store.truncate(loan('a'), 1.5), 'BAD_ARGUMENT', 'before')
      assert.equal((await store.truncate(loan('a'), 1)).firstVersion, 1)
      await works(store)
    },
  },
  {
    name: 'an archived stream says so, is read as before and takes no events',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      const state = await store.archive(loan('a'))
      assert.deepEqual([state.archived, state.version, state.tombstoned], [true, 3, false])
      assert.equal((await store.state(loan('a'))).archived, true)
      await refuses(() => store.append(loan('a'), added(1)), 'STREAM_ARCHIVED', 'a')
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), [1, 2, 3])
      assert.deepEqual(numbers((await scene.all(store)).events), [1, 2, 3])
    },
  },
  {
    name: 'an archived stream is folded to its last state',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(4))
      assert.equal((await store.aggregate(loan('a'), SUM)).archived, false)
      await store.archive(loan('a'))
      const folded = await store.aggregate(loan('a'), SUM)
      assert.deepEqual([folded.state.sum, folded.archived], [10, true])
    },
  },
  {
    name: 'archiving twice is archiving once; a stream comes back from the archive',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      await store.archive(loan('a'))
      assert.equal((await store.archive(loan('a'), true)).archived, true)
      assert.equal((await store.archive(loan('a'), false)).archived, false)
      assert.equal((await store.archive(loan('a'), false)).archived, false)
      assert.equal((await append(store, loan('a'), added(1, 2))).version, 2)
    },
  },
  {
    name: 'archiving leaves neighbours alone, and a stream that is not there is no error',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      await append(store, loan('b'), added(1))
      await store.archive(loan('a'))
      assert.equal((await store.archive(loan('c'))).version, 0)
      assert.equal((await append(store, loan('b'), added(1))).version, 2)
      assert.equal((await store.state(loan('b'))).archived, false)
    },
  },
  {
    name: 'a stream that was deleted for good is read empty, keeps its version and takes no events',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      const state = await store.tombstone(loan('a'))
      assert.deepEqual([state.tombstoned, state.version], [true, 3])
      const read = await store.read(loan('a')).all()
      assert.deepEqual([read.events, read.version], [[], 3])
      assert.equal(await store.event(loan('a'), 1), undefined)
      for (const expectedVersion of ['any', 'absent', 'exists', 0, 3] as const) {
        const again = () => store.append(loan('a'), added(1), { expectedVersion })
        await refuses(again, 'STREAM_TOMBSTONED', 'a')
      }
    },
  },
  {
    name: 'deleting for good is idempotent, leaves neighbours alone and is not taken back',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      await append(store, loan('b'), added(1))
      await store.tombstone(loan('a'))
      assert.equal((await store.tombstone(loan('a'))).tombstoned, true)
      assert.equal((await store.archive(loan('a'), false)).tombstoned, true)
      await refuses(() => store.append(loan('a'), added(1)), 'STREAM_TOMBSTONED')
      assert.equal((await append(store, loan('b'), added(1))).version, 2)
    },
  },
  {
    name: 'a stream that was deleted for good folds to nothing, snapshots or not',
    run: async scene => {
      const store = await scene.open()
      const fold = { ...SUM, snapshot: { name: 'sum', hash: '1', every: 2 } }
      await append(store, loan('a'), added(10))
      assert.equal((await store.aggregate(loan('a'), fold)).state.sum, 55)
      assert.equal((await store.aggregate(loan('a'), fold)).state.sum, 55)
      await store.tombstone(loan('a'))
      for (const one of [SUM, fold]) {
        const folded = await store.aggregate(loan('a'), one)
        assert.deepEqual([folded.state, folded.tombstoned], [{ sum: 0, count: 0 }, true])
      }
    },
  },
  {
    name: 'reads over all streams bring the same after streams were truncated, archived, deleted',
    run: async scene => {
      const store = await scene.open()
      for (const id of ['a', 'b', 'c', 'd']) await append(store, loan(id), added(4))
      const before = await scene.all(store)
      await store.truncate(loan('a'), 3)
      await store.archive(loan('b'))
      await store.tombstone(loan('c'))
      assert.deepEqual((await scene.all(store)).events, before.events)
      assert.equal(before.events.length, 16)
      assert.deepEqual((await scene.all(store, 'loan', before.checkpoint)).events, [])
      const found = await allPages(store.search(['loan'], { types: ['Added'] }))
      assert.equal(found.events.length, 16)
    },
  },
  {
    name: 'a repeated command is answered with its first result on an archived stream too',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1), { commandId: 'c1' })
      await store.archive(loan('a'))
      const again = await append(store, loan('a'), added(1), { commandId: 'c1' })
      assert.deepEqual([again.duplicate, again.version], [true, 1])
    },
  },
]
