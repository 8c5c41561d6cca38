import { send, tell } from 'millrace'
import { projectionScenario, sagaScenario, scenario } from 'millrace/testing'
import { describe, it } from 'vitest'
import { newsletter } from './application.ts'
import { erasure, forget, RETENTION_DAYS } from './erasure.ts'
import { user } from './user.ts'

const ada = { name: 'Ada', email: 'ada@example.org' } as const
const registered = { type: 'Registered', data: ada } as const

describe('a user', () => {
  it('gives a consent once, and takes it back', () => {
    scenario(user)
      .given([registered])
      .when('giveConsent', { purpose: 'newsletter' })
      .expectEvents([{ type: 'ConsentGiven', data: { purpose: 'newsletter' } }])
      .when('giveConsent', { purpose: 'newsletter' })
      .expectNothing()
      .when('withdrawConsent', { purpose: 'newsletter' })
      .expectEvents([{ type: 'ConsentWithdrawn', data: { purpose: 'newsletter' } }])
  })

  it('has no name in its state: no decision needs it, so no snapshot has it', () => {
    scenario(user).given([registered]).expectState({ state: 'active', consents: [] })
  })

  it('is erased once, and then takes nothing', () => {
    scenario(user)
      .given([registered])
      .when('erase', { because: 'asked' })
      .expectEvents([{ type: 'Erased', data: { because: 'asked' } }])
      .when('erase', { because: 'asked' })
      .expectNothing()
      .when('giveConsent', { purpose: 'newsletter' })
      .expectRejection('not active')
  })
})

describe('erasure', () => {
  const begun = sagaScenario(erasure).given({ type: 'user.Registered', stream: '7', data: ada })

  it('waits 30 days after a user has left, then erases', () => {
    begun
      .given({ type: 'user.Left', stream: '7', data: {} })
      .advance({ days: RETENTION_DAYS - 1 })
      .expectNothingSent()
      .advance({ days: 1 })
      .expectSent(tell(user, '7', 'erase', { because: 'retention' }))
  })

  it('destroys the key when a user is erased, at once for who asked for it', () => {
    begun
      .given({ type: 'user.Left', stream: '7', data: {} })
      .given({ type: 'user.Erased', stream: '7', data: { because: 'asked' } })
      .expectSent(send(forget, { user: '7' }))
      .expectEnded()
      .advance({ days: RETENTION_DAYS })
      .expectNothingSent()
  })
})

describe('the newsletter', () => {
  it('goes to who agreed, as long as the consent and the user last', async () => {
    const consent = { purpose: 'newsletter' }
    await projectionScenario(newsletter)
      .given([
        { type: 'user.Registered', stream: '1', data: ada },
        { type: 'user.ConsentGiven', stream: '1', data: consent },
        { type: 'user.Registered', stream: '2', data: ada },
        { type: 'user.ConsentGiven', stream: '2', data: consent },
        { type: 'user.ConsentWithdrawn', stream: '2', data: consent },
        { type: 'user.Registered', stream: '3', data: ada },
        { type: 'user.ConsentGiven', stream: '3', data: consent },
        { type: 'user.Erased', stream: '3', data: { because: 'asked' } },
      ])
      .expectRows('newsletter', [{ id: '1' }])
  })
})
