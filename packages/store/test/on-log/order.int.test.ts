// Order across buckets as others see it while it happens: a reader whose log looks at partitions one
// after the other, as any log does, only slower; so it meets effects whose cause it has just missed.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { openEngine } from '@millrace/engine'
import type { FetchRequest, FetchResult, Log } from '@millrace/log'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
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

/** Gives a value, and how many turns of the event loop it took. */
async function turnsOf<T>(
  work: Promise<T>,
): Promise<{ readonly value: T; readonly turns: number }> {
  let turns = 0
  let isDone = false
  const others = (async () => {
    for (; !isDone; turns += 1) await turn()
  })()
  const value = await work
  isDone = true
  await others
  return { value, turns }
}

describe('reads make way for others', () => {
  const EVENTS = 1000
  const RARE_EACH = 100
  const settings = { 'read.turn.ms': 0 }
  const categories = { thing: { buckets: 3 } }
  const filter = { types: ['Rare'] }

  /** A store with many events in ten streams, few of which are rare. */
  async function filled(name: string) {
    const log = await openEngine({ folder: join(folder, name) })
    const store = await openStore({ log, folder: null, categories, settings })
    onTestFinished(async () => {
      await store.close()
      await log.close()
    })
    const events = Array.from({ length: EVENTS / 10 }, (_, n) => ({
      type: n % RARE_EACH === 50 ? 'Rare' : 'Made',
      data: { n },
    }))
    for (let n = 0; n < 10; n += 1) await store.append({ category: 'thing', id: `s${n}` }, events)
    return store
  }

  it('while a page of many events is decoded', async () => {
    const store = await filled('all')
    const reading = store.readAll(['thing'])[Symbol.asyncIterator]().next()
    const { value, turns } = await turnsOf(reading)
    expect(value.value?.events.length).toBe(EVENTS)
    expect(turns).toBeGreaterThan(EVENTS / 32)
  })

  it('while few events are looked for among many', async () => {
    const store = await filled('none')
    const reading = store
      .readAll(['thing'], { filter: { types: ['None'] } })
      [Symbol.asyncIterator]()
    const { value, turns } = await turnsOf(reading.next())
    expect(value.value?.events).toEqual([])
    expect(turns).toBeGreaterThan(EVENTS / 128)
  })

  it('and give each event once, from any checkpoint on', async () => {
    const store = await filled('rare')
    const ids: string[] = []
    let after: string | undefined
    for (let caughtUp = false; !caughtUp; ) {
      const options = { filter, pageSize: 1, ...(after === undefined ? {} : { after }) }
      const page = await store.readAll(['thing'], options)[Symbol.asyncIterator]().next()
      if (page.done === true) break
      ids.push(...page.value.events.map(({ stream }) => stream))
      after = page.value.checkpoint
      caughtUp = page.value.caughtUp
    }
    expect(ids.toSorted()).toEqual(Array.from({ length: 10 }, (_, n) => `s${n}`))
  })
})
