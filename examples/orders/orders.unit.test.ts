// Each aggregate by itself, and the saga between them: what it sends when all goes well, and what it
// undoes, in which order, when something does not.
import { tell } from 'millrace'
import { projectionScenario, sagaScenario, scenario } from 'millrace/testing'
import { describe, it } from 'vitest'
import { LIMIT_CENTS, order, payment, shipment, stock } from './aggregates.ts'
import { overview } from './application.ts'
import { fulfilment } from './fulfilment.ts'

const placed = {
  type: 'order.Placed',
  stream: 'o-1',
  data: { article: 'lamp', pieces: 2, cents: 5_000 },
} as const
const reserved = {
  type: 'stock.Reserved',
  stream: 'lamp',
  data: { order: 'o-1', pieces: 2 },
} as const
const charged = { type: 'payment.Charged', stream: 'o-1', data: { cents: 5_000 } } as const

const charge = tell(payment, 'o-1', 'charge', { cents: 5_000 })
const refund = tell(payment, 'o-1', 'refund', { cents: 5_000 })
const release = tell(stock, 'lamp', 'release', { order: 'o-1' })
const refuse = (because: string) => tell(order, 'o-1', 'refuse', { because })

describe('fulfilment', () => {
  it('reserves, charges, ships, confirms', () => {
    sagaScenario(fulfilment)
      .given(placed)
      .expectSent(tell(stock, 'lamp', 'reserve', { order: 'o-1', pieces: 2 }))
      .given(reserved)
      .expectSent(charge)
      .given(charged)
      .expectSent(tell(shipment, 'o-1', 'send', { article: 'lamp' }))
      .given({ type: 'shipment.Sent', stream: 'o-1', data: { article: 'lamp' } })
      .expectSent(
        tell(stock, 'lamp', 'take', { order: 'o-1' }),
        tell(order, 'o-1', 'confirm', { shipment: 'o-1' }),
      )
      .expectEnded()
  })

  it('has nothing to undo when pieces are missing', () => {
    sagaScenario(fulfilment)
      .given(placed)
      .given({ type: 'stock.Short', stream: 'lamp', data: { order: 'o-1', missing: 1 } })
      .expectSent(refuse('1 pieces are missing'))
      .expectEnded()
  })

  it('releases the pieces when the payment is declined', () => {
    sagaScenario(fulfilment)
      .given(placed, reserved)
      .given({ type: 'payment.Declined', stream: 'o-1', data: { because: 'over the limit' } })
      .expectSent(release, refuse('over the limit'))
      .expectEnded()
  })

  it('refunds, then releases, when nothing can be shipped', () => {
    sagaScenario(fulfilment)
      .given(placed, reserved, charged)
      .given({ type: 'shipment.Impossible', stream: 'o-1', data: { because: 'no carrier' } })
      .expectSent(refund, release, refuse('no carrier'))
      .expectEnded()
  })

  it('undoes what was done by then when a day is over', () => {
    sagaScenario(fulfilment)
      .given(placed, reserved)
      .advance({ hours: 23 })
      .expectNothingSent()
      .advance({ hours: 1 })
      .expectSent(release, refuse('not decided in 24 hours'))
      .expectEnded()
  })

  it('ignores what comes after its end', () => {
    sagaScenario(fulfilment)
      .given(placed, { type: 'stock.Short', stream: 'lamp', data: { order: 'o-1', missing: 1 } })
      .given(charged)
      .expectNothingSent()
      .expectIgnored(1)
  })
})

describe('the stock of an article', () => {
  const received = { type: 'Received', data: { pieces: 3 } } as const

  it('is reserved as far as it goes', () => {
    scenario(stock)
      .given([received])
      .when('reserve', { order: 'o-1', pieces: 2 })
      .expectEvents([{ type: 'Reserved', data: { order: 'o-1', pieces: 2 } }])
      .when('reserve', { order: 'o-2', pieces: 2 })
      .expectEvents([{ type: 'Short', data: { order: 'o-2', missing: 1 } }])
  })

  it('is free again when it is released, and gone when it is taken', () => {
    scenario(stock)
      .given([received, { type: 'Reserved', data: { order: 'o-1', pieces: 2 } }])
      .when('release', { order: 'o-1' })
      .expectEvents([{ type: 'Released', data: { order: 'o-1' } }])
      .expectState({ pieces: 3, reserved: {} })
      .when('take', { order: 'o-1' })
      .expectRejection('not reserved')
  })
})

describe('a payment', () => {
  it('is made once, and given back once', () => {
    scenario(payment)
      .when('charge', { cents: 5_000 })
      .expectEvents([{ type: 'Charged', data: { cents: 5_000 } }])
      .when('charge', { cents: 5_000 })
      .expectRejection('already decided')
      .when('refund', { cents: 5_000 })
      .expectEvents([{ type: 'Refunded', data: { cents: 5_000 } }])
      .when('refund', { cents: 5_000 })
      .expectRejection('nothing to refund')
  })

  it('is declined over the limit', () => {
    scenario(payment)
      .when('charge', { cents: LIMIT_CENTS + 1 })
      .expectEvents([{ type: 'Declined', data: { because: 'over the limit' } }])
  })
})

describe('the overview', () => {
  it('says why an order was refused', async () => {
    await projectionScenario(overview)
      .given([placed, { type: 'order.Refused', stream: 'o-1', data: { because: 'no carrier' } }])
      .expectRows('orders', [
        { id: 'o-1', article: 'lamp', cents: 5_000, state: 'refused: no carrier' },
      ])
  })
})
