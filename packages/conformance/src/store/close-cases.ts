/** Closing: what was begun is done, what comes later is refused. */
import assert from 'node:assert/strict'
import type { CaseSpec } from './case-spec.ts'
import { added, allPages, append, eventsOf, loan, range, refuses, SUM } from './words.ts'

export const closeCases: readonly CaseSpec[] = [
  {
    name: 'a closed store refuses every call',
    run: async scene => {
      const store = await scene.open()
      const { checkpoint } = await append(store, loan('a'), added(1))
      await scene.close(store)
      const closed = (call: () => unknown) => refuses(call, 'STORE_CLOSED')
      await closed(() => store.append(loan('a'), added(1)))
      await closed(() => eventsOf(store, loan('a')))
      await closed(() => store.state(loan('a')))
      await closed(() => store.event(loan('a'), 1))
      await closed(() => store.aggregate(loan('a'), SUM))
      await closed(() => allPages(store.readAll(['loan'])))
      await closed(() => allPages(store.search(['loan'], {})))
      await closed(() => store.truncate(loan('a'), 1))
      await closed(() => store.archive(loan('a')))
      await closed(() => store.tombstone(loan('a')))
      await closed(() => store.now(['loan']))
      await closed(() => store.at(['loan'], 0))
      await closed(() => store.reached(checkpoint))
      await closed(() => store.describe())
      await closed(async () => {
        for await (const listing of store.streams('loan')) assert.fail(listing.stream.id)
      })
      await closed(async () => {
        for await (const event of store.follow(loan('a'))) assert.fail(event.id)
      })
    },
  },
  {
    name: 'closing twice is closing once',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      await Promise.all([store.close(), store.close()])
      await store.close()
      await refuses(() => store.state(loan('a')), 'STORE_CLOSED')
    },
  },
  {
    name: 'appends that were begun before closing are done or refused, never half',
    run: async scene => {
      let store = await scene.open()
      const calls = range(1, 50).map(async n => {
        try {
          await append(store, loan(`s${n}`), added(3))
          return true
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'STORE_CLOSED')
          return false
        }
      })
      const closing = scene.reopen(store)
      const done = await Promise.all(calls)
      store = await closing
      for (const [i, accepted] of done.entries()) {
        const { version } = await store.state(loan(`s${i + 1}`))
        assert.ok(version === 3 || (version === 0 && !accepted), `version ${version}`)
      }
    },
  },
  {
    name: 'followers of a store that closes fail, and do not wait for ever',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      let seen = 0
      const one = scene.meanwhile(() =>
        refuses(async () => {
          for await (const event of store.follow(loan('a'))) seen += event.version
        }, 'STORE_CLOSED'),
      )
      const all = scene.meanwhile(() =>
        refuses(async () => {
          const read = store.readAll(['loan'], { follow: true })
          for await (const page of read) seen += page.events.length
        }, 'STORE_CLOSED'),
      )
      await scene.eventually(async () => assert.equal(seen, 2))
      await scene.close(store)
      await Promise.all([one, all])
    },
  },
  {
    name: 'a store whose log was closed under it fails, and says so; the log keeps what was answered',
    needs: ['onLog', 'restarts'],
    run: async scene => {
      let store = await scene.open()
      await append(store, loan('a'), added(2))
      const following = scene.meanwhile(() =>
        refuses(async () => {
          const read = store.readAll(['loan'], { follow: true })
          for await (const page of read) assert.equal(page.events.length <= 2, true)
        }, 'STORE_FAILED'),
      )
      await (await scene.log()).close()
      await refuses(() => store.append(loan('a'), added(1)), 'STORE_FAILED')
      await following
      await scene.restart()
      store = await scene.open()
      assert.equal((await eventsOf(store, loan('a'))).length, 2)
      assert.equal((await append(store, loan('a'), added(1))).version, 3)
    },
  },
  {
    name: 'leaving the scope of a store closes it',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      {
        await using scoped = store
        assert.equal((await scoped.state(loan('a'))).version, 1)
      }
      await refuses(() => store.state(loan('a')), 'STORE_CLOSED')
    },
  },
]
