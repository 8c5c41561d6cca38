// The store under measurement: on the embedded log, in the process of the application, with its
// settings as they come, as the product is used without a server.
import { join } from 'node:path'
import { type EventStore, openStore, type StoreOptions } from '@millrace/store'
import { type Log, openEmbedded } from 'millrace'
import type { Place } from './contenders.ts'
import { type Deposited, deposits } from './events.ts'

/** The category of all streams. */
export const category = 'account'

const seedBatch = 500

/** An open store and the log that it is on. */
export interface Opened extends AsyncDisposable {
  readonly log: Log
  readonly store: EventStore
}

/** Opens the store of a place. Its types of event are not declared unless told. */
export async function open(
  { folder }: Place,
  categories: StoreOptions['categories'] = { [category]: {} },
): Promise<Opened> {
  const log = await openEmbedded({ data: join(folder, 'log') })
  const store = await openStore({ log, folder: join(folder, 'index'), categories })
  return {
    log,
    store,
    [Symbol.asyncDispose]: async () => {
      await store.close()
      await log.close()
    },
  }
}

/** Appends and returns the stream's version; throws when another writer was there. */
export async function appendTo(
  store: EventStore,
  account: string,
  expectedVersion: number,
  events: readonly Deposited[],
): Promise<number> {
  const result = await store.append({ category, id: account }, events, { expectedVersion })
  if (!result.ok) throw new Error(`a conflict on ${account}, which has one writer`)
  return result.version
}

/** Appends deposits `from` to `to - 1` to one account. */
export async function seed(
  store: EventStore,
  account: string,
  from: number,
  to: number,
): Promise<void> {
  for (let n = from; n < to; n += seedBatch) {
    await appendTo(store, account, n, deposits(account, n, Math.min(seedBatch, to - n)))
  }
}
