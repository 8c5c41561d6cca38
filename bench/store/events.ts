// The events that every contender stores: deposits on accounts, about 200 bytes of JSON each, with
// sums that are known beforehand, so that a projection that lost or doubled an event is found out.

/** One deposit. */
export interface Deposited {
  readonly type: 'Deposited'
  readonly data: {
    readonly account: string
    /** In cents. */
    readonly amount: number
    readonly currency: string
    readonly bookedAt: string
    readonly teller: string
    readonly reference: string
    readonly purpose: string
  }
}

const bookedAt = '2026-11-21T08:30:00.000Z'

/** The name of account `n`: also the second part of its stream's name. */
export const accountOf = (n: number): string => `account${String(n).padStart(6, '0')}`

/** Deposit `n` on an account; the amount is a function of `n`. */
export const deposited = (account: string, n: number): Deposited => ({
  type: 'Deposited',
  data: {
    account,
    amount: amountOf(n),
    currency: 'EUR',
    bookedAt,
    teller: 'desk-07',
    reference: `R-${String(n).padStart(10, '0')}`,
    purpose: 'monthly savings, standing order of the first',
  },
})

/** Deposits `from` to `from + count - 1` on an account. */
export const deposits = (account: string, from: number, count: number): Deposited[] =>
  Array.from({ length: count }, (_, i) => deposited(account, from + i))

const amountOf = (n: number): number => (n % 100) + 1

/** The sum of deposits 0 to `count - 1`. */
export function sumOf(count: number): number {
  let sum = 0
  for (let n = 0; n < count; n++) sum += amountOf(n)
  return sum
}

/** The state of an account that all contenders fold its events into. */
export interface Balance {
  readonly deposits: number
  readonly sum: number
}

/** The balance of an account without events. */
export const nothing: Balance = { deposits: 0, sum: 0 }

/** The fold. */
export const evolve = (balance: Balance, event: Deposited): Balance => ({
  deposits: balance.deposits + 1,
  sum: balance.sum + event.data.amount,
})

/** Events of one stream in the projection and rebuild parts. */
export const eventsPerStream = 100

/** Throws when the total over all accounts is not that of deposits 0 to `eventsPerStream - 1` on each. */
export function checkTotal(who: string, events: number, total: Balance): void {
  const sum = (events / eventsPerStream) * sumOf(eventsPerStream)
  if (total.deposits === events && total.sum === sum) return
  throw new Error(
    `${who} projected ${total.deposits} events of sum ${total.sum}, not ${events} of sum ${sum}`,
  )
}

/** Throws when a loaded account is not that of deposits 0 to `events - 1`. */
export function checkLoaded(who: string, events: number, balance: Balance): void {
  if (balance.deposits === events && balance.sum === sumOf(events)) return
  throw new Error(`${who} loaded ${balance.deposits} events of sum ${balance.sum}, not ${events}`)
}
