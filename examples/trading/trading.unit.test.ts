import { projectionScenario, scenario } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { audit, positions } from './application.ts'
import { tradeOrder } from './order.ts'

const submission = {
  account: 'a-1',
  symbol: 'ACME',
  side: 'buy',
  quantity: 100,
  limit: 1_250,
} as const
const submitted = { type: 'Submitted', data: submission } as const
const part = { executionId: 'x-1', quantity: 60, price: 1_240 } as const

describe('an order', () => {
  it('is executed in parts, and completed by the last one', () => {
    scenario(tradeOrder)
      .given([submitted])
      .when('execute', part)
      .expectEvents([{ type: 'Executed', data: part }])
      .when('execute', { executionId: 'x-2', quantity: 40, price: 1_250 })
      .expectEvents([
        { type: 'Executed', data: { executionId: 'x-2', quantity: 40, price: 1_250 } },
        { type: 'Completed', data: {} },
      ])
  })

  it('counts an execution once, however often the exchange tells it', () => {
    scenario(tradeOrder)
      .given([submitted, { type: 'Executed', data: part }])
      .when('execute', part)
      .expectNothing()
  })

  it('is never executed beyond its quantity', () => {
    scenario(tradeOrder)
      .given([submitted, { type: 'Executed', data: part }])
      .when('execute', { executionId: 'x-2', quantity: 41, price: 1_250 })
      .expectRejection({ code: 'too many', left: 40 })
  })

  it('takes nothing when it is cancelled', () => {
    scenario(tradeOrder)
      .given([submitted])
      .when('cancel', { because: 'the client asked' })
      .expectEvents([{ type: 'Cancelled', data: { because: 'the client asked' } }])
      .when('execute', part)
      .expectRejection({ code: 'not open', state: 'cancelled' })
  })

  it('is refused before anything is decided when it is none', () => {
    scenario(tradeOrder)
      .when('submit', { ...submission, symbol: 'acme!' })
      .expectError('INVALID_COMMAND')
  })
})

describe('the read models', () => {
  const given = [
    { type: 'trade-order.Submitted', stream: 'o-1', data: submission, time: 1_000 },
    { type: 'trade-order.Executed', stream: 'o-1', data: part, time: 2_000 },
    {
      type: 'trade-order.Submitted',
      stream: 'o-2',
      data: { ...submission, side: 'sell' },
      time: 3_000,
    },
    {
      type: 'trade-order.Executed',
      stream: 'o-2',
      data: { executionId: 'x-9', quantity: 10, price: 1_300 },
      time: 4_000,
    },
  ] as const

  it('sum what an account holds and what it paid', async () => {
    await projectionScenario(positions)
      .given(given)
      .expectRows('positions', [
        { account: 'a-1', symbol: 'ACME', pieces: 50, cents: -60 * 1_240 + 10 * 1_300 },
      ])
  })

  it('have every event in the audit, with its time and data', async () => {
    const { audit: rows } = await projectionScenario(audit).given(given).rows()
    const seen = rows.map(({ order, version, time, what, data }) => ({
      order,
      version,
      time,
      what,
      data: JSON.parse(data) as unknown,
    }))
    seen.sort((a, b) => a.time - b.time)
    const expected = given.map(({ type, stream, data, time }, index) => ({
      order: stream,
      version: 1 + (index % 2),
      time,
      what: type,
      data,
    }))
    expect(seen).toEqual(expected)
  })
})
