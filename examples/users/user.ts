/**
 * A user of a service: consent, retention, erasure. Name and address are personal: they are stored
 * sealed with a key of this user's own, and when the key is destroyed nobody reads them again, in no
 * event, snapshot or backup. The stream's id is a number that says nothing about anybody.
 */
import { aggregate, reject } from 'millrace'
import { z } from 'zod'

/** What a user may agree to. */
export const PURPOSES = ['newsletter', 'statistics'] as const
export type Purpose = (typeof PURPOSES)[number]

/** A user as the service decides by. Names are in no state: no decision needs them. */
export type User = {
  readonly state: 'none' | 'active' | 'left' | 'erased'
  readonly consents: readonly Purpose[]
}

const person = z.object({ name: z.string().min(1), email: z.email() })
const purpose = z.object({ purpose: z.enum(PURPOSES) })

export const user = aggregate('user', {
  events: {
    Registered: person,
    EmailChanged: z.object({ email: z.email() }),
    ConsentGiven: purpose,
    ConsentWithdrawn: purpose,
    Left: z.object({}),
    Erased: z.object({ because: z.enum(['asked', 'retention']) }),
  },
  initial: (): User => ({ state: 'none', consents: [] }),
  evolve: {
    Registered: user => ({ ...user, state: 'active' }),
    EmailChanged: user => user,
    ConsentGiven: (user, { purpose }) => ({ ...user, consents: [...user.consents, purpose] }),
    ConsentWithdrawn: (user, { purpose }) => ({
      ...user,
      consents: user.consents.filter(other => other !== purpose),
    }),
    Left: user => ({ ...user, state: 'left', consents: [] }),
    Erased: user => ({ ...user, state: 'erased', consents: [] }),
  },
  commands: {
    register: person,
    changeEmail: z.object({ email: z.email() }),
    giveConsent: purpose,
    withdrawConsent: purpose,
    leave: z.object({}),
    erase: z.object({ because: z.enum(['asked', 'retention']) }),
  },
  decide: {
    register: (data, user, { Registered }) =>
      user.state === 'none' ? Registered(data) : reject('registered already'),
    changeEmail: (data, user, { EmailChanged }) =>
      user.state === 'active' ? EmailChanged(data) : reject('not active'),
    giveConsent: (data, user, { ConsentGiven }) => {
      if (user.state !== 'active') return reject('not active')
      return user.consents.includes(data.purpose) ? [] : ConsentGiven(data)
    },
    withdrawConsent: (data, user, { ConsentWithdrawn }) =>
      user.consents.includes(data.purpose) ? ConsentWithdrawn(data) : [],
    leave: (_, user, { Left }) => (user.state === 'active' ? Left({}) : reject('not active')),
    erase: (data, user, { Erased }) =>
      user.state === 'none' || user.state === 'erased' ? [] : Erased(data),
  },
  options: {
    on: {
      Registered: { personal: { fields: ['name', 'email'] } },
      EmailChanged: { personal: { fields: ['email'] } },
    },
  },
})
