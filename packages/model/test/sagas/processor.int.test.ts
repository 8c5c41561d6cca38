import { afterEach, expect, test } from 'vitest'
import { createEffectRunner } from '../../src/effects/index.ts'
import { createSagaProcessor, sagaCategory } from '../../src/sagas/index.ts'
import { loan, type Mail, mailTo, order, reminderOf, shipmentOf, stock } from './support/bank.ts'
import { DAY, eventually, openScene, running, type Scene } from './support/scene.ts'

let scene: Scene
afterEach(() => scene.close())

const SETTINGS = { 'saga.alarm.longest.ms': 5 }
const FOLLOWER = { 'follower.commit.interval.ms': 0, 'follower.restart.first.ms': 1 }

const bankScene = async (sent: Mail[] = []) => {
  const mail = mailTo(sent)
  const reminder = reminderOf(mail)
  scene = await openScene({ aggregates: [loan], categories: { reminder: sagaCategory(reminder) } })
  return {
    sent,
    make: (context = scene.context) =>
      createSagaProcessor(reminder, context, {
        effects: createEffectRunner({ mail }, scene.context),
        settings: SETTINGS,
        follower: FOLLOWER,
      }),
  }
}

const run = (aggregate: string, id: string, command: string, data: unknown) =>
  scene.context.commands.run({ tenant: '', aggregate, id, command, data })

test('a timer fires when it is due and its effect runs once', async () => {
  const { make, sent } = await bankScene()
  await running(make(), async saga => {
    const offer = await run('loan', 'a', 'offer', { offerId: '1' })
    if (offer.ok) await saga.reached(offer.checkpoint)
    await eventually('the timer is known', () => saga.status().timers === 1)
    scene.outside.advance(7 * DAY - 1)
    const other = await run('loan', 'b', 'offer', { offerId: '1' })
    if (other.ok) await saga.reached(other.checkpoint)
    expect(sent, 'nothing is due yet, though the saga works').toEqual([])
    scene.outside.advance(1)
    await eventually('the mail', () => sent.length === 1)
    expect(sent[0]).toEqual({ loan: 'a', id: 'reminder/a@6', attempt: 1 })
    await eventually(
      'it is delivered',
      async () => Object.keys((await saga.instance({ id: 'a' })).sends).length === 0,
    )
    expect((await scene.streamsOf('reminder'))['a']?.map(([type]) => type)).toEqual([
      'Started',
      'Took',
      'TimerSet',
      'Fired',
      'Became',
      'EffectSent',
      'TimerSet',
      'Delivered',
    ])
  })
})

test('an answer in time stops the timer, and what comes after the end is counted', async () => {
  const { make, sent } = await bankScene()
  await running(make(), async saga => {
    await run('loan', 'a', 'offer', { offerId: '1' })
    await run('loan', 'a', 'accept', { offerId: '1' })
    const last = await run('loan', 'a', 'accept', { offerId: '1' })
    if (last.ok) await saga.reached(last.checkpoint)
    scene.outside.advance(30 * DAY)
    await eventually('no timer is left', () => saga.status().timers === 0)
    expect((await saga.instance({ id: 'a' })).status).toBe('ended')
    expect(sent).toEqual([])
    expect(scene.events).toContainEqual({
      kind: 'saga-ignored',
      saga: 'reminder',
      key: 'a',
      event: 'loan.Accepted',
    })
    expect(saga.status().ignored).toBe(1)
  })
})

test('timers and sends are there again after a restart', async () => {
  const { make, sent } = await bankScene()
  await running(make(), async saga => {
    const offer = await run('loan', 'a', 'offer', { offerId: '1' })
    if (offer.ok) await saga.reached(offer.checkpoint)
  })
  scene.outside.advance(8 * DAY)
  await running(make(), async () => {
    await eventually('the mail', () => sent.length === 1)
    scene.outside.advance(7 * DAY)
    await eventually('the second mail', () => sent.length === 2)
  })
})

test('commands go out once, in order, and a rejection is handled by the saga', async () => {
  const sent: Mail[] = []
  const mail = mailTo(sent)
  const shipment = shipmentOf(mail)
  scene = await openScene({
    aggregates: [order, stock],
    categories: { shipment: sagaCategory(shipment) },
  })
  const make = () =>
    createSagaProcessor(shipment, scene.context, {
      effects: createEffectRunner({ mail }, scene.context),
      settings: SETTINGS,
      follower: FOLLOWER,
    })
  await running(make(), async saga => {
    for (let n = 1; n <= 4; n += 1) await run('order', `o${n}`, 'place', { sku: 's', n: 2 })
    await eventually('all have ended', async () => {
      const instances = await Promise.all(['o1', 'o2', 'o3', 'o4'].map(id => saga.instance({ id })))
      return instances.every(
        ({ status, sends }) => status === 'ended' && Object.keys(sends).length === 0,
      )
    })
    const streams = await scene.streamsOf('order')
    const paid = Object.values(streams).filter(events => events.some(([type]) => type === 'Paid'))
    expect(paid).toHaveLength(2)
    expect(sent.map(({ loan }) => loan)).toEqual(['no s', 'no s'])
    const rejected = (await scene.all('shipment')).filter(({ type }) => type === 'Rejected')
    expect(rejected).toHaveLength(2)
    expect(rejected[0]?.data).toMatchObject({ reason: { code: 'sold out', left: 1 } })
    expect(saga.status()).toMatchObject({ timers: 0, commands: 0, effects: 0, parked: 0 })
  })
})

test('tenants have instances of their own', async () => {
  const { make } = await bankScene()
  await running(make(), async saga => {
    const offer = (tenant: string) =>
      scene.context.commands.run({
        ...{ tenant, aggregate: 'loan', id: 'a', command: 'offer', data: { offerId: '1' } },
      })
    await offer('acme')
    const last = await offer('other')
    if (last.ok) await saga.reached(last.checkpoint)
    expect(await saga.instance({ tenant: 'acme', id: 'a' })).toMatchObject({
      ...{ status: 'running', taken: { 'loan/a': 1 } },
    })
    expect((await saga.instance({ id: 'a' })).status).toBe('absent')
    await eventually('both timers are known', () => saga.status().timers === 2)
    scene.outside.advance(8 * DAY)
    await eventually('both have fired', async () => {
      const fired = (await scene.all('reminder')).filter(({ type }) => type === 'Fired')
      return new Set(fired.map(({ tenant }) => tenant)).size === 2
    })
  })
})

test('an effect that the application does not have is parked, and sent when it has it', async () => {
  const sent: Mail[] = []
  const mail = mailTo(sent)
  const reminder = reminderOf(mail)
  scene = await openScene({ aggregates: [loan], categories: { reminder: sagaCategory(reminder) } })
  const without = createSagaProcessor(reminder, scene.context, {
    ...{ settings: SETTINGS, follower: FOLLOWER },
  })
  await running(without, async saga => {
    const offer = await run('loan', 'a', 'offer', { offerId: '1' })
    if (offer.ok) await saga.reached(offer.checkpoint)
    scene.outside.advance(7 * DAY)
    await eventually('it is parked', () => saga.parked().length === 1)
    expect(saga.parked()[0]?.reason).toContain('the application has no effect mail')
  })
  const withIt = createSagaProcessor(reminder, scene.context, {
    ...{ settings: SETTINGS, follower: FOLLOWER },
    effects: createEffectRunner({ mail }, scene.context),
  })
  await running(withIt, async saga => {
    await eventually('it is still parked', () => saga.parked().length === 1)
    await saga.redriveSend({ id: 'a', version: saga.parked()[0]?.version ?? 0 })
    await eventually('it is sent', () => sent.length === 1)
  })
})
