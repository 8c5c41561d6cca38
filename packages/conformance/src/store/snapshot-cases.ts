/** Snapshots of aggregates: they save folding and never change what a fold gives. */
import assert from 'node:assert/strict'
import type { Aggregated, EventStore, Fold, StreamRef } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import { recordsOf, topicsWith, write } from './log-words.ts'
import type { StoreScene } from './scene.ts'
import { added, append, loan, numbers, range, SUM } from './words.ts'

type Sum = { readonly sum: number; readonly count: number }

const EVERY = 10

/** A fold that counts how many events it was given. */
class Counted implements Fold<Sum> {
  evolved = 0
  readonly snapshot: NonNullable<Fold<Sum>['snapshot']>
  readonly initial = SUM.initial

  constructor(hash = '1', every = EVERY) {
    this.snapshot = { name: 'sum', hash, every }
  }

  evolve = (state: Sum, event: Parameters<Fold<Sum>['evolve']>[1]): Sum => {
    this.evolved += 1
    return SUM.evolve(state as { sum: number; count: number }, event)
  }
}

const sumTo = (n: number): number => (n * (n + 1)) / 2

/** Loads until a snapshot is used; it may be written after the load that made it. */
async function snapshotted(
  scene: StoreScene,
  store: EventStore,
  stream: StreamRef,
  fold: Fold<Sum>,
): Promise<Aggregated<Sum>> {
  return scene.eventually(async () => {
    const folded = await store.aggregate(stream, fold)
    assert.ok(folded.snapshotVersion > 0, 'no snapshot is used')
    return folded
  })
}

/** Damages every snapshot that the store has written, as a client of its log. */
async function damageSnapshots(
  scene: StoreScene,
  change: (value: Buffer) => Buffer | null,
): Promise<void> {
  const log = await scene.log()
  let damaged = 0
  for (const topic of await topicsWith(log, `${scene.prefix()}snapshots`)) {
    for (const record of await recordsOf(log, topic)) {
      if (record.value === null) continue
      await write(log, topic, record.partition, [
        { ...record, value: change(record.value as Buffer) },
      ])
      damaged += 1
    }
  }
  assert.ok(damaged > 0, 'there is no snapshot to be damaged')
}

const damage = (name: string, change: (value: Buffer) => Buffer | null): CaseSpec => ({
  name: `snapshots that are ${name} in the log never change a fold, and others are made`,
  needs: 'onLog',
  run: async scene => {
    let store = await scene.open()
    await append(store, loan('a'), added(3 * EVERY))
    await snapshotted(scene, store, loan('a'), new Counted())
    const options = await scene.close(store)
    await damageSnapshots(scene, change)
    // Another index: nothing of what the first one kept is at hand.
    store = await scene.open({ ...options, index: 1 })
    let version = 3 * EVERY
    await scene.eventually(async () => {
      const folded = await store.aggregate(loan('a'), new Counted())
      assert.deepEqual([folded.state.sum, folded.stateVersion], [sumTo(version), version])
      await append(store, loan('a'), added(1, ++version))
      assert.ok(folded.snapshotVersion > 3 * EVERY, 'no new snapshot is used')
    })
  },
})

export const snapshotCases: readonly CaseSpec[] = [
  {
    name: 'a fold with snapshots agrees with one without, at every version',
    run: async scene => {
      const store = await scene.open()
      const fold = new Counted()
      for (const n of range(1, 45)) {
        await append(store, loan('a'), added(1, n))
        const live = await store.aggregate(loan('a'), SUM)
        const kept = await store.aggregate(loan('a'), fold)
        assert.deepEqual([kept.state, kept.stateVersion], [live.state, n])
        assert.equal(live.snapshotVersion, 0)
      }
      assert.ok((await snapshotted(scene, store, loan('a'), fold)).snapshotVersion > 0)
    },
  },
  {
    name: 'a fold from a snapshot folds only what came since',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(500))
      await snapshotted(scene, store, loan('a'), new Counted())
      await append(store, loan('a'), added(3, 501))
      const fold = new Counted()
      const folded = await store.aggregate(loan('a'), fold)
      assert.equal(folded.state.sum, sumTo(503))
      assert.equal(fold.evolved, 503 - folded.snapshotVersion)
      assert.ok(fold.evolved <= 3 + EVERY, `${fold.evolved} events were folded`)
    },
  },
  {
    name: 'a stream that is shorter than a snapshot asks for has none',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(EVERY - 1))
      for (let i = 0; i < 3; i++) {
        const folded = await store.aggregate(loan('a'), new Counted())
        assert.deepEqual([folded.snapshotVersion, folded.state.count], [0, EVERY - 1])
      }
    },
  },
  {
    name: 'a snapshot of another hash is ignored, and made again',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2 * EVERY))
      await snapshotted(scene, store, loan('a'), new Counted())
      const other = new Counted('2')
      other.evolve = (state, event) => {
        other.evolved += 1
        return { sum: state.sum - (numbers([event])[0] ?? 0), count: state.count + 1 }
      }
      const first = await store.aggregate(loan('a'), other)
      assert.deepEqual([first.state.sum, first.snapshotVersion], [-sumTo(2 * EVERY), 0])
      assert.equal(other.evolved, 2 * EVERY)
      const again = await snapshotted(scene, store, loan('a'), other)
      assert.equal(again.state.sum, -sumTo(2 * EVERY))
    },
  },
  {
    name: 'a snapshot later than the version or time asked for is not used',
    run: async scene => {
      const store = await scene.open()
      const timed = added(3 * EVERY).map((event, i) => ({ ...event, time: 1000 + i }))
      await append(store, loan('a'), timed)
      await snapshotted(scene, store, loan('a'), new Counted())
      for (const version of [1, EVERY - 1, EVERY, 2 * EVERY + 5]) {
        const byVersion = await store.aggregate(loan('a'), new Counted(), { version })
        assert.deepEqual([byVersion.state.sum, byVersion.stateVersion], [sumTo(version), version])
        const byTime = await store.aggregate(loan('a'), new Counted(), { time: 999 + version })
        assert.deepEqual([byTime.state.sum, byTime.stateVersion], [sumTo(version), version])
      }
      const last = await store.aggregate(loan('a'), new Counted())
      assert.equal(last.state.sum, sumTo(3 * EVERY))
    },
  },
  {
    name: 'a state that its caller changes is not what the next fold begins with',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2 * EVERY))
      const fold: Fold<number[]> = {
        initial: () => [],
        evolve: (state, event) => [...state, ...numbers([event])],
        snapshot: { name: 'list', hash: '1', every: EVERY },
      }
      for (let i = 0; i < 5; i++) {
        const { state } = await store.aggregate(loan('a'), fold)
        assert.deepEqual(state, range(1, 2 * EVERY + i))
        try {
          state.push(-1)
        } catch {
          // What is kept may be frozen.
        }
        await append(store, loan('a'), added(1, 2 * EVERY + i + 1))
      }
    },
  },
  {
    name: 'snapshots of one stream are not those of its namesakes in other categories and tenants',
    run: async scene => {
      const store = await scene.open()
      const namesakes: StreamRef[] = [
        loan('a'),
        { category: 'course', id: 'a' },
        { tenant: 't', category: 'loan', id: 'a' },
      ]
      for (const [i, stream] of namesakes.entries()) {
        await append(store, stream, added(2 * EVERY, 1 + 1000 * i))
        await snapshotted(scene, store, stream, new Counted())
      }
      for (const [i, stream] of namesakes.entries()) {
        const { state } = await store.aggregate(stream, new Counted())
        assert.equal(state.sum, sumTo(2 * EVERY) + 2 * EVERY * 1000 * i)
      }
    },
  },
  {
    name: 'a snapshot is there after a restart, and right',
    needs: 'restarts',
    run: async scene => {
      let store = await scene.open()
      await append(store, loan('a'), added(5 * EVERY))
      await snapshotted(scene, store, loan('a'), new Counted())
      await scene.restart()
      store = await scene.open()
      const fold = new Counted()
      const folded = await store.aggregate(loan('a'), fold)
      assert.deepEqual([folded.state.sum, folded.snapshotVersion > 0], [sumTo(5 * EVERY), true])
      assert.ok(fold.evolved <= EVERY, `${fold.evolved} events were folded`)
    },
  },
  {
    name: 'snapshots stay right while the index is thrown away',
    needs: 'discards',
    run: async scene => {
      let store = await scene.open()
      await append(store, loan('a'), added(4 * EVERY))
      await snapshotted(scene, store, loan('a'), new Counted())
      store = await scene.rebuild(store)
      await append(store, loan('a'), added(1, 4 * EVERY + 1))
      const { state } = await store.aggregate(loan('a'), new Counted())
      assert.equal(state.sum, sumTo(4 * EVERY + 1))
    },
  },
  damage('cut short', value => value.subarray(0, value.length >> 1)),
  damage('empty', () => Buffer.alloc(0)),
  damage('other JSON', () => Buffer.from('{"sum":-1}')),
  {
    name: 'snapshots of a category whose topic was made anew are not used',
    needs: 'onLog',
    run: async scene => {
      let store = await scene.open()
      await append(store, loan('a'), added(2 * EVERY))
      await snapshotted(scene, store, loan('a'), new Counted())
      const options = await scene.close(store)
      const log = await scene.log()
      const [deleted] = await log.deleteTopics([scene.topic('loan')])
      assert.equal(deleted?.error, undefined)
      store = await scene.open(options)
      assert.equal((await store.state(loan('a'))).version, 0)
      await append(store, loan('a'), added(3 * EVERY, 1000))
      const { state } = await store.aggregate(loan('a'), new Counted())
      assert.equal(state.sum, sumTo(3 * EVERY) + 3 * EVERY * 999)
    },
  },
  {
    name: 'a snapshot of a stream that is ahead of this one is not used',
    needs: 'onLog',
    run: async scene => {
      const ahead = await scene.open({ world: '-ahead', index: 1 })
      await append(ahead, loan('a'), added(4 * EVERY, 1000))
      await snapshotted(scene, ahead, loan('a'), new Counted())
      await scene.close(ahead)
      let store = await scene.open()
      await append(store, loan('a'), added(EVERY - 1))
      await store.aggregate(loan('a'), new Counted())
      const options = await scene.close(store)
      const log = await scene.log()
      let copied = 0
      for (const topic of await topicsWith(log, `${scene.prefix('-ahead')}snapshots`)) {
        const own = topic.replace(scene.prefix('-ahead'), scene.prefix())
        for (const record of await recordsOf(log, topic)) {
          await write(log, own, record.partition, [record])
          copied += 1
        }
      }
      assert.ok(copied > 0, 'there is no snapshot to be copied')
      store = await scene.open(options)
      const folded = await store.aggregate(loan('a'), new Counted())
      assert.deepEqual([folded.state.sum, folded.stateVersion], [sumTo(EVERY - 1), EVERY - 1])
      await append(store, loan('a'), added(1, EVERY))
      assert.equal((await store.aggregate(loan('a'), new Counted())).state.sum, sumTo(EVERY))
    },
  },
]
