// Mistakes that the compiler must report, each at the line that is numbered, and at no other.
import type { Log } from '@millrace/log'
import type { EventStore } from '@millrace/store'
import { z } from 'zod'
import {
  after,
  aggregate,
  effect,
  end,
  projection,
  reject,
  saga,
  send,
  startApplication,
  type,
} from '../../../src/index.ts'
import { scenario } from '../../../src/testing/index.ts'

type Loan = { status: 'new' | 'open' | 'closed'; offers: string[] }
const events = {
  Submitted: z.object({ amount: z.number() }),
  Accepted: type<{ offerId: string }>(),
}
const initial = (): Loan => ({ status: 'new', offers: [] })
const commands = {
  submit: z.object({ amount: z.number() }),
  accept: z.object({ offerId: z.string() }),
}

const loan = aggregate('loan', {
  events,
  initial,
  commands,
  evolve: { Submitted: s => s, Accepted: s => s },
  decide: {
    submit: ({ amount }, s, { Submitted }) =>
      s.status === 'new' ? Submitted({ amount }) : reject('no'),
    accept: () => [],
  },
})
const { decide } = loan

export const wrongLiteral = aggregate('loan', {
  events,
  initial,
  commands,
  decide,
  evolve: {
    Submitted: s => ({ ...s, status: 'opne' }), // mistake 1
    Accepted: s => s,
  },
})

export const missingEvolve = aggregate('loan', {
  events,
  initial,
  commands,
  decide,
  evolve: { Submitted: s => s }, // mistake 2
})

export const extraEvolve = aggregate('loan', {
  events,
  initial,
  commands,
  decide,
  evolve: {
    Submitted: s => s,
    Accepted: s => s,
    Acepted: (s: Loan) => s, // mistake 3
  },
})

export const excessProperty = aggregate('loan', {
  events,
  initial,
  commands,
  decide,
  evolve: {
    Submitted: s => ({ ...s, offres: [] }), // mistake 4
    Accepted: s => s,
  },
})

export const wrongEvent = aggregate('loan', {
  events,
  initial,
  commands,
  evolve: { Submitted: s => s, Accepted: s => s },
  decide: {
    submit: ({ amount }, _s, { Submited }) => Submited({ amount }), // mistake 5
    accept: () => [],
  },
})

export const wrongData = aggregate('loan', {
  events,
  initial,
  commands,
  evolve: { Submitted: s => s, Accepted: s => s },
  decide: {
    submit: ({ amount }, s, { Submitted }) => [
      ...(s.status === 'nwe' ? [] : []), // mistake 6a
      Submitted({ amount: `${amount}` }), // mistake 6b
    ],
    accept: () => [],
  },
})

export const missingDecide = aggregate('loan', {
  events,
  initial,
  commands,
  evolve: { Submitted: s => s, Accepted: s => s },
  decide: { submit: () => [] }, // mistake 7
})

export const dateInEvent = aggregate('date', {
  events: { At: z.object({ when: z.date() }) }, // mistake 8
  initial,
  commands: {},
  evolve: { At: s => s },
  decide: {},
})

const tables = type<{ open: { id: string } }>()

export const wrongEventName = projection('p', {
  version: 1,
  from: [loan],
  tables,
  create: db => db.schema.createTable('open'),
  on: {
    'loan.Submited': db => db.deleteFrom('open'), // mistake 9
  },
})

export const wrongColumnType = projection('p', {
  version: 1,
  from: [loan],
  tables,
  create: db => db.schema.createTable('open'),
  on: {
    'loan.Submitted': (db, e) => db.insertInto('open').values({ id: e.data.amount }), // mistake 10
  },
})

const mail = effect('mail', z.object({ loan: z.string() }), async () => {})

export const unknownTimer = saga('s', {
  from: [loan],
  starts: ['loan.Submitted'],
  key: e => e.stream,
  initial: () => ({}),
  on: {
    // biome-ignore format: the compiler names the line where the handler begins
    'loan.Accepted': (_s, e) => [ // mistake 11
      after('remnd', { days: 1 }),
      send(mail, { loan: e.data.offerId }),
    ],
  },
  timers: { remind: () => [end()] },
})

export const unknownStart = saga('s', {
  from: [loan],
  starts: ['loan.Sbmitted'], // mistake 12
  key: e => e.stream,
  initial: () => ({}),
  on: {},
  timers: {},
})

export const wrongEffectData = saga('s', {
  from: [loan],
  starts: ['loan.Submitted'],
  key: e => e.stream,
  initial: () => ({}),
  on: {},
  timers: {
    t: () => [send(mail, { laon: 'x' })], // mistake 13
  },
})

declare const parts: { readonly name: string; readonly log: Log; readonly store: EventStore }

export const reserved = startApplication({
  ...parts,
  // biome-ignore lint/suspicious/noThenProperty: the mistake
  aggregates: { then: loan }, // mistake 14
  projections: {},
})

export async function calls(): Promise<unknown> {
  const bank = await startApplication({ ...parts, aggregates: { loan } })
  await bank.loan('1').submt({ amount: 1 }) // mistake 15
  const outcome = await bank.loan('1').submit({ amount: 1 })
  await bank.loan('1').submit({ amount: '1' }) // mistake 16a
  return outcome.version // mistake 16b
}

export const commandCalledThen = aggregate('loan', {
  events,
  initial,
  // biome-ignore lint/suspicious/noThenProperty: the mistake
  commands: { then: type<void>() }, // mistake 17
  evolve: { Submitted: s => s, Accepted: s => s },
  // biome-ignore lint/suspicious/noThenProperty: the mistake
  decide: { then: () => [] },
})

export const settingsOfNoEvent = aggregate('loan', {
  events,
  initial,
  commands,
  decide,
  evolve: { Submitted: s => s, Accepted: s => s },
  options: {
    on: {
      Sumbitted: {}, // mistake 18
    },
  },
})

export const personalFieldOfNoEvent = aggregate('loan', {
  events,
  initial,
  commands,
  decide,
  evolve: { Submitted: s => s, Accepted: s => s },
  options: {
    on: {
      Submitted: { personal: { fields: ['amuont'] } }, // mistake 19
    },
  },
})

export const scenarios = [
  scenario(loan).when('submti', { amount: 1 }), // mistake 20
  scenario(loan).given([{ type: 'Submitted', data: { amuont: 1 } }]), // mistake 21
  scenario(loan).when('submit', { amount: 1 }).expectRejection('on'), // mistake 22
  scenario(loan).when('submit'), // mistake 23
]
