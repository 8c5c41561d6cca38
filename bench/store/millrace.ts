// Millrace's event store, embedded:
// - appends by `append` with the expected version, answered when they are synced and judged;
// - loading by `aggregate`; with a snapshot, the last 100 events came after it (half of the 200
//   after which there would be a new one);
// - projections into SQLite and their rebuild: see millrace-projection.ts.
import type { Fold, RecordedEvent } from '@millrace/store'
import type { Contender, Measure } from './contenders.ts'
import {
  accountOf,
  type Balance,
  checkLoaded,
  type Deposited,
  deposits,
  evolve,
  nothing,
} from './events.ts'
import { closedLoop, repeatLoads } from './loops.ts'
import {
  projectionByBatches,
  projectionByEvents,
  rebuildIntoSqlite,
} from './millrace-projection.ts'
import { appendTo, category, open, seed } from './millrace-store.ts'

const eventsAfterSnapshot = 100

const appends: Measure<'appends'> = async (place, { writers, eventsPerAppend, seconds }) => {
  await using opened = await open(place)
  const { store } = opened
  const versions = new Array<number>(writers).fill(0)
  const figures = await closedLoop(writers, seconds, async writer => {
    const account = accountOf(writer)
    const version = versions[writer] ?? 0
    const events = deposits(account, version, eventsPerAppend)
    versions[writer] = await appendTo(store, account, version, events)
  })
  for (const [writer, version] of versions.entries()) {
    const state = await store.state({ category, id: accountOf(writer) })
    if (state.version !== version) throw new Error('Millrace does not hold all events')
  }
  return figures
}

const fold: Fold<Balance> = {
  initial: () => nothing,
  evolve: (balance, event: RecordedEvent) => evolve(balance, event as unknown as Deposited),
}

const foldWithSnapshot: Fold<Balance> = { ...fold, snapshot: { name: 'balance', hash: '1' } }

const loading: Measure<'loading'> = async (place, { events, snapshot, seconds }) => {
  const account = accountOf(1)
  const stream = { category, id: account }
  const snapshotVersion = snapshot ? events - eventsAfterSnapshot : 0
  const chosen = snapshot ? foldWithSnapshot : fold
  {
    await using opened = await open(place)
    await seed(opened.store, account, 0, events - eventsAfterSnapshot)
    await opened.store.aggregate(stream, chosen)
    await seed(opened.store, account, events - eventsAfterSnapshot, events)
  }
  await using opened = await open(place)
  return await repeatLoads(seconds, async () => {
    const loaded = await opened.store.aggregate(stream, chosen)
    checkLoaded('Millrace', events, loaded.state)
    if (loaded.snapshotVersion !== snapshotVersion) {
      throw new Error(`folded from version ${loaded.snapshotVersion}, not ${snapshotVersion}`)
    }
  })
}

/** Millrace, embedded. */
export const millrace: Contender = {
  name: 'millrace',
  postgres: false,
  version: async () => undefined,
  measures: {
    appends,
    loading,
    projection: projectionByEvents,
    'projection-batch': projectionByBatches,
    rebuild: rebuildIntoSqlite,
  },
}
