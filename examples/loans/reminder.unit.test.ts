// The saga on a clock of its own: days pass in no time.
import { send } from 'millrace'
import { sagaScenario } from 'millrace/testing'
import { describe, it } from 'vitest'
import { ANSWER_DAYS, letter, reminder } from './reminder.ts'

const sent = { type: 'loan.OfferSent', stream: '173688', data: {} } as const
const answered = { type: 'loan.OfferSentBack', stream: '173688', data: {} } as const

describe('the reminder', () => {
  it('writes one letter when an offer has had no answer', () => {
    sagaScenario(reminder)
      .given(sent)
      .expectTimers({ 'no-answer': { days: ANSWER_DAYS } })
      .advance({ days: ANSWER_DAYS - 1 })
      .expectNothingSent()
      .advance({ days: 1 })
      .expectSent(send(letter, { loan: '173688' }))
      .advance({ days: 100 })
      .expectNothingSent()
  })

  it('writes none to who has answered', () => {
    sagaScenario(reminder)
      .given(sent)
      .advance({ days: 3 })
      .given(answered)
      .advance({ days: 100 })
      .expectNothingSent()
  })

  it('begins to wait again with the next offer', () => {
    sagaScenario(reminder)
      .given(sent, answered)
      .advance({ days: 3 })
      .given(sent)
      .expectTimers({ 'no-answer': { days: ANSWER_DAYS } })
  })

  it('is over when the application is', () => {
    sagaScenario(reminder)
      .given(sent, { type: 'loan.Declined', stream: '173688', data: {} })
      .expectEnded()
      .advance({ days: 100 })
      .expectNothingSent()
  })
})
