// The event store over the embedded engine keeps every promise of the port: with an index on disk and
// the default settings, and with one in memory and every bound as low as it may be.
import { mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Engine, openEngine } from '@millrace/engine'
import { openStore } from '@millrace/store'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type StorePlace, storeConformance } from '../../src/store/index.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-store-conformance-'))
let places = 0

afterAll(() => rmSync(root, { recursive: true, force: true }))

/** An engine in a folder of its own, and the indexes of its stores beside it. */
async function ownPlace(): Promise<StorePlace> {
  const folder = join(root, String(places++))
  const indexOf = (index: number) => join(folder, `index-${index}`)
  const open = (): Promise<Engine> => openEngine({ folder: join(folder, 'log') })
  let engine = await open()
  return {
    open: (options, index) => openStore({ ...options, log: engine, folder: indexOf(index) }),
    log: () => engine,
    restart: async () => {
      await engine.close()
      engine = await open()
    },
    discard: index => rm(indexOf(index), { recursive: true }),
    end: async () => {
      await engine.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

describe('over the embedded engine', () => {
  const features = {
    onLog: true,
    restarts: true,
    discards: true,
    severalStores: true,
    ownLogs: true,
  }
  for (const { name, run } of storeConformance({ place: ownPlace, features })) {
    test.concurrent(name, run)
  }
})

/** Pages, batches, caches and fetches that are full at once, and indexes written all the time. */
const LOWEST = {
  'append.batch.bytes': 4096,
  'append.rounds.max': 8,
  'index.flush.bytes': 65_536,
  'index.flush.ms': 1,
  'index.page.bytes': 1024,
  'read.page.bytes': 65_536,
  'snapshot.cache': 0,
  'streams.cache': 100,
  'tail.fetch.bytes': 65_536,
}

describe('over one embedded engine for all, with indexes in memory and low bounds', () => {
  let engine: Engine
  beforeAll(async () => {
    engine = await openEngine({ folder: join(root, 'shared') })
  })
  afterAll(() => engine.close())

  const place = async (): Promise<StorePlace> => ({
    open: options =>
      openStore({
        ...options,
        settings: { ...LOWEST, ...options.settings },
        log: engine,
        folder: null,
      }),
    log: () => engine,
    // What is in memory went with the store that was closed.
    discard: async () => {},
    end: async () => {},
  })
  const features = {
    onLog: true,
    restarts: false,
    discards: true,
    severalStores: true,
    ownLogs: false,
  }
  for (const { name, run } of storeConformance({ place, features })) test.concurrent(name, run)
})
