/** Several stores on one log, as on several nodes: they see each other, and agree. */
import assert from 'node:assert/strict'
import type { EventStore } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import type { StoreScene } from './scene.ts'
import {
  accepted,
  added,
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
  take,
  takeEvents,
} from './words.ts'

const two = async (scene: StoreScene): Promise<[EventStore, EventStore]> => [
  await scene.open({ index: 0 }),
  await scene.open({ index: 1 }),
]

const several = (name: string, run: (scene: StoreScene) => Promise<void>): CaseSpec => ({
  name,
  needs: 'severalStores',
  run,
})

export const severalCases: readonly CaseSpec[] = [
  several('two stores see what each other append, once it is reached', async scene => {
    const [one, other] = await two(scene)
    for (const n of range(1, 20)) {
      const [writer, reader] = n % 2 === 0 ? [one, other] : [other, one]
      const { checkpoint } = await append(writer, loan('a'), added(1, n))
      await reader.reached(checkpoint)
      assert.deepEqual(numbers(await eventsOf(reader, loan('a'))), range(1, n))
      assert.equal((await reader.state(loan('a'))).version, n)
    }
  }),
  several('a store that has caught up shows all that others wrote before', async scene => {
    const [one, other] = await two(scene)
    for (const n of range(1, 20)) {
      await append(one, loan(`s${n}`), added(n))
      await other.catchUp(n % 2 === 0 ? ['loan'] : undefined)
      assert.equal((await other.state(loan(`s${n}`))).version, n)
      assert.equal((await eventsOf(other, loan(`s${n}`))).length, n)
    }
    await refuses(() => other.catchUp(['nothing']), 'UNKNOWN_CATEGORY', 'nothing')
  }),
  several(
    'a checkpoint of one store goes on in the other, though it has not read so far',
    async scene => {
      const [one, other] = await two(scene)
      for (const n of range(1, 10)) await append(one, loan(`s${n}`), added(1))
      for (const n of range(1, 20)) {
        const after = await one.now(['loan'])
        await append(one, loan('a'), added(1, n))
        const { checkpoint } = await append(one, loan('b'), added(1, n))
        assert.deepEqual((await scene.all(other, 'loan', await one.now(['loan']))).events, [])
        await other.reached(checkpoint)
        assert.equal((await scene.all(other, 'loan', after)).events.length, 2)
      }
    },
  ),
  several('an expectation of one store is judged by what the other wrote too', async scene => {
    const [one, other] = await two(scene)
    for (const n of range(1, 20)) {
      const stream = loan(`s${n}`)
      await append(one, stream, added(2))
      const { version } = await one.aggregate(stream, SUM)
      accepted(await other.append(stream, added(1, 3), { expectedVersion: version }))
      const empty = lost(await one.append(stream, [], { expectedVersion: version }))
      assert.deepEqual([empty.version, numbers(empty.events)], [3, [3]])
      const conflict = lost(await one.append(stream, added(1), { expectedVersion: version }))
      assert.deepEqual([conflict.version, numbers(conflict.events)], [3, [3]])
      await append(one, stream, added(1, 4), { expectedVersion: 'exists' })
    }
  }),
  several('of writers in two stores that expect the same version one wins', async scene => {
    const stores = await two(scene)
    for (const version of range(0, 14)) {
      const results = await Promise.all(
        range(1, 6).map(n =>
          (stores[n % 2] as EventStore).append(loan('a'), added(1, n), {
            expectedVersion: version,
          }),
        ),
      )
      const winners = results.filter(result => result.ok)
      // A store may still be behind and refuse all of its own; then nobody has won yet.
      assert.ok(winners.length <= 1)
      if (winners.length === 0) {
        await append(stores[0], loan('a'), added(1), { expectedVersion: version })
      }
      const { checkpoint } = await stores[0].state(loan('a'))
      await stores[1].reached(checkpoint)
    }
    for (const store of stores) assert.equal((await eventsOf(store, loan('a'))).length, 15)
  }),
  several('appends of two stores that expect nothing all succeed', async scene => {
    const stores = await two(scene)
    const results = await Promise.all(
      range(1, 60).map(n =>
        (stores[n % 2] as EventStore).append(loan(`s${n % 3}`), added(2, 10 * n)),
      ),
    )
    const spans = new Set(results.map(accepted).map(span => `${span.bucket}:${span.firstOffset}`))
    assert.equal(spans.size, 60)
    for (const store of stores) {
      for (const result of results) await store.reached(result.checkpoint)
      assert.equal((await scene.all(store)).events.length, 120)
      for (const n of range(0, 2)) {
        assert.deepEqual(
          (await eventsOf(store, loan(`s${n}`))).map(event => event.version),
          range(1, 40),
        )
      }
    }
  }),
  several('a command that was done by one store is answered by the other', async scene => {
    const [one, other] = await two(scene)
    const first = await append(one, loan('a'), added(2), { commandId: 'c1' })
    const again = await append(other, loan('a'), added(2), { commandId: 'c1' })
    assert.deepEqual(
      [again.duplicate, again.appendId, again.version, again.firstOffset],
      [true, first.appendId, 2, first.firstOffset],
    )
    const results = await Promise.all(
      range(1, 10).map(n =>
        (n % 2 === 0 ? one : other).append(loan('b'), added(1), { commandId: 'c1' }),
      ),
    )
    assert.equal(results.map(accepted).filter(result => !result.duplicate).length, 1)
  }),
  several('conditional appends of two stores on one tag: one wins', async scene => {
    const stores = await two(scene)
    for (const round of range(1, 10)) {
      const tag = `name:${round}`
      const results = await Promise.all(
        range(1, 6).map(n =>
          (stores[n % 2] as EventStore).append(course(`x/${round}-${n}`), [tagged('T', tag)], {
            condition: { failIfMatch: [{ tags: [tag] }] },
          }),
        ),
      )
      assert.equal(results.filter(result => result.ok).length, 1, `round ${round}`)
    }
  }),
  several('followers of one store get what the other appends', async scene => {
    const [one, other] = await two(scene)
    const stream = scene.meanwhile(() => take(other.follow(loan('a')), 10))
    const all = scene.meanwhile(() => takeEvents(other.readAll(['loan'], { follow: true }), 20))
    for (const n of range(1, 10)) {
      await append(one, loan('a'), added(1, n))
      await append(one, loan('b'), added(1, n))
    }
    assert.deepEqual(numbers(await stream), range(1, 10))
    assert.equal((await all).length, 20)
  }),
  several('a fold in one store sees what the other appended after its snapshot', async scene => {
    const [one, other] = await two(scene)
    const fold = { ...SUM, snapshot: { name: 'sum', hash: '1', every: 5 } }
    let sum = 0
    for (const n of range(1, 40)) {
      const [writer, reader] = n % 2 === 0 ? [one, other] : [other, one]
      const { checkpoint } = await append(writer, loan('a'), added(1, n))
      sum += n
      await reader.reached(checkpoint)
      assert.equal((await reader.aggregate(loan('a'), fold)).state.sum, sum)
    }
  }),
  several('what one store archives, truncates and deletes is so in the other', async scene => {
    const [one, other] = await two(scene)
    for (const id of ['a', 'b', 'c']) await append(one, loan(id), added(3))
    const states = [
      await one.archive(loan('a')),
      await one.truncate(loan('b'), 3),
      await one.tombstone(loan('c')),
    ]
    for (const { checkpoint } of states) await other.reached(checkpoint)
    await refuses(() => other.append(loan('a'), added(1)), 'STREAM_ARCHIVED')
    assert.deepEqual(numbers(await eventsOf(other, loan('b'))), [3])
    assert.deepEqual(await eventsOf(other, loan('c')), [])
    assert.equal((await append(other, loan('b'), added(1))).version, 4)
  }),
  several('two stores read the same, in the same order within each bucket', async scene => {
    const [one, other] = await two(scene)
    const checkpoints: string[] = []
    await Promise.all(
      range(1, 60).map(async n => {
        const result = await append(
          n % 2 === 0 ? one : other,
          loan(`s${n % 7}`),
          added(1 + (n % 3)),
        )
        checkpoints.push(result.checkpoint)
      }),
    )
    for (const checkpoint of checkpoints) {
      await Promise.all([one.reached(checkpoint), other.reached(checkpoint)])
    }
    for (const bucket of range(0, 2)) {
      const inBucket = async (store: EventStore) =>
        (await scene.all(store)).events.filter(event => event.bucket === bucket)
      assert.deepEqual(await inBucket(one), await inBucket(other))
    }
    lost(await one.append(loan('s1'), added(1), { expectedVersion: 0 }))
  }),
]
