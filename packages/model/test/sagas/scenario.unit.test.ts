import { AssertionError } from 'node:assert'
import { describe, expect, test } from 'vitest'
import { after, become, end, saga, send, tell } from '../../src/index.ts'
import { sagaScenario } from '../../src/testing/saga.ts'
import { loan, mailTo, order, reminderOf, shipmentOf, stock } from './support/bank.ts'

const mail = mailTo([])
const reminder = reminderOf(mail)
const shipment = shipmentOf(mail)
const offer = (stream = '7', time?: number) => ({
  type: 'loan.OfferMade',
  stream,
  data: { offerId: 'o' },
  ...(time === undefined ? {} : { time }),
})
const accepted = (stream = '7') => ({ type: 'loan.Accepted', stream, data: { offerId: 'o' } })

describe('a saga on a clock of its own', () => {
  test('reminds when nobody answers, and ends', () => {
    sagaScenario(reminder)
      .given(offer())
      .expectNothingSent()
      .expectTimers({ remind: { days: 7 } })
      .advance({ days: 6, hours: 23 })
      .expectNothingSent()
      .expectTimers({ remind: { hours: 1 } })
      .advance({ hours: 1 })
      .expectSent(send(mail, { loan: '7' }))
      .expectState({ reminders: 1 })
      .advance({ days: 30 })
      .expectSent(send(mail, { loan: '7' }))
      .expectEnded()
      .expectTimers({})
  })

  test('starts a timer anew with each event', () => {
    sagaScenario(reminder)
      .given(offer())
      .advance({ days: 5 })
      .given(offer())
      .advance({ days: 5 })
      .expectNothingSent()
      .advance({ days: 2 })
      .expectSent(send(mail, { loan: '7' }))
  })

  test('fires what is due before a later event', () => {
    const day = 86_400_000
    sagaScenario(reminder)
      .given(offer('7', 0), { ...accepted(), time: 8 * day })
      .expectSent(send(mail, { loan: '7' }))
      .expectEnded()
  })

  test('ignores events without an instance, and counts what comes after the end', () => {
    sagaScenario(reminder)
      .given(accepted())
      .expectNotBegun('7')
      .expectIgnored(0)
      .given(offer(), accepted(), offer(), accepted())
      .expectEnded()
      .expectIgnored(2)
      .advance({ days: 30 })
      .expectNothingSent()
  })

  test('sends commands and handles their refusal', () => {
    const placed = { type: 'order.Placed', stream: 'o1', data: { sku: 's', n: 2 } }
    const waiting = sagaScenario(shipment)
      .given(placed)
      .expectSent(tell(stock, 's', 'reserve', { order: 'o1', n: 2 }))
    waiting
      .refused('stock.reserve', { code: 'sold out' })
      .expectSent(send(mail, { loan: 'no s' }))
      .expectEnded()
    waiting
      .given({ type: 'stock.Reserved', stream: 's', data: { order: 'o1', n: 2 } })
      .expectSent(tell(order, 'o1', 'pay', undefined))
      .expectTimers({})
      .expectState({ at: 'reserved' })
      .expectRunning()
  })

  test('keeps its state as JSON, whatever a handler does to what it was given', () => {
    const counter = saga('counter', {
      from: [loan],
      starts: ['loan.OfferMade'],
      key: e => e.stream,
      initial: (): { seen: string[] } => ({ seen: [] }),
      on: {
        'loan.OfferMade': (state, e) => {
          state.seen.push('lost')
          return e.data.offerId === 'keep' ? [become({ seen: ['kept'] })] : []
        },
      },
      timers: {},
    })
    const keep = { type: 'loan.OfferMade', stream: '7', data: { offerId: 'keep' } }
    sagaScenario(counter)
      .given(offer())
      .expectState({ seen: [] })
      .given(keep)
      .expectState({ seen: ['kept'] })
  })
})

describe('a scenario fails', () => {
  const failing = (work: () => unknown) => {
    let thrown: unknown
    try {
      work()
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(AssertionError)
    return (thrown as AssertionError).message
  }

  test('when something else was sent', () => {
    const message = failing(() =>
      sagaScenario(reminder)
        .given(offer())
        .expectSent(send(mail, { loan: '7' })),
    )
    expect(message).toContain('reminder sent something else')
  })

  test('when a handler throws, starts a timer that there is not, or never comes to an end', () => {
    const broken = (actions: () => ReturnType<typeof after>[]) =>
      saga('broken', {
        from: [loan],
        starts: ['loan.OfferMade'],
        key: e => e.stream,
        initial: () => 0,
        on: { 'loan.OfferMade': () => actions() as never },
        timers: { again: () => [after('again', {})] },
      })
    const given = (actions: () => ReturnType<typeof after>[]) =>
      failing(() => sagaScenario(broken(actions)).given(offer()).advance({ seconds: 1 }))
    expect(
      given(() => {
        throw new Error('no idea')
      }),
    ).toContain('no idea')
    expect(given(() => [after('other', {})])).toContain('has no timer "other"')
    expect(given(() => [after('again', {})])).toContain('100 in a row')
  })

  test('when an event is older than what has happened', () => {
    const scenario = sagaScenario(reminder, { now: 10 }).given(offer())
    expect(failing(() => scenario.given({ ...accepted(), time: 9 }))).toContain('older')
  })
})

test('an end counts last, wherever it stands', () => {
  const last = saga('last', {
    from: [loan],
    starts: ['loan.OfferMade'],
    key: e => e.stream,
    initial: () => 0,
    on: {
      'loan.OfferMade': (_s, e) => [end(), after('t', { days: 1 }), send(mail, { loan: e.stream })],
    },
    timers: { t: () => [] },
  })
  sagaScenario(last)
    .given(offer())
    .expectSent(send(mail, { loan: '7' }))
    .expectEnded()
    .expectTimers({})
})
