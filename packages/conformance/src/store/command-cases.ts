/** Command ids: a repeated one is answered with its first result and appends nothing. */
import assert from 'node:assert/strict'
import type { CaseSpec } from './case-spec.ts'
import { accepted, added, append, eventsOf, loan, lost, numbers, range } from './words.ts'

/** Accepted command ids that a stream remembers. */
const REMEMBERED = 64

export const commandCases: readonly CaseSpec[] = [
  {
    name: 'a repeated command id is answered with the first result and appends nothing',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      const first = await append(store, loan('a'), added(2, 2), { commandId: 'c1' })
      await append(store, loan('a'), added(1, 4))
      const again = await append(store, loan('a'), added(5, 50), { commandId: 'c1' })
      assert.deepEqual({ ...again, checkpoint: '' }, { ...first, duplicate: true, checkpoint: '' })
      assert.equal(first.duplicate, false)
      assert.deepEqual(numbers(await eventsOf(store, loan('a'))), [1, 2, 3, 4])
    },
  },
  {
    name: 'a repeated command id is answered so whatever version it expects now',
    run: async scene => {
      const store = await scene.open()
      const first = await append(store, loan('a'), added(1), {
        commandId: 'c1',
        expectedVersion: 'absent',
      })
      for (const expectedVersion of ['absent', 0, 1, 7] as const) {
        const again = await append(store, loan('a'), added(1), { commandId: 'c1', expectedVersion })
        assert.deepEqual([again.duplicate, again.version], [true, first.version])
      }
    },
  },
  {
    name: 'a repeated command that decides nothing this time gets the first result too',
    run: async scene => {
      const store = await scene.open()
      const first = await append(store, loan('a'), added(2), { commandId: 'c1' })
      const again = await append(store, loan('a'), [], { commandId: 'c1' })
      assert.deepEqual([again.duplicate, again.firstVersion, again.version], [true, 1, 2])
      assert.deepEqual([again.firstOffset, again.lastOffset], [first.firstOffset, first.lastOffset])
    },
  },
  {
    name: 'a command that lost is not remembered: it is decided again',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1))
      lost(await store.append(loan('a'), added(1, 2), { commandId: 'c1', expectedVersion: 0 }))
      const again = await append(store, loan('a'), added(1, 2), {
        commandId: 'c1',
        expectedVersion: 1,
      })
      assert.deepEqual([again.duplicate, again.version], [false, 2])
    },
  },
  {
    name: 'a command that decided nothing is not remembered: it is decided again',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), [], { commandId: 'c1' })
      const again = await append(store, loan('a'), added(1), { commandId: 'c1' })
      assert.deepEqual([again.duplicate, again.version], [false, 1])
      assert.equal((await eventsOf(store, loan('a'))).length, 1)
    },
  },
  {
    name: 'one command id on two streams is two commands',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1), { commandId: 'c1' })
      const other = await append(store, loan('b'), added(1), { commandId: 'c1' })
      assert.deepEqual([other.duplicate, other.version], [false, 1])
      const third = { category: 'course', id: 'a' }
      assert.equal((await append(store, third, added(1), { commandId: 'c1' })).duplicate, false)
      for (const stream of [loan('a'), loan('b'), third]) {
        assert.equal((await eventsOf(store, stream)).length, 1)
      }
    },
  },
  {
    name: 'a stream remembers its last 64 command ids, and no more',
    run: async scene => {
      const store = await scene.open()
      for (let i = 1; i <= REMEMBERED + 1; i++) {
        await append(store, loan('a'), added(1, i), { commandId: `c${i}` })
      }
      for (const i of range(2, REMEMBERED + 1)) {
        const again = await append(store, loan('a'), added(1), { commandId: `c${i}` })
        assert.deepEqual([again.duplicate, again.version, again.firstVersion], [true, i, i])
      }
      const forgotten = await append(store, loan('a'), added(1), { commandId: 'c1' })
      assert.deepEqual([forgotten.duplicate, forgotten.version], [false, REMEMBERED + 2])
    },
  },
  {
    name: 'appends without a command id do not push remembered ones out',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1), { commandId: 'c1' })
      for (let i = 0; i < 5; i++) await append(store, loan('a'), added(100))
      const again = await append(store, loan('a'), added(1), { commandId: 'c1' })
      assert.deepEqual([again.duplicate, again.version], [true, 1])
    },
  },
  {
    name: 'an append id that comes again is answered with the first result',
    run: async scene => {
      const store = await scene.open()
      const first = await append(store, loan('a'), added(2), { appendId: 'try-1' })
      const again = await append(store, loan('a'), added(2), { appendId: 'try-1' })
      assert.deepEqual(
        [again.duplicate, again.appendId, again.firstOffset, again.lastOffset],
        [true, 'try-1', first.firstOffset, first.lastOffset],
      )
      assert.equal((await eventsOf(store, loan('a'))).length, 2)
    },
  },
  {
    name: 'a command repeated under another append id tells the append id that counted',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1), { commandId: 'c1', appendId: 'try-1' })
      const again = await append(store, loan('a'), added(1), { commandId: 'c1', appendId: 'try-2' })
      assert.deepEqual([again.duplicate, again.appendId], [true, 'try-1'])
    },
  },
  {
    name: 'one command sent many times at once is done once',
    run: async scene => {
      const store = await scene.open()
      const results = await Promise.all(
        range(1, 20).map(() => store.append(loan('a'), added(2), { commandId: 'c1' })),
      )
      const taken = results.map(accepted)
      assert.equal(taken.filter(result => !result.duplicate).length, 1)
      assert.equal(new Set(taken.map(result => result.appendId)).size, 1)
      for (const result of taken) assert.deepEqual([result.firstVersion, result.version], [1, 2])
      assert.equal((await eventsOf(store, loan('a'))).length, 2)
    },
  },
  {
    name: 'a command whose time was too short is done once when it is repeated',
    run: async scene => {
      const store = await scene.open()
      const commands = range(1, 40).map(async n => {
        const command = { commandId: `c${n}` }
        const stream = loan(`s${n % 4}`)
        try {
          return accepted(await store.append(stream, added(1, n), { ...command, timeoutMs: 1 }))
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'APPEND_TIMED_OUT', String(error))
          return append(store, stream, added(1, n), command)
        }
      })
      assert.equal((await Promise.all(commands)).length, 40)
      const { events } = await scene.all(store)
      assert.deepEqual(
        numbers(events).sort((a, b) => a - b),
        range(1, 40),
      )
    },
  },
  {
    name: 'the checkpoint of a repeated command covers its first result',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(1), { commandId: 'c1' })
      const again = await append(store, loan('a'), added(1), { commandId: 'c1' })
      await store.reached(again.checkpoint)
      const rest = await scene.all(store, 'loan', again.checkpoint)
      assert.deepEqual([again.duplicate, rest.events], [true, []])
    },
  },
  {
    name: 'the first event of an append carries its command id',
    run: async scene => {
      const store = await scene.open()
      await append(store, loan('a'), added(2), { commandId: 'c1' })
      await append(store, loan('a'), added(2, 2), { commandId: 'c2' })
      const events = await eventsOf(store, loan('a'))
      assert.deepEqual(
        events.filter(event => event.version % 2 === 1).map(event => event.commandId),
        ['c1', 'c2'],
      )
    },
  },
]
