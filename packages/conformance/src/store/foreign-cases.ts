/**
 * The log is open: whoever can write to the topic of a category may. What a store did not write is
 * never an event, and what it wrote is one once, however often a client repeats it.
 */
import assert from 'node:assert/strict'
import { createProducer } from '@millrace/clients'
import type { StoreEvent } from '@millrace/store'
import { nth } from '../frame/frame.ts'
import type { CaseSpec } from './case-spec.ts'
import { type PlacedRecord, partitionsOf, recordsOf, write } from './log-words.ts'
import { added, append, eventsOf, loan, numbers, range, refuses, SUM, take } from './words.ts'

/** Short, so that cases about what stands open do not wait. */
const SETTLE_AFTER_MS = 100

/** The records of one stream, in order. */
const ofStream = (records: readonly PlacedRecord[], id: string): PlacedRecord[] =>
  records.filter(record => record.key?.toString() === id)

export const foreignCases: readonly CaseSpec[] = [
  {
    name: 'records of other producers are never events, and are counted and told',
    needs: 'onLog',
    run: async scene => {
      const told: StoreEvent[] = []
      const store = await scene.open({ onEvent: event => told.push(event) })
      const { bucket } = await append(store, loan('a'), added(2))
      const log = await scene.log()
      const topic = scene.topic('loan')
      assert.ok((await partitionsOf(log, topic)) > bucket)
      const producer = createProducer(log)
      const foreign = [
        { key: 'a', value: '{"n":3}' },
        { key: null, value: 'no key' },
        { key: 'a', value: null },
        { key: 'a', value: '{}', headers: [{ key: 'ce_type', value: 'Added' }] },
      ]
      for (const record of foreign) await producer.send(topic, { ...record, partition: bucket })
      await producer.close()
      const { checkpoint } = await append(store, loan('a'), added(1, 3))
      await store.reached(checkpoint)
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), [1, 2, 3])
      assert.deepEqual(numbers((await scene.all(store)).events), [1, 2, 3])
      await scene.eventually(async () => {
        const category = (await store.describe()).find(one => one.category === 'loan')
        assert.equal(nth(category?.buckets ?? [], bucket).foreign, 4)
        const counts = told.map(event => (event.kind === 'foreign-records' ? event.count : 0))
        assert.equal(Math.max(0, ...counts) > 0, true)
      })
    },
  },
  {
    name: 'a follower goes past records of others, and waits for none of them',
    needs: 'onLog',
    run: async scene => {
      const store = await scene.open()
      const following = scene.meanwhile(() => take(store.follow(loan('a')), 10))
      const log = await scene.log()
      assert.ok((await partitionsOf(log, scene.topic('loan'))) > 0)
      const producer = createProducer(log)
      for (const n of range(1, 10)) {
        const { bucket } = await append(store, loan('a'), added(1, n))
        await producer.send(scene.topic('loan'), { key: 'a', value: 'x', partition: bucket })
      }
      await producer.close()
      assert.deepEqual(numbers(await following), range(1, 10))
      assert.equal((await append(store, loan('a'), added(1, 11))).version, 11)
    },
  },
  {
    name: 'a second copy of the records of an append is void',
    needs: 'onLog',
    run: async scene => {
      const store = await scene.open()
      const { bucket } = await append(store, loan('a'), added(3), { commandId: 'c1' })
      const log = await scene.log()
      const topic = scene.topic('loan')
      const copies = ofStream(await recordsOf(log, topic), 'a')
      assert.equal(copies.length, 3)
      await write(log, topic, bucket, copies)
      await append(store, loan('a'), added(1, 4))
      await write(log, topic, bucket, copies)
      const { checkpoint } = await append(store, loan('a'), added(1, 5))
      await store.reached(checkpoint)
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), range(1, 5))
      assert.deepEqual(numbers((await scene.all(store)).events), range(1, 5))
      const category = (await store.describe()).find(one => one.category === 'loan')
      assert.equal(nth(category?.buckets ?? [], bucket).voided, 6)
    },
  },
  {
    name: 'an append that its writer never ended holds nothing up for long',
    needs: 'onLog',
    run: async scene => {
      const settings = { 'settle.after.ms': SETTLE_AFTER_MS }
      const other = await scene.open({ world: '-other', index: 1, settings })
      await append(other, loan('a'), added(3, 100))
      const log = await scene.log()
      const [first] = ofStream(await recordsOf(log, scene.topic('loan', '-other')), 'a')
      assert.ok(first !== undefined)

      const told: StoreEvent[] = []
      const store = await scene.open({ settings, onEvent: event => told.push(event) })
      await write(log, scene.topic('loan'), first.partition, [first])
      const neighbours = await Promise.all(
        range(1, 30).map(n => append(store, loan(`s${n}`), added(1))),
      )
      for (const { checkpoint } of neighbours) await store.reached(checkpoint)
      await scene.eventually(async () => {
        assert.equal((await scene.all(store)).events.length, 30)
        assert.ok(told.some(event => event.kind === 'append-settled' && event.stream === 'a'))
      })
      assert.equal((await append(store, loan('a'), added(2))).version, 2)
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), [1, 2])
    },
  },
  {
    name: 'what comes late of an append that was settled is void',
    needs: 'onLog',
    run: async scene => {
      const settings = { 'settle.after.ms': SETTLE_AFTER_MS }
      const other = await scene.open({ world: '-other', index: 1, settings })
      await append(other, loan('a'), added(3, 100))
      const log = await scene.log()
      const records = ofStream(await recordsOf(log, scene.topic('loan', '-other')), 'a')
      const topic = scene.topic('loan')
      const { partition } = nth(records, 0)

      const told: StoreEvent[] = []
      const store = await scene.open({ settings, onEvent: event => told.push(event) })
      await write(log, topic, partition, records.slice(0, 2))
      await scene.eventually(async () => {
        assert.ok(told.some(event => event.kind === 'append-settled'))
      })
      await write(log, topic, partition, records.slice(2))
      await write(log, topic, partition, records)
      const next = await append(store, loan('a'), added(1), { expectedVersion: 0 })
      assert.equal(next.version, 1)
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), [1])
    },
  },
  {
    name: 'an append that a client split over several batches counts when it is whole',
    needs: 'onLog',
    run: async scene => {
      const settings = { 'settle.after.ms': 600_000 }
      const other = await scene.open({ world: '-other', index: 1, settings })
      await append(other, loan('a'), added(3, 100))
      const log = await scene.log()
      const records = ofStream(await recordsOf(log, scene.topic('loan', '-other')), 'a')

      const store = await scene.open({ settings })
      const following = scene.meanwhile(() => take(store.follow(loan('a')), 3))
      for (const [i, record] of records.entries()) {
        const { version } = await store.state(loan('a'))
        assert.equal(version, 0, `after ${i} of 3 records`)
        await write(log, scene.topic('loan'), record.partition, [record])
      }
      assert.deepEqual(numbers(await following), [100, 101, 102])
      assert.equal((await store.aggregate(loan('a'), SUM)).state.sum, 303)
      assert.equal((await scene.all(store)).events.length, 3)
    },
  },
  {
    name: 'a batch that the log does not take is not the end of the appends in it',
    needs: 'onLog',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      const log = await scene.log()
      const [name, value] = ['max.message.bytes', '65536']
      await log.alterConfig(scene.topic('loan'), [{ name, operation: 'set', value }])
      const text = 'x'.repeat(10_000)
      const results = await Promise.all(
        range(1, 60).map(n => store.append(loan(`s${n}`), [{ type: 'Big', data: { n, text } }])),
      )
      assert.equal(results.filter(result => result.ok).length, 60)
      assert.equal((await scene.all(store)).events.length, 61)
    },
  },
  {
    name: 'an append that the log does not take fails alone',
    needs: 'onLog',
    run: async scene => {
      const store = await scene.open({ categories: { loan: { buckets: 1 } } })
      await append(store, loan('a'), added(1))
      const log = await scene.log()
      const [name, value] = ['max.message.bytes', '65536']
      await log.alterConfig(scene.topic('loan'), [{ name, operation: 'set', value }])
      const neighbours = range(1, 10).map(n => store.append(loan(`s${n}`), added(1)))
      const big = [{ type: 'Big', data: 'x'.repeat(100_000) }]
      const refused = scene.meanwhile(() =>
        refuses(() => store.append(loan('b'), big), 'APPEND_TOO_LARGE'),
      )
      const more = range(11, 20).map(n => store.append(loan(`s${n}`), added(1)))
      for (const result of await Promise.all([...neighbours, ...more])) {
        assert.equal(result.ok, true)
      }
      await refused
      assert.equal((await scene.all(store)).events.length, 21)
    },
  },
  {
    name: 'a topic that would lose events is refused when the store is opened, with the reason',
    needs: 'onLog',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      const log = await scene.log()
      const topic = scene.topic('loan')
      const open = () => scene.open({ index: 1 })
      for (const [name, value] of [
        ['retention.ms', '60000'],
        ['retention.bytes', '1000000'],
      ] as const) {
        await log.alterConfig(topic, [{ name, operation: 'set', value }])
        await assert.rejects(open, (error: Error & { code?: string }) => {
          assert.equal(error.code, 'BAD_TOPIC', error.message)
          assert.ok(error.message.includes(name), error.message)
          return true
        })
        await log.alterConfig(topic, [{ name, operation: 'set', value: '-1' }])
      }
      assert.equal((await eventsOf(await open(), loan('a'))).length, 1)
    },
  },
  {
    name: 'a topic with another number of partitions than buckets is refused, with both numbers',
    needs: 'onLog',
    run: async scene => {
      const store = await scene.open({ categories: { loan: { buckets: 3 } } })
      await append(store, loan('a'), added(1))
      const open = (buckets: number) => scene.open({ index: 1, categories: { loan: { buckets } } })
      await assert.rejects(
        () => open(5),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'BUCKETS_DIFFER', error.message)
          assert.match(error.message, /3.*5|5.*3/)
          return true
        },
      )
      assert.equal((await eventsOf(await open(3), loan('a'))).length, 1)
    },
  },
]
