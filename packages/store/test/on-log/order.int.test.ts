// Order across buckets as others see it while it happens: a reader whose log looks at partitions one
// after the other, as any log does, only slower; so it meets effects whose cause it has just missed.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { openEngine } from '@millrace/engine'
import type { FetchRequest, FetchResult, Log } from '@millrace/log'
import { afterAll, expect, it } from 'vitest'
import { openStore } from '../../src/index.ts'

const CHAINS = 300
const BUCKETS = 5

const folder = await mkdtemp(join(tmpdir(), 'millrace-order-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The same log, seen partition by partition, with time between them. */
function slowly(log: Log): Log {
  const fetch = async (request: FetchRequest): Promise<readonly FetchResult[]> => {
    const results: FetchResult[] = []
    for (const position of request.positions) {
      results.push(...(await log.fetch({ ...request, positions: [position], maxWaitMs: 0 })))
      for (let i = 0; i < 5; i += 1) await turn()
    }
    return results
  }
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'fetch') return fetch
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

it('another node is given what caused an event before it, also while both come', async () => {
  await using log = await openEngine({ folder })
  const categories = { thing: { buckets: BUCKETS } }
  await using writer = await openStore({ log, folder: null, categories })
  await using reader = await openStore({ log: slowly(log), folder: null, categories })
  const given: number[] = []
  const done = new AbortController()
  const reading = (async () => {
    const options = { follow: true, signal: done.signal }
    for await (const { events } of reader.readAll(['thing'], options)) {
      for (const { data } of events) given.push((data as { n: number }).n)
      if (given.length === CHAINS) return
    }
  })()
  for (let n = 0; n < CHAINS; n += 1) {
    // Each is written when the one before it is known, mostly in another bucket.
    await writer.append({ category: 'thing', id: `s${n}` }, [{ type: 'Made', data: { n } }])
  }
  await reading
  expect(given).toEqual(Array.from({ length: CHAINS }, (_, n) => n))
})

it('a store opens, and catches up, while others write without a pause', async () => {
  await using log = await openEngine({ folder: join(folder, 'steady') })
  const categories = { thing: { buckets: BUCKETS } }
  await using writer = await openStore({ log, folder: null, categories })
  const stopped = new AbortController()
  const writing = [0, 1, 2, 3].map(async w => {
    for (let n = 0; !stopped.signal.aborted; n += 1) {
      await writer.append({ category: 'thing', id: `${w}-${n}` }, [{ type: 'Made', data: { n } }])
    }
  })
  const reader = await openStore({ log: slowly(log), folder: null, categories })
  for (let n = 0; n < 5; n += 1) await reader.catchUp()
  stopped.abort()
  await Promise.all(writing)
  await reader.close()
})

it('a page of many events makes way for others while it is decoded', async () => {
  await using log = await openEngine({ folder: join(folder, 'turns') })
  const settings = { 'read.turn.ms': 0 }
  const categories = { thing: { buckets: 1 } }
  await using store = await openStore({ log, folder: null, categories, settings })
  const events = Array.from({ length: 100 }, (_, n) => ({ type: 'Made', data: { n } }))
  const streams = Array.from({ length: 10 }, (_, n) => ({ category: 'thing', id: `s${n}` }))
  await Promise.all(streams.map(stream => store.append(stream, events)))
  let turns = 0
  let isRead = false
  const others = (async () => {
    for (; !isRead; turns += 1) await turn()
  })()
  const page = await store.readAll(['thing'])[Symbol.asyncIterator]().next()
  isRead = true
  await others
  expect(page.value?.events.length).toBe(1000)
  expect(turns).toBeGreaterThan(1000 / 32)
})
