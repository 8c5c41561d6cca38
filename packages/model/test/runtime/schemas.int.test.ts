// An application whose events change over the years, and whose people want to be forgotten.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import type { Log } from '@millrace/log'
import { ERASED, type KeyProvider } from '@millrace/store'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aggregate } from '../../src/define/aggregate.ts'
import { type } from '../../src/define/schema.ts'
import { startApplication } from '../../src/runtime/start-application.ts'

let folder = ''
let log: Log

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'schemas-'))
  log = await openEngine({ folder: join(folder, 'log') })
})
afterEach(async () => {
  await log.close()
  rmSync(folder, { recursive: true })
})

/** In euros. */
const first = aggregate('account', {
  events: { Paid: type<{ euros: number }>() },
  initial: () => ({ euros: 0 }),
  evolve: { Paid: (state, { euros }) => ({ euros: state.euros + euros }) },
  commands: { pay: type<{ euros: number }>() },
  decide: { pay: ({ euros }, _, { Paid }) => Paid({ euros }) },
  options: { snapshotEvery: 5, buckets: 2 },
})

/** In cents, with a type more. */
const second = aggregate('account', {
  events: { Paid: type<{ cents: number }>(), Closed: type<null>() },
  initial: () => ({ cents: 0, closed: false }),
  evolve: {
    Paid: (state, { cents }) => ({ ...state, cents: state.cents + cents }),
    Closed: state => ({ ...state, closed: true }),
  },
  commands: { pay: type<{ cents: number }>(), close: type<void>() },
  decide: {
    pay: ({ cents }, _, { Paid }) => Paid({ cents }),
    close: (_, __, { Closed }) => Closed(null),
  },
  options: {
    snapshotEvery: 5,
    buckets: 2,
    on: { Paid: { upcast: [(old: { euros: number }) => ({ cents: old.euros * 100 })] } },
  },
})

describe('a new version of the program', () => {
  const run = { name: 'bank', settings: { store: { 'tail.wait.ms': 20 } } }

  test('reads old events by its upcasters, and takes no state of the old code', async () => {
    {
      await using bank = await startApplication({
        ...run,
        log,
        folder: join(folder, 'derived'),
        aggregates: { account: first },
      })
      for (let i = 0; i < 12; i += 1) await bank.account('a').pay({ euros: 1 })
      expect((await bank.state(first, 'a')).state).toEqual({ euros: 12 })
    }
    await using bank = await startApplication({
      ...run,
      log,
      folder: join(folder, 'derived'),
      aggregates: { account: second },
    })
    expect(await bank.account('a').pay({ cents: 50 })).toMatchObject({ ok: true, version: 13 })
    expect((await bank.state(second, 'a')).state).toEqual({ cents: 1250, closed: false })
    expect(await bank.store.event({ category: 'account', id: 'a' }, 1)).toMatchObject({
      data: { cents: 100 },
    })
  })

  test('makes commands of the old one fail, retriably, where it has written', async () => {
    const old = await startApplication({
      ...run,
      log,
      folder: null,
      aggregates: { account: first },
    })
    const now = await startApplication({
      ...run,
      log,
      folder: null,
      aggregates: { account: second },
    })
    await old.account('a').pay({ euros: 1 })
    await old.account('b').pay({ euros: 1 })
    await now.store.catchUp()
    await now.account('a').pay({ cents: 1 })
    await now.account('b').close()
    await old.store.catchUp()
    for (const id of ['a', 'b']) {
      await expect(old.account(id).pay({ euros: 1 })).rejects.toMatchObject({
        code: 'NEWER_SCHEMA',
        retriable: true,
      })
    }
    expect(await old.account('c').pay({ euros: 1 })).toMatchObject({ ok: true })
    await old.close()
    await now.close()
  })
})

test('a decision after a subject was forgotten sees that, not what was kept in memory', async () => {
  const person = aggregate('person', {
    events: {
      Named: type<{ name: string; city: string }>(),
      Greeted: type<{ greeting: string }>(),
    },
    initial: () => ({ name: '', city: '' }),
    evolve: { Named: (_, { name, city }) => ({ name, city }), Greeted: state => state },
    commands: { rename: type<{ name: string; city: string }>(), greet: type<void>() },
    decide: {
      rename: ({ name, city }, _, { Named }) => Named({ name, city }),
      greet: (_, { name, city }, { Greeted }) => Greeted({ greeting: `${name} of ${city}` }),
    },
    options: { snapshotEvery: 1, on: { Named: { personal: { fields: ['name'] } } } },
  })
  const keys: KeyProvider = {
    currentId: async () => 'k1',
    key: async id => (id === 'k1' ? Buffer.alloc(32, 7) : undefined),
  }
  await using app = await startApplication({
    name: 'people',
    log,
    folder: null,
    keys,
    aggregates: { person },
  })
  await app.person('p-1').rename({ name: 'Ada', city: 'London' })
  await app.person('p-1').greet()
  expect(await app.store.forget('p-1')).toMatchObject({ known: true, events: 1 })
  await app.person('p-1').greet()
  const { events } = await app.store.read({ category: 'person', id: 'p-1' }).all()
  expect(events.map(({ data }) => data)).toEqual([
    { name: ERASED, city: 'London' },
    { greeting: 'Ada of London' },
    { greeting: `${ERASED} of London` },
  ])
})
