/**
 * Traffic for a demonstration: customers apply, employees work on it, about as often with each end
 * as at the real bank.
 */
import type { Application, DemoTools } from 'millrace'
import type { loan } from './loan.ts'

type Bank = Pick<Application<{ loan: typeof loan }, Record<never, never>>, 'loan'>

const CUSTOMERS_AT_ONCE = 8
const PAUSE_MS = 40
/** Shares of the real log: declined at once, cancelled or declined later, the rest approved. */
const DECLINED_AT_ONCE = 0.44
const DECLINED_LATER = 0.15
const CANCELLED = 0.22

/** Runs until the signal fires. */
export async function demo(bank: Bank, tools: DemoTools): Promise<void> {
  const customers = Array.from({ length: CUSTOMERS_AT_ONCE }, async () => {
    while (!tools.signal.aborted) await oneApplication(bank, tools)
  })
  await Promise.all(customers)
}

async function oneApplication(bank: Bank, { signal, random, pause }: DemoTools): Promise<void> {
  const loan = bank.loan(`demo-${Math.floor(random() * 2 ** 40).toString(36)}`)
  const by = `employee-${1 + Math.floor(random() * 20)}`
  const item = 'check the application'
  const fate = random()
  const amount = 1000 * (1 + Math.floor(random() * 50))
  const early = fate < DECLINED_AT_ONCE
  const later = fate < DECLINED_AT_ONCE + DECLINED_LATER
  const steps = [
    () => loan.submit({ amount, by: 'website' }),
    () => loan.submitPart({ by: 'website' }),
    ...(early
      ? [() => loan.decline({ by })]
      : [
          () => loan.preAccept({ by }),
          () => loan.scheduleWork({ item }),
          () => loan.startWork({ item, by }),
          () => loan.accept({ by }),
          () => loan.selectOffer({ by }),
          () => loan.finalize({ by }),
          () => loan.createOffer({ by }),
          () => loan.sendOffer({ by }),
          () => loan.completeWork({ item, by }),
          ...(later
            ? [() => loan.decline({ by })]
            : fate < DECLINED_AT_ONCE + DECLINED_LATER + CANCELLED
              ? [() => loan.cancel({ by })]
              : [
                  () => loan.receiveOffer({ by }),
                  () => loan.acceptOffer({ by }),
                  () => loan.approve({ by }),
                  () => loan.register({ by }),
                  () => loan.activate({ by }),
                ]),
        ]),
  ]
  for (const step of steps) {
    if (signal.aborted) return
    const outcome = await step()
    if (!outcome.ok) throw new Error(`the demonstration was refused: ${JSON.stringify(outcome)}`)
    await pause(PAUSE_MS * random())
  }
}
