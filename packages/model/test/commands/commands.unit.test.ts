// The command runtime over a store that tests can interfere with.
import { VirtualOutside } from '@millrace/engine/simulation'
import { StoreError } from '@millrace/store'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { CommandRunner, type CommandRunnerOptions } from '../../src/commands/command-runner.ts'
import type { CommandMessage, Middleware } from '../../src/context.ts'
import { aggregate, reject } from '../../src/define/aggregate.ts'
import { type } from '../../src/define/schema.ts'
import { MemoryStore } from './memory-store.ts'

let decided = 0

const account = aggregate('account', {
  events: {
    Opened: z.object({ owner: z.string(), currency: z.string().default('EUR') }),
    Paid: z.object({ amount: z.number().positive() }),
    Noted: type<string>(),
  },
  initial: () => ({ open: false, balance: 0 }),
  evolve: {
    Opened: state => ({ ...state, open: true }),
    Paid: (state, { amount }) => {
      if (amount === 0.13) throw new Error('unlucky')
      return { ...state, balance: state.balance + amount }
    },
    Noted: state => state,
  },
  commands: {
    open: z.object({ owner: z.string(), deep: z.object({ list: z.array(z.number()) }).optional() }),
    pay: z.object({ amount: z.coerce.number() }),
    drain: type<{ all: true }>(),
    touch: type<void>(),
    fail: type<void>(),
    stray: type<unknown>(),
    remember: type<void>(),
  },
  decide: {
    open: ({ owner }, state, { Opened }) => {
      decided += 1
      return state.open ? reject('is open') : Opened({ owner })
    },
    pay: ({ amount }, _state, { Paid }) => [Paid({ amount }), Paid({ amount: amount * 2 })],
    drain: (_, { balance }, { Paid }) =>
      balance < 100 ? reject({ code: 'poor', balance } as const) : Paid({ amount: 1 }),
    touch: () => [],
    fail: () => {
      throw new RangeError('no idea')
    },
    stray: wanted => wanted as never,
    remember: (_, __, { Noted }, { id, now, newId }) => Noted(`${id} ${now} ${newId()}`),
  },
})

const scene = (options: Partial<CommandRunnerOptions> = {}) => {
  const store = new MemoryStore()
  const outside = new VirtualOutside(7)
  const runner = new CommandRunner({
    store: store.port,
    aggregates: [account],
    outside,
    ...options,
  })
  const run = (command: string, data?: unknown, rest: Partial<CommandMessage> = {}) =>
    runner.run({ tenant: '', aggregate: 'account', id: 'a', command, data, ...rest })
  const paid = (amount: number) =>
    store.appendNow({ category: 'account', id: 'a' }, [{ type: 'Paid', data: { amount } }])
  const first = () => store.stream({ category: 'account', id: 'a' }).events[0]
  return { store, outside, runner, run, paid, first }
}

describe('decisions', () => {
  test('events are recorded as their schemas give them, and the version is the new one', async () => {
    const { run, store } = scene()
    expect(await run('open', { owner: 'ann' })).toEqual({
      ok: true,
      version: 1,
      checkpoint: 'at 1',
      duplicate: false,
    })
    expect(await run('pay', { amount: '20' })).toMatchObject({ ok: true, version: 3 })
    expect(store.eventsOf('account', 'a')).toEqual([
      ['Opened', { owner: 'ann', currency: 'EUR' }],
      ['Paid', { amount: 20 }],
      ['Paid', { amount: 40 }],
    ])
    expect(store.appends).toBe(2)
  })

  test('a rejection is an answer, with its reason, and records nothing', async () => {
    const { run, paid, runner, store } = scene()
    paid(30)
    expect(await run('drain', { all: true })).toEqual({
      ok: false,
      reason: { code: 'poor', balance: 30 },
    })
    expect(runner.status).toMatchObject({ accepted: 0, rejected: 1 })
    expect(store.appends).toBe(1)
  })

  test('an empty decision is accepted at the version as it is', async () => {
    const { run, paid } = scene()
    paid(30)
    expect(await run('touch')).toMatchObject({ ok: true, version: 1, duplicate: false })
  })

  test('an event goes through its schema once, also where that changes what it takes', async () => {
    const digits = z.string().transform(Number)
    const meter = aggregate('meter', {
      events: { Read: digits, Checked: digits },
      initial: () => 0,
      evolve: { Read: (_, count) => count, Checked: sum => sum },
      commands: { read: type<string>() },
      decide: { read: (text, _, { Read, Checked }) => [Read(text), Checked(text)].reverse() },
    })
    const { runner, store } = scene({ aggregates: [meter] })
    await runner.run({ tenant: '', aggregate: 'meter', id: 'm', command: 'read', data: '42' })
    expect(store.eventsOf('meter', 'm')).toEqual([
      ['Checked', 42],
      ['Read', 42],
    ])
  })

  test('a decision knows the id, the time and new ids', async () => {
    const { run, store } = scene()
    await run('remember', undefined, { time: 5 })
    expect(store.eventsOf('account', 'a')[0]?.[1]).toMatch(
      /^a 5 [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
  })

  test('tenants have streams of their own', async () => {
    const { run, store } = scene()
    await run('open', { owner: 'ann' })
    expect(await run('open', { owner: 'bob' }, { tenant: 'north' })).toMatchObject({ version: 1 })
    expect(store.eventsOf('account', 'a', 'north')).toHaveLength(1)
  })
})

describe('what is wrong is named', () => {
  const cases: [string, string, unknown, string, RegExp][] = [
    ['data', 'open', { owner: 3 }, 'INVALID_COMMAND', /^account\.open\.owner: /],
    [
      'data deep inside',
      'open',
      { owner: 'x', deep: { list: [1, 'two'] } },
      'INVALID_COMMAND',
      /^account\.open\.deep\.list\[1\]: /,
    ],
    ['no such command', 'close', {}, 'UNKNOWN_COMMAND', /account has no command close/],
    ['a name of Object', 'constructor', {}, 'UNKNOWN_COMMAND', /constructor/],
    ['a decision that throws', 'fail', undefined, 'DECIDE_FAILED', /^account\.fail: no idea$/],
    [
      'an event against its schema',
      'pay',
      { amount: -1 },
      'INVALID_EVENT',
      /^account\.Paid\.amount/,
    ],
    [
      'an event by hand, wrong',
      'stray',
      { type: 'Paid', data: {} },
      'INVALID_EVENT',
      /Paid\.amount/,
    ],
    ['an unknown event', 'stray', { type: 'Payed', data: 1 }, 'DECIDE_FAILED', /of type Payed/],
    ['a name of Object as event', 'stray', { type: 'toString' }, 'DECIDE_FAILED', /type toString/],
    ['nothing', 'stray', undefined, 'DECIDE_FAILED', /but undefined/],
    ['a promise', 'stray', Promise.resolve(), 'DECIDE_FAILED', /a promise: decisions are sync/],
    [
      'a wrong one among good ones',
      'stray',
      [{ type: 'Noted', data: '' }, 7],
      'DECIDE_FAILED',
      /7/,
    ],
  ]
  test.each(cases)('%s', async (_name, command, data, code, message) => {
    const { run, store } = scene()
    await expect(run(command, data)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
      retriable: false,
    })
    expect(store.appends).toBe(0)
  })

  test('several mistakes are all named, up to a bound, and the others counted', async () => {
    const { run } = scene()
    const deep = (count: number) => ({ owner: 'x', deep: { list: Array(count).fill('no') } })
    const five = /^(account\.open\.deep\.list\[\d\]: [^;]+; ){4}account[^;]+$/
    await expect(run('open', deep(5))).rejects.toThrow(five)
    await expect(run('open', deep(1000))).rejects.toThrow(/^([^;]+; ){5}and 995 more$/)
  })

  test('an aggregate that the application does not have', async () => {
    const { runner } = scene()
    const message = { tenant: '', aggregate: 'toString', id: 'a', command: 'open', data: {} }
    await expect(runner.run(message)).rejects.toMatchObject({ code: 'UNKNOWN_AGGREGATE' })
  })

  test('the cause of a decision that threw goes with the error', async () => {
    const { run } = scene()
    await expect(run('fail')).rejects.toMatchObject({ cause: { message: 'no idea' } })
  })

  test('a validator that throws or is asynchronous is a mistake of the definition', async () => {
    const base = { events: {}, initial: () => 0, evolve: {} }
    const one = aggregate('one', {
      ...base,
      commands: { go: z.object({}).refine(async () => true) },
      decide: { go: () => [] },
    })
    const two = aggregate('two', {
      ...base,
      commands: {
        go: {
          '~standard': {
            version: 1 as const,
            vendor: 'x',
            validate: () => Promise.resolve({ value: 1 }),
          },
        },
      },
      decide: { go: () => [] },
    })
    const { runner } = scene({ aggregates: [one, two] })
    for (const name of ['one', 'two']) {
      const message = { tenant: '', aggregate: name, id: 'a', command: 'go', data: {} }
      await expect(runner.run(message), name).rejects.toMatchObject({ code: 'BAD_DEFINITION' })
    }
  })

  test('an evolve that throws names stream, version and type', async () => {
    const { run, paid } = scene()
    paid(1)
    paid(0.13)
    await expect(run('touch')).rejects.toMatchObject({
      code: 'EVOLVE_FAILED',
      message: 'account a, version 2 (Paid): unlucky',
    })
  })

  test('an event of an unknown type fails the command, retriably', async () => {
    const { run, store } = scene()
    store.appendNow({ category: 'account', id: 'a' }, [{ type: 'constructor', data: {} }])
    await expect(run('touch')).rejects.toMatchObject({ code: 'NEWER_SCHEMA', retriable: true })
  })

  test('streams that are archived or deleted take no commands', async () => {
    const { run, store } = scene()
    const stream = store.stream({ category: 'account', id: 'a' })
    stream.archived = true
    await expect(run('touch')).rejects.toMatchObject({ code: 'STREAM_ARCHIVED' })
    stream.tombstoned = true
    await expect(run('touch')).rejects.toMatchObject({ code: 'STREAM_TOMBSTONED' })
  })
})

describe('a repeated command id', () => {
  test('is answered with the first result, without deciding', async () => {
    const { run, paid } = scene()
    const first = await run('open', { owner: 'ann' }, { commandId: 'c-1' })
    paid(1)
    const before = decided
    const again = await run('open', { owner: 'ann' }, { commandId: 'c-1' })
    expect(again).toEqual({ ...first, duplicate: true })
    expect(decided).toBe(before)
  })

  test('of a rejection is decided again', async () => {
    const { run, paid } = scene()
    expect(await run('drain', { all: true }, { commandId: 'c-1' })).toMatchObject({ ok: false })
    paid(500)
    expect(await run('drain', { all: true }, { commandId: 'c-1' })).toMatchObject({ ok: true })
  })

  test('while the first is under way is answered with its result', async () => {
    const { run, store, runner } = scene()
    const both = await Promise.all([
      run('open', { owner: 'ann' }, { commandId: 'c-1' }),
      run('open', { owner: 'ann' }, { commandId: 'c-1' }),
    ])
    expect(both.map(outcome => outcome.ok && outcome.duplicate)).toEqual([false, true])
    expect(store.eventsOf('account', 'a')).toHaveLength(1)
    expect(runner.status).toMatchObject({ accepted: 1, duplicates: 1 })
  })

  test('that another node ran in between is answered with its result, not decided anew', async () => {
    const { run, store } = scene()
    let raced = false
    store.beforeAppend = () => {
      if (raced) return
      raced = true
      // Another node: first this command, then one more; the window names this one.
      const stream = { category: 'account', id: 'a' }
      const event = { type: 'Opened', data: { owner: 'ann' } }
      store.appendNow(stream, [event], { commandId: 'c-1', expectedVersion: 0 })
    }
    expect(await run('open', { owner: 'ann' }, { commandId: 'c-1' })).toMatchObject({
      ok: true,
      version: 1,
      duplicate: true,
    })
  })
})

describe('lost races', () => {
  test('the state is evolved by what came in between, without loading again', async () => {
    const { run, store, paid } = scene()
    paid(80)
    let races = 1
    store.beforeAppend = () => {
      if (races-- > 0) paid(30)
    }
    expect(await run('pay', { amount: 1 })).toMatchObject({ ok: true, version: 4 })
    expect(store.loads).toBe(1)
  })

  test('the command is decided again on the new state', async () => {
    const { run, store } = scene()
    store.beforeAppend = () => {
      store.beforeAppend = () => {}
      const event = { type: 'Opened', data: { owner: 'bob' } }
      store.appendNow({ category: 'account', id: 'a' }, [event])
    }
    expect(await run('open', { owner: 'ann' })).toEqual({ ok: false, reason: 'is open' })
  })

  test('the stream is loaded again where the conflict does not bring everything', async () => {
    const { run, store, paid } = scene()
    store.conflictEventsMax = 1
    store.beforeAppend = () => {
      store.beforeAppend = () => {}
      paid(1)
      paid(2)
    }
    expect(await run('pay', { amount: 1 })).toMatchObject({ ok: true, version: 4 })
    expect(store.eventsRead).toBe(2)
  })

  test('the last race allowed is the last, and each later one waits longer', async () => {
    const settings = { 'command.conflicts.max': 5 }
    const { run, store, paid, outside, runner } = scene({ settings })
    store.beforeAppend = () => void paid(1)
    const lost = run('pay', { amount: 1 })
    await expect(outside.drive(lost)).rejects.toMatchObject({
      code: 'CONFLICTS_EXCEEDED',
      retriable: true,
    })
    expect(runner.status.conflicts).toBe(5)
    // 2, 4 and 8 ms, each a fifth shorter at most.
    expect(outside.clock.monotonic()).toBeGreaterThanOrEqual(11)
    let races = 4
    store.beforeAppend = () => {
      if (races-- > 0) paid(1)
    }
    expect(await outside.drive(run('pay', { amount: 1 }))).toMatchObject({ ok: true })
  })

  test('commands of one node do not race among themselves, and keep their order', async () => {
    const { run, store, runner } = scene()
    const outcomes = await Promise.all(
      Array.from({ length: 64 }, (_, i) => run('pay', { amount: i + 1 })),
    )
    expect(outcomes.map(outcome => outcome.ok && outcome.version)).toEqual(
      Array.from({ length: 64 }, (_, i) => 2 * (i + 1)),
    )
    expect(runner.status).toMatchObject({ conflicts: 0, running: 0, waiting: 0, accepted: 64 })
    expect(store.loads).toBe(1)
  })

  test('more commands than may wait for their stream are refused', async () => {
    const { run } = scene({ settings: { 'command.waiting.max': 3 } })
    const settled = await Promise.allSettled(
      Array.from({ length: 6 }, () => run('pay', { amount: 1 })),
    )
    expect(settled.map(one => one.status)).toEqual([
      ...Array(4).fill('fulfilled'),
      ...Array(2).fill('rejected'),
    ])
    expect(settled[5]).toMatchObject({ reason: { code: 'OVERLOADED', retriable: true } })
    expect(await run('touch')).toMatchObject({ ok: true, version: 8 })
  })
})

describe('what a store reports', () => {
  test('passing trouble is waited out', async () => {
    const { run, store, outside, runner } = scene()
    let failures = 3
    store.beforeAppend = () => {
      if (failures-- > 0) throw new StoreError('OVERLOADED')
    }
    expect(await outside.drive(run('pay', { amount: 1 }))).toMatchObject({ ok: true, version: 2 })
    expect(runner.status.policy).toMatchObject({ attempts: 4, succeeded: 1 })
  })

  test.each(['APPEND_TIMED_OUT', 'STORE_FAILED', 'TIME_FALLS'] as const)(
    '%s passes through at once',
    async code => {
      const { run, store } = scene()
      store.beforeAppend = () => {
        throw new StoreError(code)
      }
      await expect(run('pay', { amount: 1 })).rejects.toMatchObject({ code })
      store.beforeAppend = () => {}
      expect(await run('pay', { amount: 1 })).toMatchObject({ ok: true })
    },
  )
})

describe('what goes with the events', () => {
  test('a command without ids gets one, which is its correlation too', async () => {
    const { run, first } = scene()
    await run('open', { owner: 'ann' })
    expect(first()?.commandId).toMatch(/^[\w-]{22}$/)
    expect(first()?.correlationId).toBe(first()?.commandId)
    expect(first()).not.toHaveProperty('causationId')
  })

  test('ids, actor, saga, time and metadata are kept', async () => {
    const { run, first } = scene()
    const ids = {
      commandId: 'c-1',
      correlationId: 'order-7',
      causationId: 'e-3',
      actor: 'ann',
      saga: 'ship-7',
    }
    await run('open', { owner: 'ann' }, { ...ids, time: 12, metadata: { channel: 'web' } })
    expect(first()).toMatchObject({ ...ids, time: 12, metadata: { channel: 'web' } })
  })
})

describe('middleware', () => {
  test('runs around each command in its order, and may change it or refuse', async () => {
    const seen: string[] = []
    const layer =
      (name: string): Middleware =>
      async (command, next) => {
        seen.push(`${name} ${command.command} ${command.actor ?? '-'}`)
        const outcome = await next({ ...command, actor: name })
        seen.push(`${name} ${outcome.ok}`)
        return outcome
      }
    const guard: Middleware = (command, next) => {
      if (command.id === 'secret') throw new Error('forbidden')
      return next(command)
    }
    const { run, first, store } = scene({ middleware: [layer('outer'), guard, layer('inner')] })
    await run('open', { owner: 'ann' })
    expect(seen).toEqual(['outer open -', 'inner open outer', 'inner true', 'outer true'])
    expect(first()?.actor).toBe('inner')
    await expect(run('open', { owner: 'x' }, { id: 'secret' })).rejects.toThrow('forbidden')
    expect(store.eventsOf('account', 'secret')).toEqual([])
  })

  test('that names the command id makes repetition known', async () => {
    const naming: Middleware = (command, next) => next({ ...command, commandId: 'always' })
    const { run } = scene({ middleware: [naming] })
    await run('open', { owner: 'ann' })
    expect(await run('open', { owner: 'ann' })).toMatchObject({ ok: true, duplicate: true })
  })
})
