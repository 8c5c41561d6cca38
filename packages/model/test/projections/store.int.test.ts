// Projections over a real store on a real log: everything together.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import { openStore } from '@millrace/store'
import { expect, it, onTestFinished } from 'vitest'
import { projection } from '../../src/define/projection.ts'
import { type } from '../../src/define/schema.ts'
import { openSqlite } from '../../src/sql/index.ts'
import { LiveViewProcessor } from '../../src/views/index.ts'
import { liveView } from '../../src/views/live-view.ts'
import {
  account,
  accountEvents,
  balances,
  digestOf,
  expectedRows,
  processorOf,
  rowsOf,
  type Trap,
  until,
} from './support/accounts.ts'

async function openAll() {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-projections-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const log = await openEngine({
    folder: join(folder, 'log'),
    settings: { 'disk.reserve.bytes': 0 },
  })
  const store = await openStore({
    log,
    folder: join(folder, 'index'),
    categories: { account: { buckets: 4 } },
  })
  const sql = await openSqlite({ file: join(folder, 'views.db') })
  return {
    ...{ log, store, sql },
    [Symbol.asyncDispose]: async () => {
      await sql.close()
      await store.close()
      await log.close()
    },
  }
}

type Opened = Awaited<ReturnType<typeof openAll>>

/** Appends each event; gives the checkpoint of the last. */
async function append({ store }: Opened, events: ReturnType<typeof accountEvents>) {
  let last = await store.now(['account'], null)
  for (const { type: kind, stream, data, tenant } of events) {
    const type = kind.slice(kind.indexOf('.') + 1)
    const ref = { category: 'account', id: stream, ...(tenant === undefined ? {} : { tenant }) }
    const result = await store.append(ref, [{ type, data }])
    if (result.ok) last = result.checkpoint
  }
  return last
}

it('follows a store, reads own writes, and comes to equal digests after a rebuild', async () => {
  await using all = await openAll()
  const { store, sql } = all
  const first = accountEvents(10, 3)
  await append(all, first)
  const { processor } = processorOf(balances(), store, sql, { 'projection.page.events': 7 })
  await processor.start()
  await processor.reached(await store.now(['account'], null))
  expect(await rowsOf(processor.db)).toBe(expectedRows(first))
  const second = [{ type: 'account.Deposited', stream: 'a-1', data: { amount: 42 } }]
  await processor.reached(await append(all, second))
  expect(await rowsOf(processor.db)).toBe(expectedRows([...first, ...second]))
  const before = await digestOf(processor.db)
  await processor.rebuild()
  expect(await digestOf(processor.db)).toBe(before)
  await until(() => processor.status().lag === 0)
  expect(processor.status()).toMatchObject({ state: 'running', restarts: 0, lag: 0 })
  await processor.stop()
})

it('works on groups of buckets side by side', async () => {
  await using all = await openAll()
  const { store, sql } = all
  const events = accountEvents(20, 3)
  const { processor } = processorOf(balances({ parallel: 3 }), store, sql)
  await processor.start()
  await append(all, events)
  await processor.reached(await store.now(['account'], null))
  expect(await rowsOf(processor.db)).toBe(expectedRows(events))
  await processor.stop()
})

it('reaches writes that it has no handler for, and keeps its place beyond them', async () => {
  await using all = await openAll()
  const { store, sql } = all
  const definition = projection('owners', {
    version: 1,
    from: [account],
    tables: type<{ owner: { id: string } }>(),
    create: db => db.schema.createTable('owner').addColumn('id', 'text'),
    on: { 'account.Opened': (db, { stream }) => db.insertInto('owner').values({ id: stream }) },
  })
  const { processor } = processorOf(definition, store, sql, { 'projection.idle.ms': 0 })
  await processor.start()
  const opened = { type: 'account.Opened', stream: 'a', data: { owner: 'a' } }
  const deposit = { type: 'account.Deposited', stream: 'a', data: { amount: 1 } }
  await processor.reached(await append(all, [opened, deposit, deposit]))
  expect(processor.status()).toMatchObject({ handled: 1 })
  await processor.stop()
  const again = processorOf(definition, store, sql).processor
  await again.start()
  await again.reached(await store.now(['account'], null))
  expect(again.status()).toMatchObject({ handled: 0, lag: 0 })
  await again.stop()
})

it('parks and redrives from the index of a store', async () => {
  await using all = await openAll()
  const { store, sql } = all
  const events = accountEvents(5, 3)
  let isBroken = true
  const trap: Trap = ({ stream, version }) => {
    if (isBroken && stream === 'a-2' && version === 2) throw new Error('broken')
  }
  const { processor } = processorOf(balances({ trap }), store, sql)
  await processor.start()
  await append(all, events)
  await processor.reached(await store.now(['account'], null))
  expect((await processor.parked()).map(({ stream }) => stream.id)).toEqual(['a-2'])
  isBroken = false
  expect(await processor.redrive({ limit: 1 })).toMatchObject([{ ok: true, events: 3 }])
  expect(await rowsOf(processor.db)).toBe(expectedRows(events))
  await processor.stop()
})

it('goes on where it stopped, over a restart of everything', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-projections-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const events = accountEvents(6, 3)
  let handled = 0
  const trap: Trap = () => {
    handled += 1
  }
  const chunk = Math.ceil(events.length / 3)
  for (let from = 0; from < events.length; from += chunk) {
    const log = await openEngine({
      folder: join(folder, 'log'),
      settings: { 'disk.reserve.bytes': 0 },
    })
    const store = await openStore({
      log,
      folder: join(folder, 'index'),
      categories: { account: { buckets: 4 } },
    })
    const sql = await openSqlite({ file: join(folder, 'views.db') })
    const { processor } = processorOf(balances({ trap }), store, sql)
    await processor.start()
    const dispose = async () => undefined
    const all = { log, store, sql, [Symbol.asyncDispose]: dispose }
    await processor.reached(await append(all, events.slice(from, from + chunk)))
    await processor.reached(await store.now(['account'], null))
    if (from + chunk >= events.length) {
      expect(await rowsOf(processor.db)).toBe(expectedRows(events))
    }
    await processor.stop()
    await sql.close()
    await store.close()
    await log.close()
  }
  expect(handled).toBe(events.length)
})

it('folds a live view over a store', async () => {
  await using all = await openAll()
  const { store } = all
  await append(all, accountEvents(4, 2))
  const view = liveView('count', {
    from: [account],
    initial: () => 0,
    on: { 'account.Deposited': count => count + 1 },
  })
  const { context } = processorOf(balances(), store, all.sql)
  const processor = new LiveViewProcessor(view, context)
  await processor.start()
  expect(processor.state).toBe(8)
  const more = [{ type: 'account.Deposited', stream: 'a-1', data: { amount: 1 } }]
  await processor.reached(await append(all, more))
  expect(processor.state).toBe(9)
  await processor.stop()
})
