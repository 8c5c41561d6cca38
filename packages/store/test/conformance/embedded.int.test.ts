// The event store over the embedded engine keeps every promise of the port, with an index on disk
// and with one in memory.
import { mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Engine, openEngine } from '@millrace/engine'
import { afterAll, describe, test } from 'vitest'
import { type StorePlace, storeConformance } from '../../src/conformance/index.ts'
import { openStore } from '../../src/index.ts'

const root = mkdtempSync(join(tmpdir(), 'millrace-store-conformance-'))
let places = 0

afterAll(() => rmSync(root, { recursive: true, force: true }))

/** An engine in a folder of its own, and the indexes of its stores beside it. */
async function placeIn(folder: string, indexes: string | null): Promise<StorePlace> {
  const open = (): Promise<Engine> => openEngine({ folder: join(folder, 'log') })
  let engine = await open()
  const indexOf = (index: number) => (indexes === null ? null : join(indexes, String(index)))
  return {
    open: (options, index) => openStore({ ...options, log: engine, folder: indexOf(index) }),
    log: () => engine,
    restart: async () => {
      await engine.close()
      engine = await open()
    },
    discard: async index => {
      const indexFolder = indexOf(index)
      if (indexFolder !== null) await rm(indexFolder, { recursive: true })
    },
    end: async () => {
      await engine.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const features = {
  onLog: true,
  restarts: true,
  discards: true,
  severalStores: true,
  ownLogs: true,
}

describe('over the embedded engine', () => {
  const place = () => {
    const folder = join(root, String(places++))
    return placeIn(folder, join(folder, 'index'))
  }
  for (const { name, run } of storeConformance({ place, features })) test.concurrent(name, run)
})

describe('over the embedded engine, with its index in memory', () => {
  const place = () => placeIn(join(root, String(places++)), null)
  for (const { name, run } of storeConformance({ place, features })) test.concurrent(name, run)
})
