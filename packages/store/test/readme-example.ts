import type { Log } from '@millrace/log'
import { openStore } from '@millrace/store'

export async function example(log: Log, folder: string | null): Promise<number> {
  await using store = await openStore({ log, folder, categories: { account: {} } })
  const anna = { category: 'account', id: 'anna' }
  await store.append(anna, [{ type: 'Deposited', data: { cents: 500 } }], {
    expectedVersion: 'absent',
    commandId: 'deposit-1',
  })
  const balance = await store.aggregate(anna, {
    initial: () => 0,
    evolve: (cents, event) => cents + (event.data as { cents: number }).cents,
  })
  const result = await store.append(anna, [{ type: 'Withdrawn', data: { cents: -200 } }], {
    expectedVersion: balance.version,
  })
  if (!result.ok) return result.events.length // somebody was first: what came in between
  for await (const { events } of store.readAll(['account'])) return events.length
  return 0
}
