/** Reads of one stream: which part, which way, how they end, how lazy they are. */
import assert from 'node:assert/strict'
import type { ReadOptions } from '@millrace/store'
import { nth } from '../frame/frame.ts'
import type { CaseSpec } from './case-spec.ts'
import { added, append, eventsOf, loan, numbers, range, refuses, take, works } from './words.ts'

const LENGTH = 10

/** What a read brings of a stream of ten events. */
const part = (name: string, options: ReadOptions, expected: readonly number[]): CaseSpec => ({
  name,
  run: async scene => {
    const store = await scene.open()
    await append(store, loan('a'), added(LENGTH))
    const read = await store.read(loan('a'), options).all()
    assert.deepEqual(numbers(read.events), expected)
    assert.equal(read.version, LENGTH)
    assert.equal((await eventsOf(store, loan('a'))).length, LENGTH)
  },
})

/** A read that is refused, by the name of the option. */
const bad = (option: string, value: number, bound: string): CaseSpec => ({
  name: `a read with ${option} ${value} is refused`,
  run: async scene => {
    const store = await scene.open()
    await append(store, loan('a'), added(1))
    const read = () => store.read(loan('a'), { [option]: value }).all()
    await refuses(read, 'BAD_ARGUMENT', option, bound)
    await works(store)
  },
})

export const readCases: readonly CaseSpec[] = [
  part('a read brings all events of a stream in order', {}, range(1, 10)),
  part('a read begins at a version', { from: 4 }, range(4, 10)),
  part('a read ends with a version, which is included', { to: 6 }, range(1, 6)),
  part('a read brings the versions between two, both included', { from: 3, to: 5 }, [3, 4, 5]),
  part('a read brings one version', { from: 7, to: 7 }, [7]),
  part('a read that begins behind its end brings nothing', { from: 6, to: 5 }, []),
  part('a read that begins behind the last version brings nothing', { from: 11 }, []),
  part('a read to a version that is not there yet brings what there is', { to: 99 }, range(1, 10)),
  part('a read brings as many events as its limit says', { limit: 4 }, [1, 2, 3, 4]),
  part('a limit counts from where the read begins', { from: 6, limit: 2 }, [6, 7]),
  part('a limit of 0 brings nothing but the end', { limit: 0 }, []),
  part('a read goes backwards', { backwards: true }, range(1, 10).reverse()),
  part('a backward read brings the newest ones', { backwards: true, limit: 3 }, [10, 9, 8]),
  part(
    'a backward read goes from a version down to one, both included',
    { backwards: true, from: 6, to: 3 },
    [6, 5, 4, 3],
  ),
  bad('from', 0, '1'),
  bad('to', -1, '0'),
  bad('limit', -1, '0'),
  bad('limit', 1.5, '0'),

  {
    name: 'a read of an unknown stream is empty, and ends with version 0 and a checkpoint',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      const read = await store.read(loan('b')).all()
      assert.deepEqual([read.events, read.version], [[], 0])
      const end = await store.read(loan('b')).end()
      assert.equal(end.version, 0)
      await store.reached(end.checkpoint)
      assert.equal((await store.read(loan('a')).end()).version, 1)
    },
  },
  {
    name: 'a read tells its end before its events are asked for, and after',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      const reader = store.read(loan('a'), { from: 2 })
      assert.equal((await reader.end()).version, 3)
      assert.deepEqual(numbers(await take(reader, 2)), [2, 3])
      assert.equal((await reader.end()).version, 3)
    },
  },
  {
    name: 'the version that a read tells is that of the whole stream, and can be expected',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(5))
      const { version } = await store.read(loan('a'), { limit: 1 }).all()
      const next = await append(store, loan('a'), added(1, 6), { expectedVersion: version })
      assert.equal(next.version, 6)
    },
  },
  {
    name: 'a read is lazy: it begins when the first event is asked for',
    run: async scene => {
      const store = await scene.open()
      const reader = store.read(loan('a'))
      await append(store, loan('a'), added(2))
      assert.deepEqual(numbers((await reader.all()).events), [1, 2])
    },
  },
  {
    name: 'a read brings nothing that was appended after it began',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      const reader = store.read(loan('a'))
      assert.equal((await reader.end()).version, 3)
      await append(store, loan('a'), added(3, 4))
      const seen: number[] = []
      for await (const event of reader) seen.push(...numbers([event]))
      assert.deepEqual(seen, [1, 2, 3])
    },
  },
  {
    name: 'a read that is left after a few events does no harm',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(500))
      for (let i = 0; i < 20; i++) {
        assert.deepEqual(numbers(await take(store.read(loan('a')), 3)), [1, 2, 3])
      }
      await works(store)
    },
  },
  {
    name: 'a read up to a time brings what came until then, the time included',
    run: async scene => {
      const store = await scene.open()
      const times = [1000, 2000, 2000, 3000]
      await append(
        store,
        loan('a'),
        added(4).map((event, i) => ({ ...event, time: nth(times, i) })),
      )
      const until = async (time: number, options: ReadOptions = {}) =>
        numbers((await store.read(loan('a'), { ...options, until: time }).all()).events)
      assert.deepEqual(await until(999), [])
      assert.deepEqual(await until(1000), [1])
      assert.deepEqual(await until(2000), [1, 2, 3])
      assert.deepEqual(await until(2999), [1, 2, 3])
      assert.deepEqual(await until(9999), [1, 2, 3, 4])
      assert.deepEqual(await until(2000, { backwards: true, limit: 2 }), [3, 2])
    },
  },
  {
    name: 'a long stream is read whole, forwards, backwards and from everywhere',
    run: async scene => {
      const store = await scene.open()
      const data = { text: 'x'.repeat(100) }
      for (let i = 0; i < 5; i++) {
        await append(
          store,
          loan('a'),
          range(1, 500).map(n => ({ type: 'Added', data: { ...data, n: 500 * i + n } })),
        )
      }
      const forwards = await store.read(loan('a')).all()
      assert.deepEqual(numbers(forwards.events), range(1, 2500))
      const backwards = await store.read(loan('a'), { backwards: true }).all()
      assert.deepEqual(numbers(backwards.events), range(1, 2500).reverse())
      for (const from of [2, 499, 500, 501, 1234, 2499, 2500]) {
        const some = await store.read(loan('a'), { from, limit: 300 }).all()
        assert.deepEqual(numbers(some.events), range(from, Math.min(2500, from + 299)))
      }
    },
  },
  {
    name: 'many reads of one stream at once bring the same',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(200))
      const reads = await Promise.all(range(1, 16).map(() => eventsOf(store, loan('a'))))
      for (const events of reads) assert.deepEqual(numbers(events), range(1, 200))
    },
  },
  {
    name: 'a read whose signal has fired fails with its reason, before and in the middle',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(600))
      const reason = new Error('enough')
      const early = store.read(loan('a'), { signal: AbortSignal.abort(reason) })
      await assert.rejects(async () => early.all(), reason)
      const stop = new AbortController()
      const seen: number[] = []
      await assert.rejects(async () => {
        for await (const event of store.read(loan('a'), { signal: stop.signal })) {
          seen.push(...numbers([event]))
          if (seen.length === 10) stop.abort(reason)
        }
      }, reason)
      assert.ok(seen.length >= 10 && seen.length < 600, `${seen.length} events came`)
      await works(store)
    },
  },
  {
    name: 'a stream that was just appended to is read with what was appended',
    run: async scene => {
      const store = await scene.open()
      for (let i = 1; i <= 50; i++) {
        await append(store, loan('a'), added(1, i))
        const newest = await store.read(loan('a'), { backwards: true, limit: 1 }).all()
        assert.deepEqual([numbers(newest.events), newest.version], [[i], i])
      }
    },
  },
]
