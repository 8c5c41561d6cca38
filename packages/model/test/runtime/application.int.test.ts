// An application over the embedded engine, in files: commands, projections, restarts.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import type { Log } from '@millrace/log'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { aggregate, reject } from '../../src/define/aggregate.ts'
import { projection } from '../../src/define/projection.ts'
import { effect, end, saga, send, tell } from '../../src/define/saga.ts'
import { type } from '../../src/define/schema.ts'
import type { Application } from '../../src/runtime/application.ts'
import { startApplication } from '../../src/runtime/start-application.ts'
import { subscription } from '../../src/subscriptions/index.ts'
import { liveView } from '../../src/views/index.ts'

const account = aggregate('account', {
  events: {
    Opened: z.object({ owner: z.string() }),
    Paid: z.object({ amount: z.number() }),
  },
  initial: () => ({ open: false, balance: 0 }),
  evolve: {
    Opened: state => ({ ...state, open: true }),
    Paid: (state, { amount }) => ({ ...state, balance: state.balance + amount }),
  },
  commands: { open: z.object({ owner: z.string() }), pay: z.object({ amount: z.number() }) },
  decide: {
    open: ({ owner }, state, { Opened }) => (state.open ? reject('is open') : Opened({ owner })),
    pay: ({ amount }, state, { Paid }) => (state.open ? Paid({ amount }) : reject('is not open')),
  },
  options: { snapshotEvery: 10, buckets: 3 },
})

const balances = projection('balances', {
  version: 1,
  from: [account],
  tables: type<{ balance: { id: string; amount: number } }>(),
  create: db =>
    db.schema
      .createTable('balance')
      .addColumn('id', 'text', column => column.primaryKey())
      .addColumn('amount', 'integer', column => column.notNull()),
  on: {
    'account.Opened': (db, event) =>
      db.insertInto('balance').values({ id: event.stream, amount: 0 }),
    'account.Paid': (db, event) =>
      db
        .updateTable('balance')
        .set(x => ({ amount: x('amount', '+', event.data.amount) }))
        .where('id', '=', event.stream),
  },
})

type Bank = Application<{ account: typeof account }, { balances: typeof balances }>

let folder = ''
let log: Log | undefined

const openLog = async (): Promise<Log> => {
  log = await openEngine({ folder: join(folder, 'log') })
  return log
}
const start = async (): Promise<Bank> =>
  startApplication({
    name: 'bank',
    log: log ?? (await openLog()),
    folder: join(folder, 'derived'),
    aggregates: { account },
    projections: { balances },
  })

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'application-'))
})
afterEach(async () => {
  await log?.close()
  log = undefined
  rmSync(folder, { recursive: true })
})

describe('an application in files', () => {
  test('decides, records, and shows what was recorded in its projection', async () => {
    await using bank = await start()
    const first = await bank.account('a').open({ owner: 'ann' })
    expect(first).toMatchObject({ ok: true, version: 1, duplicate: false })
    expect(await bank.account('a').open({ owner: 'ann' })).toEqual({ ok: false, reason: 'is open' })
    const paid = await bank.account('a').pay({ amount: 20 })
    if (!paid.ok) throw new Error('was refused')
    await bank.projections.balances.reached(paid.checkpoint)
    expect(await bank.projections.balances.db.selectFrom('balance').selectAll().execute()).toEqual([
      { id: 'a', amount: 20 },
    ])
    expect(bank.processors()).toMatchObject([{ name: 'balances', state: 'running', parked: 0 }])
  })

  test('goes on after a restart: states, command ids, projections', async () => {
    {
      await using bank = await start()
      await bank.account('a').open({ owner: 'ann' })
      for (let i = 1; i <= 30; i += 1) {
        await bank.account('a').pay({ amount: 1 }, { commandId: `c-${i}` })
      }
    }
    await log?.close()
    log = undefined
    await using bank = await start()
    expect(await bank.account('a').pay({ amount: 1 }, { commandId: 'c-30' })).toMatchObject({
      ok: true,
      version: 31,
      duplicate: true,
    })
    const paid = await bank.account('a').pay({ amount: 5 })
    expect(paid).toMatchObject({ ok: true, version: 32 })
    if (paid.ok) await bank.projections.balances.reached(paid.checkpoint)
    const { state, version } = await bank.state(account, 'a')
    expect({ state, version }).toEqual({ state: { open: true, balance: 35 }, version: 32 })
    expect((await bank.state(account, 'a', { version: 11 })).state.balance).toBe(10)
    expect(await bank.projections.balances.db.selectFrom('balance').selectAll().execute()).toEqual([
      { id: 'a', amount: 35 },
    ])
  })

  test('64 writers on 10 streams record each command once, in versions without a gap', async () => {
    await using bank = await start()
    const ids = Array.from({ length: 10 }, (_, i) => `s${i}`)
    await Promise.all(ids.map(id => bank.account(id).open({ owner: id })))
    const versions = new Map<string, number[]>(ids.map(id => [id, []]))
    await Promise.all(
      Array.from({ length: 64 }, async (_, writer) => {
        for (let i = 0; i < 10; i += 1) {
          const id = `s${(writer + i) % 10}`
          const outcome = await bank.account(id).pay({ amount: 1 })
          if (!outcome.ok) throw new Error(outcome.reason)
          versions.get(id)?.push(outcome.version)
        }
      }),
    )
    for (const [id, seen] of versions) {
      expect(
        seen.sort((a, b) => a - b),
        id,
      ).toEqual(seen.map((_, i) => i + 2))
      expect((await bank.state(account, id)).state.balance).toBe(seen.length)
    }
    expect(bank.commands.status).toMatchObject({ accepted: 650, conflicts: 0 })
  })

  test('imports with the times of long ago, in their order', async () => {
    await using bank = await start()
    await bank.account('a').open({ owner: 'ann' }, { time: 1000 })
    await bank.account('a').pay({ amount: 7 }, { time: 2000 })
    expect((await bank.state(account, 'a', { time: 1500 })).state.balance).toBe(0)
    await expect(bank.account('a').pay({ amount: 7 }, { time: 500 })).rejects.toMatchObject({
      code: 'TIME_FALLS',
    })
  })
})

test('sagas send commands and effects, subscriptions hear of all, and all of it counts once', async () => {
  const mailed: string[] = []
  const heard: string[] = []
  const mail = effect('mail', z.object({ to: z.string() }), async ({ to }, { id }) => {
    mailed.push(`${to} ${id}`)
  })
  const welcome = saga('welcome', {
    from: [account],
    starts: ['account.Opened'],
    key: event => event.stream,
    initial: () => ({}),
    on: {
      'account.Opened': (_, event) => [
        tell(account, event.stream, 'pay', { amount: 5 }),
        send(mail, { to: event.data.owner }),
      ],
      'account.Paid': () => [end()],
    },
    timers: {},
  })
  const audit = subscription('audit', {
    from: [account],
    batch: events => {
      for (const event of events) heard.push(`${event.stream} ${event.version} ${event.type}`)
    },
  })
  const total = liveView('total', {
    from: [account],
    initial: () => 0,
    on: { 'account.Paid': (sum, event) => sum + event.data.amount },
  })
  await using bank = await startApplication({
    name: 'bank',
    log: await openLog(),
    folder: null,
    views: { total },
    aggregates: { account },
    projections: { balances },
    sagas: { welcome },
    effects: { mail },
    subscriptions: { audit },
  })
  const opened = await bank.account('a').open({ owner: 'ann' }, { commandId: 'c-1', actor: 'ann' })
  if (!opened.ok) throw new Error(opened.reason)
  await expect.poll(() => mailed.length, { timeout: 20_000 }).toBe(1)
  await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(2)
  expect(heard).toEqual(['a 1 account.Opened', 'a 2 account.Paid'])
  expect((await bank.state(account, 'a')).state.balance).toBe(5)
  const paid = await bank.store.event({ category: 'account', id: 'a' }, 2)
  expect(paid).toMatchObject({ correlationId: 'c-1' })
  expect(mailed[0]).toMatch(/^ann \S+$/)
  expect(bank.effects()).toMatchObject([{ circuit: 'closed' }])
  expect(bank.processors().map(({ kind, state }) => `${kind} ${state}`)).toEqual([
    'projection running',
    'saga running',
    'subscription running',
    'projection running',
  ])
  await bank.views.total.reached(await bank.store.now(['account']))
  expect(bank.views.total.state).toBe(5)
})

describe('a start that fails', () => {
  test('names what is missing, and lets go of what it had opened', async () => {
    const definitions = { aggregates: { account }, projections: { balances } }
    await expect(
      startApplication({ name: 'bank', log: await openLog(), ...definitions }),
    ).rejects.toMatchObject({ code: 'BAD_ARGUMENT', message: expect.stringContaining('folder') })
    const broken = projection('balances', {
      version: 1,
      from: [account],
      tables: type<object>(),
      create: () => {
        throw new Error('no table')
      },
      on: { 'account.Opened': () => [] },
    })
    await expect(
      startApplication({
        name: 'bank',
        log: log as Log,
        folder: join(folder, 'derived'),
        aggregates: { account },
        projections: { broken },
      }),
    ).rejects.toThrow('no table')
    await using bank = await start()
    expect(await bank.account('a').open({ owner: 'ann' })).toMatchObject({ ok: true })
  })
})
