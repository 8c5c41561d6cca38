/** Following all streams: what is there, then what comes, with nothing between lost. */
import assert from 'node:assert/strict'
import type { Checkpoint, EventPage } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import { added, append, loan, range, tagged, takeEvents, works } from './words.ts'

export const followAllCases: readonly CaseSpec[] = [
  {
    name: 'following all streams brings what is there, then what comes',
    run: async scene => {
      const store = await scene.open()
      for (const n of range(1, 5)) await append(store, loan(`s${n}`), added(1))
      const following = scene.meanwhile(() =>
        takeEvents(store.readAll(['loan'], { follow: true }), 10),
      )
      await scene.sleep(30)
      for (const n of range(6, 10)) await append(store, loan(`s${n}`), added(1))
      assert.deepEqual(
        (await following).map(event => event.stream).sort(),
        range(1, 10)
          .map(n => `s${n}`)
          .sort(),
      )
    },
  },
  {
    name: 'following after a checkpoint brings what came since, and nothing before',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(3))
      const after = await store.now(['loan'])
      const following = scene.meanwhile(() =>
        takeEvents(store.readAll(['loan'], { follow: true, after }), 2),
      )
      await append(store, loan('b'), added(2))
      assert.deepEqual(
        (await following).map(event => event.stream),
        ['b', 'b'],
      )
    },
  },
  {
    name: 'a follower is told when it has caught up, also where there is nothing',
    run: async scene => {
      const store = await scene.open()
      const caughtUp = async (): Promise<EventPage> => {
        for await (const page of store.readAll(['loan'], { follow: true })) {
          if (page.caughtUp) return page
        }
        return assert.fail('the following ended by itself')
      }
      assert.deepEqual((await caughtUp()).events, [])
      await append(store, loan('a'), added(2))
      const page = await caughtUp()
      assert.deepEqual((await scene.all(store, 'loan', page.checkpoint)).events, [])
      assert.equal((await scene.all(store)).events.length, 2)
    },
  },
  {
    name: 'the signal ends a following of all streams, without an error',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      const stop = new AbortController()
      let seen = 0
      const following = scene.meanwhile(async () => {
        const read = store.readAll(['loan'], { follow: true, signal: stop.signal })
        for await (const page of read) seen += page.events.length
      })
      await scene.eventually(async () => assert.equal(seen, 1))
      stop.abort()
      await following
      await append(store, loan('a'), added(1))
      assert.equal(seen, 1)
    },
  },
  {
    name: 'followers miss nothing and get nothing twice while many write',
    run: async scene => {
      const store = await scene.open()
      const total = 400
      const readers = range(1, 3).map(pageSize =>
        scene.meanwhile(() =>
          takeEvents(store.readAll(['loan'], { follow: true, pageSize: pageSize ** 3 }), total),
        ),
      )
      const writers = range(1, 8).map(async writer => {
        for (let i = 0; i < 25; i++) {
          await append(store, loan(`s${writer % 5}`), added(2), { actor: `w${writer}` })
        }
      })
      await Promise.all(writers)
      for (const events of await Promise.all(readers)) {
        assert.equal(events.length, total)
        const versions = new Map<string, number>()
        const offsets = new Map<number, number>()
        for (const { stream, version, bucket, offset } of events) {
          assert.equal(version, (versions.get(stream) ?? 0) + 1)
          assert.ok(offset > (offsets.get(bucket) ?? -1), 'nothing comes before what was read')
          versions.set(stream, version)
          offsets.set(bucket, offset)
        }
      }
    },
  },
  {
    name: 'a follower that stops anywhere and goes on from its checkpoint misses nothing',
    run: async scene => {
      const store = await scene.open()
      const total = 120
      const writing = scene.meanwhile(async () => {
        for (let i = 0; i < 60; i++) await append(store, loan(`s${i % 6}`), added(2))
      })
      const versions = new Map<string, number>()
      let after: Checkpoint | undefined
      for (let seen = 0; seen < total; ) {
        const read = store.readAll(['loan'], {
          follow: true,
          pageSize: 7,
          ...(after === undefined ? {} : { after }),
        })
        let pages = 0
        let left = false
        for await (const page of read) {
          for (const { stream, version } of page.events) {
            assert.equal(version, (versions.get(stream) ?? 0) + 1)
            versions.set(stream, version)
          }
          seen += page.events.length
          after = page.checkpoint
          pages += 1
          left = seen === total || pages === 3
          if (left) break
        }
        assert.ok(left, 'the following ended by itself')
      }
      await writing
      assert.deepEqual([...versions.values()], Array(6).fill(20))
    },
  },
  {
    name: 'a follower with a filter gets what matches, and its checkpoint passes what does not',
    run: async scene => {
      const store = await scene.open()
      const stop = new AbortController()
      const types: string[] = []
      let last = ''
      const following = scene.meanwhile(async () => {
        const filter = { tags: ['x:1'] }
        const options = { follow: true, filter, signal: stop.signal }
        for await (const page of store.readAll(['loan'], options)) {
          types.push(...page.events.map(event => event.type))
          last = page.checkpoint
        }
      })
      await append(store, loan('a'), [tagged('A', 'x:1')])
      await append(store, loan('a'), [tagged('B', 'x:2')])
      await append(store, loan('a'), [tagged('C', 'x:1')])
      const { checkpoint } = await append(store, loan('a'), [tagged('D')])
      await scene.eventually(async () => {
        assert.deepEqual(types, ['A', 'C'])
        assert.deepEqual((await scene.all(store, 'loan', last)).events.length <= 1, true)
      })
      await store.reached(checkpoint)
      stop.abort()
      await following
    },
  },
  {
    name: 'a follower wakes soon after an append, without another',
    run: async scene => {
      const store = await scene.open()
      for (const n of range(1, 10)) {
        const after = await store.now(['loan'])
        const following = scene.meanwhile(() =>
          takeEvents(store.readAll(['loan'], { follow: true, after }), 1),
        )
        await scene.sleep(20)
        const appended = scene.now()
        await append(store, loan(`s${n}`), added(1))
        await following
        assert.ok(scene.now() - appended < 5000, 'it came within seconds')
      }
    },
  },
  {
    name: 'a slow follower does not hold up appends, and gets everything',
    run: async scene => {
      const store = await scene.open()
      let seen = 0
      const following = scene.meanwhile(async () => {
        for await (const page of store.readAll(['loan'], { follow: true, pageSize: 5 })) {
          seen += page.events.length
          if (seen >= 100) break
          await scene.sleep(5)
        }
      })
      await Promise.all(range(1, 50).map(n => append(store, loan(`s${n}`), added(2))))
      await following
      assert.equal(seen, 100)
      await works(store)
    },
  },
]
