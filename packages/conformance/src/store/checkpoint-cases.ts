/** Checkpoints: where a read goes on, read-your-own-writes, places in time, refusals. */
import assert from 'node:assert/strict'
import type { CaseSpec } from './case-spec.ts'
import { added, allPages, append, course, loan, range, refuses, works } from './words.ts'

/** Texts that no read returned. */
const MALFORMED = ['', 'x', '12', '{}', 'null', '0:0', 'mr1', '~~~', '\0', 'x'.repeat(10_000)]

export const checkpointCases: readonly CaseSpec[] = [
  {
    name: 'a checkpoint of an append is reached when its events can be read',
    run: async scene => {
      const store = await scene.open()
      for (const n of range(1, 20)) {
        const { checkpoint, bucket } = await append(store, loan(`s${n}`), added(2))
        await store.reached(checkpoint)
        const read = await allPages(store.readAll(['loan'], { buckets: [bucket] }))
        assert.equal(read.events.filter(event => event.stream === `s${n}`).length, 2)
      }
    },
  },
  {
    name: 'a read after the checkpoint of an append does not bring its events again',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      const { checkpoint, bucket } = await append(store, loan('a'), added(2))
      const rest = await allPages(store.readAll(['loan'], { after: checkpoint, buckets: [bucket] }))
      assert.deepEqual(rest.events, [])
      assert.equal((await scene.all(store)).events.length, 4)
    },
  },
  {
    name: 'a read after the checkpoint of an append begins other buckets at their beginning',
    run: async scene => {
      const store = await scene.open()
      const buckets = new Map<string, number>()
      let last = ''
      for (const n of range(1, 12)) {
        const { bucket, checkpoint } = await append(store, loan(`s${n}`), added(1))
        buckets.set(`s${n}`, bucket)
        last = checkpoint
      }
      const rest = await scene.all(store, 'loan', last)
      const others = [...buckets].filter(([, bucket]) => bucket !== buckets.get('s12'))
      assert.ok(others.length > 0)
      assert.deepEqual(
        rest.events.map(event => event.stream).sort(),
        others.map(([id]) => id).sort(),
      )
    },
  },
  {
    name: 'a conflict, a state and a fold end with checkpoints that cover what they saw',
    run: async scene => {
      const store = await scene.open()
      const { bucket } = await append(store, loan('a'), added(3))
      const conflict = await store.append(loan('a'), added(1), { expectedVersion: 0 })
      const state = await store.state(loan('a'))
      const read = await store.read(loan('a')).all()
      const folded = await store.aggregate(loan('a'), { initial: () => 0, evolve: n => n + 1 })
      for (const { checkpoint } of [conflict, state, read, folded]) {
        await store.reached(checkpoint)
        const rest = await allPages(
          store.readAll(['loan'], { after: checkpoint, buckets: [bucket] }),
        )
        assert.deepEqual(rest.events, [])
      }
      assert.equal(conflict.ok, false)
    },
  },
  {
    name: 'a checkpoint of a category begins one that it does not name at its beginning',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2))
      await append(store, course('b'), added(3))
      const { checkpoint } = await scene.all(store, 'loan')
      const both = await allPages(store.readAll(['loan', 'course'], { after: checkpoint }))
      assert.deepEqual(
        both.events.map(event => event.category),
        Array(3).fill('course'),
      )
    },
  },
  {
    name: 'waiting for a checkpoint ends when its events have come, for all who wait',
    run: async scene => {
      const store = await scene.open()
      await store.reached(await store.now(['loan', 'course']))
      const { checkpoint } = await append(store, loan('a'), added(1))
      await Promise.all(range(1, 20).map(() => store.reached(checkpoint)))
      await works(store)
    },
  },
  {
    name: 'waiting for a checkpoint that does not come ends with the reason of the signal',
    needs: 'onLog',
    run: async scene => {
      const ahead = await scene.open({ world: '-ahead', index: 1 })
      const { checkpoint } = await append(ahead, loan('a'), added(5))
      await ahead.reached(checkpoint)
      const store = await scene.open()
      const stop = new AbortController()
      const reason = new Error('enough')
      const waiting = assert.rejects(
        () => store.reached(checkpoint, { signal: stop.signal }),
        reason,
      )
      await scene.sleep(30)
      await append(store, loan('a'), added(1))
      stop.abort(reason)
      await waiting
    },
  },
  {
    name: 'now is behind all that is there, and before all that comes',
    run: async scene => {
      const store = await scene.open()
      for (const n of range(1, 6)) await append(store, loan(`s${n}`), added(2))
      const now = await store.now(['loan'])
      assert.deepEqual((await scene.all(store, 'loan', now)).events, [])
      await append(store, loan('s3'), added(1))
      const rest = await scene.all(store, 'loan', now)
      assert.deepEqual(
        rest.events.map(event => [event.stream, event.version]),
        [['s3', 3]],
      )
    },
  },
  {
    name: 'a checkpoint at a time is before every event from then on',
    run: async scene => {
      const store = await scene.open()
      for (const n of range(1, 30)) {
        const event = { type: 'At', data: {}, time: 1000 * n }
        await append(store, loan(`s${n % 5}`), [event])
      }
      for (const time of [0, 1, 1000, 1001, 15_000, 29_999, 30_000]) {
        const after = await store.at(['loan'], time)
        const found = (await scene.all(store, 'loan', after)).events.map(event => event.time)
        assert.deepEqual(
          found.sort((a, b) => a - b),
          range(1, 30)
            .map(n => 1000 * n)
            .filter(at => at >= time),
        )
      }
    },
  },
  {
    name: 'a checkpoint at a time that has not come is now',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), [{ type: 'At', data: {}, time: 1000 }])
      const after = await store.at(['loan'], 1001)
      assert.deepEqual((await scene.all(store, 'loan', after)).events, [])
      await append(store, loan('a'), added(1))
      assert.equal((await scene.all(store, 'loan', after)).events.length, 1)
    },
  },
  {
    name: 'a checkpoint at a time misses no event that lies behind a later one of another stream',
    run: async scene => {
      const store = await scene.open()
      const times = [1000, 9000, 2000, 8000, 3000]
      for (const [i, time] of times.entries()) {
        await append(store, course(`x/${i}`), [{ type: 'At', data: {}, time }])
      }
      const after = await store.at(['course'], 2500)
      const { events } = await scene.all(store, 'course', after)
      for (const time of [9000, 8000, 3000]) {
        assert.ok(
          events.some(event => event.time === time),
          `the event of ${time} is missing`,
        )
      }
    },
  },
  {
    name: 'what is not a checkpoint is refused wherever one is taken',
    run: async scene => {
      const store = await scene.open()
      for (const after of MALFORMED) {
        await refuses(() => scene.all(store, 'loan', after), 'BAD_CHECKPOINT')
        await refuses(() => store.reached(after), 'BAD_CHECKPOINT')
        const condition = { failIfMatch: [{ tags: ['x'] }], after }
        const conditional = () => store.append(loan('a'), added(1), { condition })
        await refuses(conditional, 'BAD_CHECKPOINT')
      }
      await works(store)
    },
  },
  {
    name: 'a checkpoint that was changed is refused or read as what it says, never past the end',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(5))
      const { checkpoint } = await scene.all(store)
      for (let cut = 1; cut < checkpoint.length; cut++) {
        try {
          const { events } = await scene.all(store, 'loan', checkpoint.slice(0, cut))
          assert.ok(events.length <= 5)
        } catch (error) {
          const { code } = error as { code?: string }
          assert.ok(code === 'BAD_CHECKPOINT' || code === 'CHECKPOINT_MISMATCH', String(error))
        }
      }
      assert.deepEqual((await scene.all(store, 'loan', checkpoint)).events, [])
      await works(store)
    },
  },
  {
    name: 'a checkpoint of another log is refused',
    needs: 'ownLogs',
    run: async scene => {
      const store = await scene.open()
      const other = await scene.elsewhere()
      assert.notEqual(store.id, other.id)
      await append(other, loan('a'), added(1))
      const { checkpoint } = await scene.all(other)
      await refuses(() => scene.all(store, 'loan', checkpoint), 'CHECKPOINT_MISMATCH')
      await refuses(() => store.reached(checkpoint), 'CHECKPOINT_MISMATCH')
      await works(store)
    },
  },
  {
    name: 'a checkpoint past the end of the log is refused: it is of another past',
    needs: 'onLog',
    run: async scene => {
      const ahead = await scene.open({ world: '-ahead', index: 1 })
      await append(ahead, course('x/1'), added(9))
      const { checkpoint } = await scene.all(ahead, 'course')
      const store = await scene.open()
      await append(store, course('x/1'), added(1))
      const refused = (call: () => unknown) => refuses(call, 'CHECKPOINT_MISMATCH', 'course')
      await refused(() => scene.all(store, 'course', checkpoint))
      await refused(() => allPages(store.search(['course'], {}, { after: checkpoint })))
      await refused(async () => {
        const read = store.readAll(['course'], { follow: true, after: checkpoint })
        for await (const page of read) assert.fail(`${page.events.length} events came`)
      })
      const condition = { failIfMatch: [{ tags: ['x'] }], after: checkpoint }
      await refused(() => store.append(course('x/1'), added(1), { condition }))
      assert.equal((await scene.all(store, 'course')).events.length, 1)
      await works(store, 'course')
    },
  },
  {
    name: 'a checkpoint that names a category which is not read is refused',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      await append(store, course('a'), added(1))
      const both = await allPages(store.readAll(['loan', 'course']))
      await refuses(() => scene.all(store, 'loan', both.checkpoint), 'CHECKPOINT_MISMATCH')
      assert.equal((await scene.all(store, 'loan')).events.length, 1)
    },
  },
]
