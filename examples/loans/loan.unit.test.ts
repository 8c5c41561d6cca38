// What a loan may do and what it refuses: given what has happened, when a command comes, then these
// events, or this reason.
import { scenario } from 'millrace/testing'
import { describe, it } from 'vitest'
import { loan } from './loan.ts'

const submitted = [
  { type: 'Submitted', data: { amount: 20_000 } },
  { type: 'PartlySubmitted', data: {} },
] as const
const accepted = [
  ...submitted,
  { type: 'PreAccepted', data: {} },
  { type: 'Accepted', data: {} },
] as const
const sent = [
  ...accepted,
  { type: 'OfferSelected', data: {} },
  { type: 'OfferCreated', data: {} },
  { type: 'OfferSent', data: {} },
] as const

describe('a loan', () => {
  it('begins with its submission', () => {
    scenario(loan)
      .when('submit', { amount: 20_000, by: '112' })
      .expectEvents([{ type: 'Submitted', data: { amount: 20_000, by: '112' } }])
  })

  it('is submitted once', () => {
    scenario(loan)
      .given([...submitted])
      .when('submit', { amount: 1 })
      .expectRejection({ code: 'already submitted' })
  })

  it('takes no step before the one that it follows', () => {
    scenario(loan)
      .given([...submitted])
      .when('finalize', {})
      .expectRejection({ code: 'not now', stage: 'partlySubmitted', end: 'open', offer: 'none' })
  })

  it('may be declined from then on that it is complete, and only once', () => {
    scenario(loan)
      .given([...submitted])
      .when('decline', { by: '112' })
      .expectEvents([{ type: 'Declined', data: { by: '112' } }])
      .when('decline', {})
      .expectRejection({
        code: 'not now',
        stage: 'partlySubmitted',
        end: 'declined',
        offer: 'none',
      })
  })

  it('gets a second offer in the place of the one that was sent', () => {
    scenario(loan)
      .given([...sent])
      .when('cancelOffer', {})
      .expectEvents([{ type: 'OfferCancelled', data: {} }])
      .when('selectOffer', {})
      .expectEvents([{ type: 'OfferSelected', data: {} }])
  })

  it('is approved, registered and activated in any order, each once', () => {
    scenario(loan)
      .given([...sent, { type: 'Finalized', data: {} }])
      .when('activate', {})
      .expectEvents([{ type: 'Activated', data: {} }])
      .when('approve', {})
      .expectEvents([{ type: 'Approved', data: {} }])
      .when('register', {})
      .expectEvents([{ type: 'Registered', data: {} }])
      .when('approve', {})
      .expectRejection({ code: 'not now', stage: 'finalized', end: 'approved', offer: 'sent' })
  })

  it('knows its work: nobody completes what was never scheduled', () => {
    scenario(loan)
      .given([...submitted, { type: 'WorkScheduled', data: { item: 'check' } }])
      .when('completeWork', { item: 'call' })
      .expectRejection({ code: 'no such work' })
      .when('completeWork', { item: 'check', by: '112' })
      .expectEvents([{ type: 'WorkCompleted', data: { item: 'check', by: '112' } }])
  })
})
