/** Appends: expected versions of every kind, all events or none, results, ids, empty appends. */
import assert from 'node:assert/strict'
import type { ExpectedVersion } from '@millrace/store'
import { nth } from '../frame/frame.ts'
import type { CaseSpec } from './case-spec.ts'
import {
  accepted,
  added,
  append,
  eventsOf,
  loan,
  lost,
  numbers,
  range,
  refuses,
  works,
} from './words.ts'

/** Whether an append with an expectation is taken by a stream of so many events. */
const expectation = (
  name: string,
  events: number,
  expectedVersion: ExpectedVersion | undefined,
  holds: boolean,
): CaseSpec => ({
  name,
  run: async scene => {
    const store = await scene.open()
    if (events > 0) await append(store, loan('a'), added(events))
    const options = expectedVersion === undefined ? {} : { expectedVersion }
    const result = await store.append(loan('a'), added(2, events + 1), options)
    if (holds) assert.equal(accepted(result).version, events + 2)
    else assert.equal(lost(result).version, events)
    const there = await eventsOf(store, loan('a'))
    assert.deepEqual(numbers(there), range(1, holds ? events + 2 : events))
    await works(store)
  },
})

export const appendCases: readonly CaseSpec[] = [
  expectation('an append that expects nothing begins a stream', 0, undefined, true),
  expectation('an append that expects nothing goes on with a stream', 3, undefined, true),
  expectation('an append that expects any version begins a stream', 0, 'any', true),
  expectation('an append that expects any version goes on with a stream', 3, 'any', true),
  expectation('an append that expects version 0 begins a stream', 0, 0, true),
  expectation('an append that expects version 0 loses where there are events', 2, 0, false),
  expectation('an append that expects the present version goes on with a stream', 3, 3, true),
  expectation('an append that expects an earlier version loses', 3, 2, false),
  expectation('an append that expects a later version loses', 3, 4, false),
  expectation('an append that expects a version of an unknown stream loses', 0, 1, false),
  expectation('an append that expects a stream to exist goes on with it', 1, 'exists', true),
  expectation('an append that expects a stream to exist does not begin one', 0, 'exists', false),
  expectation('an append that expects no stream begins one', 0, 'absent', true),
  expectation('an append that expects no stream loses where there is one', 1, 'absent', false),

  {
    name: 'an append tells version, first version, bucket and offsets, as its events have them',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      const result = await append(store, loan('a'), added(3, 3))
      assert.deepEqual([result.firstVersion, result.version, result.duplicate], [3, 5, false])
      const events = (await eventsOf(store, loan('a'))).slice(2)
      assert.deepEqual(
        events.map(event => event.version),
        [3, 4, 5],
      )
      assert.equal(nth(events, 0).offset, result.firstOffset)
      assert.equal(nth(events, 2).offset, result.lastOffset)
      for (const event of events) {
        assert.deepEqual([event.bucket, event.appendId], [result.bucket, result.appendId])
      }
    },
  },
  {
    name: 'an append that lost has written none of its events, in no read',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      lost(await store.append(loan('a'), added(3, 100), { expectedVersion: 0 }))
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), [1])
      assert.deepEqual(numbers((await scene.all(store)).events), [1])
      assert.equal(await store.event(loan('a'), 2), undefined)
      assert.equal((await store.state(loan('a'))).version, 1)
    },
  },
  {
    name: 'an append with one event that is refused has written none of them',
    run: async scene => {
      const store = await scene.open()
      const events = [...added(2), { type: '', data: {} }]
      await refuses(() => store.append(loan('a'), events), 'BAD_ARGUMENT', 'type')
      assert.equal((await store.state(loan('a'))).version, 0)
      assert.equal((await append(store, loan('a'), added(1))).version, 1)
      assert.equal((await scene.all(store)).events.length, 1)
    },
  },
  {
    name: 'the events of one append come in their order, with versions and offsets that rise',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(100))
      const events = await eventsOf(store, loan('a'))
      assert.deepEqual(numbers(events), range(1, 100))
      assert.deepEqual(
        events.map(event => event.version),
        range(1, 100),
      )
      for (let i = 1; i < 100; i++) assert.ok(nth(events, i).offset > nth(events, i - 1).offset)
    },
  },
  {
    name: 'versions are those of the stream, not of its neighbours',
    run: async scene => {
      const store = await scene.open()
      for (let i = 1; i <= 3; i++) {
        for (const id of ['a', 'b', 'c']) {
          assert.equal((await append(store, loan(id), added(1, i))).version, i)
        }
      }
      assert.deepEqual(numbers(await eventsOf(store, loan('b'))), [1, 2, 3])
    },
  },
  {
    name: 'one stream id in two categories is two streams',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      const other = { category: 'course', id: 'a' }
      await append(store, other, added(1, 10), { expectedVersion: 'absent' })
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), [1, 2])
      assert.deepEqual(numbers(await eventsOf(store, other)), [10])
    },
  },
  {
    name: 'a conflict brings what came after the expected version, in order, and says that it is all',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(6))
      const conflict = lost(await store.append(loan('a'), added(1), { expectedVersion: 2 }))
      assert.deepEqual([numbers(conflict.events), conflict.complete], [[3, 4, 5, 6], true])
      assert.deepEqual(conflict.events, (await eventsOf(store, loan('a'))).slice(2))
      const absent = lost(await store.append(loan('a'), added(1), { expectedVersion: 'absent' }))
      assert.deepEqual([numbers(absent.events), absent.complete], [range(1, 6), true])
    },
  },
  {
    name: 'a conflict with a version that was never there brings no events',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      const ahead = lost(await store.append(loan('a'), added(1), { expectedVersion: 9 }))
      assert.deepEqual([ahead.version, ahead.events, ahead.complete], [2, [], true])
      const missing = lost(await store.append(loan('b'), added(1), { expectedVersion: 'exists' }))
      assert.deepEqual([missing.version, missing.events, missing.complete], [0, [], true])
    },
  },
  {
    name: 'a conflict brings at most conflict.events.max events, the earliest, and says so',
    run: async scene => {
      const store = await scene.open({ settings: { 'conflict.events.max': 3 } })
      await append(store, loan('a'), added(8))
      const all = lost(await store.append(loan('a'), added(1), { expectedVersion: 5 }))
      assert.deepEqual([numbers(all.events), all.complete], [[6, 7, 8], true])
      const part = lost(await store.append(loan('a'), added(1), { expectedVersion: 4 }))
      assert.deepEqual([numbers(part.events), part.complete], [[5, 6, 7], false])
      assert.equal(part.version, 8)
    },
  },
  {
    name: 'what a conflict brings is enough to decide again and to be accepted',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      const conflict = lost(await store.append(loan('a'), added(1, 9), { expectedVersion: 1 }))
      const again = await append(store, loan('a'), added(1, 9), {
        expectedVersion: conflict.version,
      })
      assert.equal(again.version, 4)
    },
  },
  {
    name: 'an append of no events answers the version, and writes nothing',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      const result = await append(store, loan('a'), [], { expectedVersion: 2 })
      assert.deepEqual([result.version, result.firstVersion, result.duplicate], [2, 3, false])
      assert.deepEqual([result.firstOffset, result.lastOffset], [-1, -1])
      assert.equal((await scene.all(store)).events.length, 2)
      assert.equal((await append(store, loan('b'), [])).version, 0)
      assert.equal((await store.state(loan('b'))).createdAt, -1)
    },
  },
  {
    name: 'an append of no events loses where what it expects is not so',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      const conflict = lost(await store.append(loan('a'), [], { expectedVersion: 1 }))
      assert.deepEqual([conflict.version, numbers(conflict.events)], [2, [2]])
      lost(await store.append(loan('a'), [], { expectedVersion: 'absent' }))
      lost(await store.append(loan('b'), [], { expectedVersion: 'exists' }))
      assert.equal((await append(store, loan('b'), [], { expectedVersion: 'absent' })).version, 0)
    },
  },
  {
    name: 'event ids are derived from the append id and differ from each other',
    run: async scene => {
      const store = await scene.open()
      const { appendId } = await append(store, loan('a'), added(3), { appendId: 'try-1' })
      assert.equal(appendId, 'try-1')
      const drawn = await append(store, loan('b'), added(3))
      const events = [...(await eventsOf(store, loan('a'))), ...(await eventsOf(store, loan('b')))]
      assert.equal(new Set(events.map(event => event.id)).size, 6)
      for (const event of events) assert.ok(event.id.startsWith(event.appendId), event.id)
      assert.notEqual(drawn.appendId, '')
      assert.deepEqual(
        events.map(event => event.appendId),
        [...Array(3).fill('try-1'), ...Array(3).fill(drawn.appendId)],
      )
    },
  },
  {
    name: 'appends that name no append id get one each',
    run: async scene => {
      const store = await scene.open()
      const ids = new Set<string>()
      for (let i = 0; i < 20; i++) ids.add((await append(store, loan('a'), added(1))).appendId)
      assert.equal(ids.size, 20)
    },
  },
  {
    name: 'events keep the ids that their writer gave them',
    run: async scene => {
      const store = await scene.open()
      const events = added(3).map((event, i) => ({ ...event, id: `invoice-${i}` }))
      await append(store, loan('a'), events)
      const ids = (await eventsOf(store, loan('a'))).map(event => event.id)
      assert.deepEqual(ids, ['invoice-0', 'invoice-1', 'invoice-2'])
    },
  },
  {
    name: 'what the caller changes in an event after appending it does not change it',
    run: async scene => {
      const store = await scene.open()
      const data = { n: 1, list: [1] }
      const tags = ['x:1']
      const appending = append(store, loan('a'), [{ type: 'Added', data, tags }])
      data.n = 2
      data.list.push(2)
      tags.push('x:2')
      await appending
      data.n = 3
      const event = nth(await eventsOf(store, loan('a')), 0)
      assert.deepEqual([event.data, event.tags], [{ n: 1, list: [1] }, ['x:1']])
    },
  },
]
