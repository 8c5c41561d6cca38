// An application as a program calls it, over a store in memory.
import { VirtualOutside } from '@millrace/engine/simulation'
import type { Log } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { aggregate, reject } from '../../src/define/aggregate.ts'
import { type } from '../../src/define/schema.ts'
import { RESERVED } from '../../src/runtime/definitions.ts'
import { startApplication } from '../../src/runtime/start-application.ts'
import { MemoryStore } from '../commands/memory-store.ts'

const loan = aggregate('loan', {
  events: { Submitted: z.object({ amount: z.number() }) },
  initial: () => ({ amount: 0 }),
  evolve: { Submitted: (_, { amount }) => ({ amount }) },
  commands: { submit: z.object({ amount: z.number() }), check: type<void>() },
  decide: {
    submit: ({ amount }, state, { Submitted }) =>
      state.amount === 0 ? Submitted({ amount }) : reject('submitted'),
    check: () => [],
  },
})

const start = async () => {
  const store = new MemoryStore()
  const app = await startApplication({
    name: 'bank',
    log: undefined as unknown as Log,
    store: store.port,
    aggregates: { loans: loan },
    outside: new VirtualOutside(1),
  })
  return { app, store }
}

describe('handles', () => {
  test('call commands by name, with what belongs to the call', async () => {
    const { app, store } = await start()
    const ids = { commandId: 'c', correlationId: 'k', causationId: 'e', actor: 'ann', time: 5 }
    const options = { ...ids, metadata: { a: 'b' }, tenant: 'north', saga: 'none' }
    expect(await app.loans('7').submit({ amount: 3 }, options)).toMatchObject({ ok: true })
    expect(await app.loans('7').submit({ amount: 3 })).toEqual({ ok: false, reason: 'submitted' })
    const [event] = store.stream({ category: 'loan', id: '7' }).events
    expect(event).toMatchObject({ ...ids, metadata: { a: 'b' }, tenant: '' })
    expect(event).not.toHaveProperty('saga')
  })

  test('may be passed on, and are not taken for promises', async () => {
    const { app } = await start()
    const handle = await app.loans('7')
    const { submit, check } = handle
    expect(await submit({ amount: 3 })).toMatchObject({ ok: true, version: 1 })
    expect(await check()).toMatchObject({ ok: true, version: 1 })
    expect(await app).toBe(app)
  })

  test('of a tenant work on its streams', async () => {
    const { app } = await start()
    const north = app.tenant('north')
    await north.loans('7').submit({ amount: 3 })
    expect((await north.state(loan, '7')).state).toEqual({ amount: 3 })
    expect((await app.state(loan, '7')).state).toEqual({ amount: 0 })
  })
})

test('an application has no names beyond those that aggregates cannot have', async () => {
  const { app } = await start()
  expect(Object.keys(app).filter(name => !RESERVED.includes(name))).toEqual(['loans'])
  expect('then' in app).toBe(false)
})

test('commands by name come with data that nobody has looked at', async () => {
  const { app } = await start()
  const message = { tenant: '', aggregate: 'loan', id: '7', command: 'submit' }
  await expect(app.commands.run({ ...message, data: { amount: 'x' } })).rejects.toMatchObject({
    code: 'INVALID_COMMAND',
  })
  expect(await app.commands.run({ ...message, data: { amount: 1 } })).toMatchObject({ ok: true })
})

describe('close', () => {
  test('waits for commands under way, and refuses later ones', async () => {
    const { app, store } = await start()
    const gate = Promise.withResolvers<void>()
    store.beforeAppend = () => gate.promise
    const command = app.loans('7').submit({ amount: 3 })
    let closed = false
    const closing = app.close().then(() => {
      closed = true
    })
    await expect(app.loans('8').submit({ amount: 3 })).rejects.toMatchObject({
      code: 'APPLICATION_CLOSED',
    })
    expect(closed).toBe(false)
    gate.resolve()
    expect(await command).toMatchObject({ ok: true })
    await closing
    await app.close()
  })

  test('happens at the end of `await using`', async () => {
    const { app } = await start()
    {
      await using scoped = app
      await scoped.loans('7').check()
    }
    await expect(app.loans('7').check()).rejects.toMatchObject({ code: 'APPLICATION_CLOSED' })
  })
})
