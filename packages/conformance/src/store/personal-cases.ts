/** Personal fields: read as they were written until their subject is forgotten, then never again. */
import assert from 'node:assert/strict'
import {
  ERASED,
  type EventStore,
  memoryKeys,
  type NewEvent,
  type RecordedEvent,
} from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import { recordsOf, topicsWith } from './log-words.ts'
import type { OpenOptions, StoreScene } from './scene.ts'
import { allPages, append, eventsOf, loan, lost, refuses, take } from './words.ts'

const KEYS = memoryKeys({ first: Buffer.alloc(32, 7) })

/** `Signed` is personal of the stream; `Witnessed` of who its data names. */
const OPTIONS: OpenOptions = {
  keys: KEYS,
  categories: {
    loan: {
      buckets: 3,
      events: {
        Signed: { personal: { fields: ['name', 'address'] } },
        Witnessed: { personal: { fields: ['by'], subject: 'witness' } },
      },
    },
  },
}

const NAME = 'Ada Lovelace-Byron'

const signed = (name: string): NewEvent => ({
  type: 'Signed',
  data: { name, address: { city: 'London', lines: [name] }, amount: 5 },
})

const witnessed = (witness: string): NewEvent => ({
  type: 'Witnessed',
  data: { witness, by: `name of ${witness}` },
})

/** What a fold sees, with a snapshot as soon as there is an event. */
const LAST = {
  initial: (): unknown => null,
  evolve: (_: unknown, event: RecordedEvent): unknown => event.data,
  snapshot: { name: 'last', hash: '1', every: 1 },
}

/** The events of a stream by every way of reading. */
async function everyWay(
  scene: StoreScene,
  store: EventStore,
  id: string,
): Promise<readonly (readonly RecordedEvent[])[]> {
  const of = (events: readonly RecordedEvent[]) => events.filter(event => event.stream === id)
  const events = await eventsOf(store, loan(id))
  const conflict = lost(await store.append(loan(id), [], { expectedVersion: 0 }))
  const folded = await store.aggregate(loan(id), {
    initial: (): readonly RecordedEvent[] => [],
    evolve: (state: readonly RecordedEvent[], event: RecordedEvent) => [...state, event],
  })
  const single = await store.event(loan(id), 1)
  return [
    events,
    conflict.events,
    folded.state,
    await take(store.follow(loan(id)), events.length),
    of((await scene.all(store)).events),
    of((await allPages(store.search(['loan'], { streams: [id] }))).events),
    single === undefined ? [] : [single, ...events.slice(1)],
  ]
}

const dataOf = (events: readonly RecordedEvent[]): unknown[] => events.map(event => event.data)

export const personalCases: readonly CaseSpec[] = [
  {
    name: 'personal fields are read as they were written, by every way of reading',
    run: async scene => {
      const store = await scene.open(OPTIONS)
      await append(store, loan('a'), [signed(NAME), witnessed('w1')])
      for (const events of await everyWay(scene, store, 'a')) {
        assert.deepEqual(dataOf(events), [signed(NAME).data, witnessed('w1').data])
        for (const event of events) assert.equal(event.erased, undefined)
      }
    },
  },
  {
    name: 'personal fields are nowhere in clear in the log',
    needs: 'onLog',
    run: async scene => {
      const store = await scene.open(OPTIONS)
      await append(store, loan('a'), [signed(NAME), { type: 'Open', data: { note: 'in clear' } }])
      await store.aggregate(loan('a'), LAST)
      await scene.close(store)
      const log = await scene.log()
      const topics = [scene.topic('loan'), ...(await topicsWith(log, scene.prefix()))]
      let clear = 0
      for (const topic of topics) {
        for (const { key, value, headers = [] } of await recordsOf(log, topic)) {
          for (const part of [key, value, ...headers.map(header => header.value)]) {
            const text = part?.toString() ?? ''
            assert.ok(!text.includes('Lovelace') && !text.includes('London'), topic)
            if (text.includes('in clear')) clear += 1
          }
        }
      }
      assert.ok(clear > 0, 'what is not personal is in clear')
    },
  },
  {
    name: 'the fields of a forgotten subject are marked as erased, by every way of reading',
    run: async scene => {
      const store = await scene.open(OPTIONS)
      await append(store, loan('a'), [signed(NAME), witnessed('w1')])
      await append(store, loan('b'), [signed('Bob'), witnessed('a')])
      const report = await store.forget('a')
      assert.deepEqual([report.subject, report.known, report.events], ['a', true, 2])
      assert.deepEqual(report.streams.map(stream => stream.id).sort(), ['a', 'b'])
      assert.ok(report.keyGoneBy > 0)
      const gone = { name: ERASED, address: ERASED, amount: 5 }
      for (const events of await everyWay(scene, store, 'a')) {
        assert.deepEqual(dataOf(events), [gone, witnessed('w1').data])
        assert.deepEqual([...(events[0]?.erased ?? [])].sort(), ['address', 'name'])
        assert.equal(events[1]?.erased, undefined)
      }
      for (const events of await everyWay(scene, store, 'b')) {
        assert.deepEqual(dataOf(events), [signed('Bob').data, { witness: 'a', by: ERASED }])
        assert.deepEqual(events[1]?.erased, ['by'])
      }
    },
  },
  {
    name: 'a subject that was forgotten is in no snapshot',
    run: async scene => {
      const store = await scene.open(OPTIONS)
      await append(store, loan('a'), [signed(NAME)])
      await scene.eventually(async () => {
        const folded = await store.aggregate(loan('a'), LAST)
        assert.equal((folded.state as { name: string }).name, NAME)
        assert.ok(folded.snapshotVersion > 0)
      })
      assert.ok((await store.forget('a')).snapshots >= 0)
      const { state } = await store.aggregate(loan('a'), LAST)
      assert.deepEqual(state, { name: ERASED, address: ERASED, amount: 5 })
    },
  },
  {
    name: 'forgetting takes nothing from versions, states and expectations',
    run: async scene => {
      const store = await scene.open(OPTIONS)
      await append(store, loan('a'), [signed(NAME), signed(NAME)], { commandId: 'c1' })
      await store.forget('a')
      assert.equal((await store.state(loan('a'))).version, 2)
      const again = await append(store, loan('a'), [signed(NAME)], { commandId: 'c1' })
      assert.equal(again.duplicate, true)
      lost(await store.append(loan('a'), [signed(NAME)], { expectedVersion: 1 }))
    },
  },
  {
    name: 'what is written of a subject after it was forgotten can be read, what was before cannot',
    run: async scene => {
      const store = await scene.open(OPTIONS)
      await append(store, loan('a'), [signed(NAME)])
      await store.forget('a')
      await append(store, loan('a'), [signed('Ada again')])
      const [before, after] = await eventsOf(store, loan('a'))
      assert.deepEqual(before?.data, { name: ERASED, address: ERASED, amount: 5 })
      assert.deepEqual(after?.data, signed('Ada again').data)
    },
  },
  {
    name: 'forgetting whom nobody knows is no error, and says so; twice is once',
    run: async scene => {
      const store = await scene.open(OPTIONS)
      await append(store, loan('a'), [signed(NAME)])
      const nobody = await store.forget('nobody')
      assert.deepEqual([nobody.known, nobody.streams, nobody.events], [false, [], 0])
      assert.equal((await store.forget('a')).known, true)
      await store.forget('a')
      const [event] = await eventsOf(store, loan('a'))
      assert.deepEqual([...(event?.erased ?? [])].sort(), ['address', 'name'])
    },
  },
  {
    name: 'a subject of one tenant is not forgotten in another',
    run: async scene => {
      const store = await scene.open(OPTIONS)
      const other = { tenant: 'acme', ...loan('a') }
      await append(store, loan('a'), [signed(NAME)])
      await append(store, other, [signed('Bob')])
      assert.equal((await store.forget('a', { tenant: 'acme' })).known, true)
      assert.deepEqual(dataOf(await eventsOf(store, loan('a'))), [signed(NAME).data])
      assert.deepEqual((await eventsOf(store, other))[0]?.erased?.length, 2)
    },
  },
  {
    name: 'a subject stays forgotten when the store is opened again',
    run: async scene => {
      let store = await scene.open(OPTIONS)
      await append(store, loan('a'), [signed(NAME)])
      await append(store, loan('b'), [signed('Bob')])
      await store.forget('a')
      store = await scene.reopen(store)
      assert.deepEqual((await eventsOf(store, loan('a')))[0]?.erased?.length, 2)
      assert.deepEqual(dataOf(await eventsOf(store, loan('b'))), [signed('Bob').data])
    },
  },
  {
    name: 'a subject stays forgotten when derived data is built again',
    needs: 'discards',
    run: async scene => {
      let store = await scene.open(OPTIONS)
      await append(store, loan('a'), [signed(NAME)])
      await append(store, loan('b'), [signed('Bob')])
      await store.forget('a')
      store = await scene.rebuild(store)
      assert.deepEqual((await eventsOf(store, loan('a')))[0]?.erased?.length, 2)
      assert.deepEqual(dataOf(await eventsOf(store, loan('b'))), [signed('Bob').data])
    },
  },
  {
    name: 'a subject that one store forgot is forgotten by the other',
    needs: 'severalStores',
    run: async scene => {
      const one = await scene.open(OPTIONS)
      const other = await scene.open({ ...OPTIONS, index: 1 })
      const { checkpoint } = await append(one, loan('a'), [signed(NAME)])
      await other.reached(checkpoint)
      assert.deepEqual(dataOf(await eventsOf(other, loan('a'))), [signed(NAME).data])
      await one.forget('a')
      await scene.eventually(async () => {
        assert.deepEqual((await eventsOf(other, loan('a')))[0]?.erased?.length, 2)
      })
    },
  },
  {
    name: 'an event without the subject of its personal fields is refused',
    run: async scene => {
      const store = await scene.open(OPTIONS)
      for (const data of [{ by: 'x' }, { witness: '', by: 'x' }, { witness: null, by: 'x' }]) {
        const bad = [{ type: 'Witnessed', data }]
        await refuses(() => store.append(loan('a'), bad), 'INVALID_EVENT', 'witness')
      }
      await append(store, loan('a'), [witnessed('w1')])
      assert.deepEqual(dataOf(await eventsOf(store, loan('a'))), [witnessed('w1').data])
    },
  },
]
