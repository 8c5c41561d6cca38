/** What an event carries beside its data: metadata, correlation, tags, times. */
import assert from 'node:assert/strict'
import { type Outside, systemOutside } from '@millrace/base'
import type { NewEvent } from '@millrace/store'
import { nth } from '../frame/frame.ts'
import type { CaseSpec } from './case-spec.ts'
import { added, append, eventsOf, loan, range, refuses, works } from './words.ts'

const at = (time: number): NewEvent => ({ type: 'At', data: {}, time })

/** The outside with a wall clock of its own. */
const withClock = (now: () => number): Outside => {
  const system = systemOutside()
  return { ...system, clock: { now, monotonic: () => system.clock.monotonic() } }
}

export const envelopeCases: readonly CaseSpec[] = [
  {
    name: 'an event carries all that was said of it and of its append',
    run: async scene => {
      const store = await scene.open()
      const { bucket, firstOffset } = await append(
        store,
        { tenant: 't1', category: 'loan', id: 'a' },
        [
          {
            type: 'Submitted',
            data: { amount: 5 },
            id: 'event-1',
            time: 5000,
            schemaVersion: 3,
            tags: ['x:1', 'y:2'],
            metadata: { ip: '::1' },
          },
        ],
        {
          appendId: 'try-1',
          commandId: 'command-1',
          correlationId: 'correlation-1',
          causationId: 'causation-1',
          actor: 'actor-1',
          saga: 'saga-1',
          metadata: { channel: 'web' },
        },
      )
      const event = await store.event({ tenant: 't1', category: 'loan', id: 'a' }, 1)
      assert.deepEqual(
        { ...event },
        {
          type: 'Submitted',
          data: { amount: 5 },
          id: 'event-1',
          tenant: 't1',
          category: 'loan',
          stream: 'a',
          version: 1,
          time: 5000,
          schemaVersion: 3,
          tags: ['x:1', 'y:2'],
          metadata: { channel: 'web', ip: '::1' },
          appendId: 'try-1',
          commandId: 'command-1',
          correlationId: 'correlation-1',
          causationId: 'causation-1',
          actor: 'actor-1',
          saga: 'saga-1',
          bucket,
          offset: firstOffset,
        },
      )
    },
  },
  {
    name: 'an event of which nothing was said has no tags, no metadata, schema version 1',
    run: async scene => {
      const store = await scene.open()
      const { appendId } = await append(store, loan('a'), [{ type: 'Bare', data: null }])
      const event = nth(await eventsOf(store, loan('a')), 0)
      assert.deepEqual([event.tags, event.metadata, event.schemaVersion], [[], {}, 1])
      assert.deepEqual([event.tenant, event.data, event.appendId], ['', null, appendId])
      const { correlationId, causationId, actor, saga, erased } = event
      const unsaid = [correlationId, causationId, actor, saga, erased]
      assert.deepEqual(unsaid, Array(5).fill(undefined))
    },
  },
  {
    name: "the metadata of an event goes over its append's, name by name",
    run: async scene => {
      const store = await scene.open()
      const events: NewEvent[] = [
        { type: 'A', data: {}, metadata: { b: 'event', c: 'event' } },
        { type: 'B', data: {} },
      ]
      await append(store, loan('a'), events, { metadata: { a: 'append', b: 'append' } })
      const [first, second] = await eventsOf(store, loan('a'))
      assert.deepEqual(first?.metadata, { a: 'append', b: 'event', c: 'event' })
      assert.deepEqual(second?.metadata, { a: 'append', b: 'append' })
    },
  },
  {
    name: 'metadata keeps values of any characters, and names that mean something elsewhere',
    run: async scene => {
      const store = await scene.open()
      const metadata = JSON.parse('{"constructor":"own","ce_type":"none","version":"x","empty":""}')
      metadata['odd'] = 'Grüße, 世界 a=b; "quoted"\r\n\t\\\u0000 😀'
      await append(store, loan('a'), [{ type: 'A', data: {}, metadata }])
      const event = nth(await eventsOf(store, loan('a')), 0)
      assert.deepEqual(
        [Object.entries(event.metadata).sort(), event.type, event.version],
        [Object.entries(metadata).sort(), 'A', 1],
      )
    },
  },
  {
    name: 'correlation, causation and actor stand on every event of an append',
    run: async scene => {
      const store = await scene.open()
      const said = { correlationId: 'c', causationId: 'k', actor: 'x' }
      await append(store, loan('a'), added(3), said)
      assert.deepEqual(
        (await eventsOf(store, loan('a'))).map(({ correlationId, causationId, actor }) => ({
          correlationId,
          causationId,
          actor,
        })),
        [said, said, said],
      )
    },
  },
  {
    name: 'an event whose writer names no time has that of the append',
    run: async scene => {
      let now = 1_700_000_000_000
      const store = await scene.open({ outside: withClock(() => now) })
      await append(store, loan('a'), added(2))
      now += 5
      await append(store, loan('a'), added(1))
      assert.deepEqual(
        (await eventsOf(store, loan('a'))).map(event => event.time - 1_700_000_000_000),
        [0, 0, 5],
      )
    },
  },
  {
    name: 'the time of events never falls within a stream, though the clock does',
    run: async scene => {
      let now = 1_700_000_000_000
      const store = await scene.open({ outside: withClock(() => now) })
      await append(store, loan('a'), added(1))
      now -= 60_000
      await append(store, loan('a'), added(2))
      assert.deepEqual(
        (await eventsOf(store, loan('a'))).map(event => event.time),
        Array(3).fill(1_700_000_000_000),
      )
    },
  },
  {
    name: 'events keep the times of their import, equal ones too',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), [at(0), at(7), at(7)])
      await append(store, loan('a'), [at(7), at(1_325_376_000_000)])
      assert.deepEqual(
        (await eventsOf(store, loan('a'))).map(event => event.time),
        [0, 7, 7, 7, 1_325_376_000_000],
      )
    },
  },
  {
    name: 'an event that is older than the last of its stream is refused',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), [at(2000)])
      await refuses(() => store.append(loan('a'), [at(1999)]), 'TIME_FALLS', 'time')
      await refuses(() => store.append(loan('a'), [at(3000), at(2999)]), 'TIME_FALLS', 'time')
      assert.equal((await append(store, loan('b'), [at(1999)])).version, 1)
      assert.equal((await append(store, loan('a'), [at(2000)])).version, 2)
    },
  },
  {
    name: 'events after one of the future are as late as that one',
    run: async scene => {
      const store = await scene.open()
      const future = scene.now() + 3_600_000
      await append(store, loan('a'), [at(future), ...added(1)])
      await append(store, loan('a'), added(1))
      assert.deepEqual(
        (await eventsOf(store, loan('a'))).map(event => event.time),
        [future, future, future],
      )
    },
  },
  {
    name: 'a time is a whole number of milliseconds, from 1970 to the end of the year 9999',
    run: async scene => {
      const store = await scene.open()
      const last = 253_402_300_799_999
      for (const time of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, last + 1]) {
        await refuses(() => store.append(loan('a'), [at(time)]), 'BAD_ARGUMENT', 'time', last)
      }
      await append(store, loan('a'), [at(0), at(last)])
      assert.deepEqual(
        (await eventsOf(store, loan('a'))).map(event => event.time),
        [0, last],
      )
      await works(store)
    },
  },
  {
    name: 'the times of one stream do not bind another of the same bucket',
    run: async scene => {
      const store = await scene.open()
      await append(store, { category: 'course', id: 'x/1' }, [at(9000)])
      await append(store, { category: 'course', id: 'x/2' }, [at(10)])
      for (const [i, time] of [9000, 10].entries()) {
        const id = `x/${nth(range(1, 2), i)}`
        assert.equal((await store.state({ category: 'course', id })).createdAt, time)
      }
    },
  },
]
