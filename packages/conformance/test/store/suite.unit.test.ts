// The suite itself: that no case is kept by a store that does nothing, and that its frame holds.
import type { Log } from '@millrace/log'
import type { AppendResult, EventPage, EventStore } from '@millrace/store'
import { STORE_ERRORS, StoreError, type StoreErrorCode } from '@millrace/store'
import { describe, expect, it } from 'vitest'
import {
  type ConformanceTime,
  type StoreFactory,
  type StoreFeatures,
  storeConformance,
} from '../../src/store/index.ts'

const ALL: StoreFeatures = {
  onLog: true,
  restarts: true,
  discards: true,
  severalStores: true,
  ownLogs: true,
}

const NONE: StoreFeatures = {
  onLog: false,
  restarts: false,
  discards: false,
  severalStores: false,
  ownLogs: false,
}

/** Time that passes only while somebody sleeps. */
function leapingTime(): ConformanceTime {
  let now = 1_800_000_000_000
  return {
    now: () => now,
    sleep: async ms => {
      now += ms
    },
  }
}

/** A failed answer; nobody need look at it, as when it is taken for an iterable. */
function rejected(code: StoreErrorCode): Promise<never> {
  const answer = Promise.reject(new StoreError(code))
  answer.catch(() => undefined)
  return answer
}

/** Answers every call that is not known in the same way. */
function uniform<T>(known: Readonly<Record<string, unknown>>, answer: () => unknown): T {
  // Without `then`, or awaiting it would call it.
  const get = (_: object, key: string | symbol) =>
    key === 'then' ? undefined : (known[String(key)] ?? answer)
  return new Proxy({}, { get }) as T
}

const storeOf = (answer: () => unknown, known: Record<string, unknown> = {}): EventStore =>
  uniform(
    { id: 'uniform', categories: ['loan', 'course'], close: async () => {}, ...known },
    answer,
  )

const factoryOf = (open: () => EventStore, features: StoreFeatures = ALL): StoreFactory => ({
  place: async () => ({
    open: async () => open(),
    log: () => uniform<Log>({ id: 'uniform' }, async () => []),
    restart: async () => {},
    discard: async () => {},
    end: async () => {},
  }),
  features,
  time: leapingTime(),
})

/** Names of the cases that a store passes. */
async function passed(open: () => EventStore): Promise<string[]> {
  const names: string[] = []
  for (const { name, run } of storeConformance(factoryOf(open))) {
    try {
      await run()
      names.push(name)
    } catch {
      // Expected: the store under test keeps no promise.
    }
  }
  return names
}

/** A store that takes everything and keeps nothing: plausible answers about an empty world. */
function forgetful(): EventStore {
  const checkpoint = 'nowhere'
  const end = { version: 0, checkpoint }
  const none = async function* () {}
  const page: EventPage = { events: [], checkpoint, caughtUp: true }
  const state = {
    stream: { tenant: '', category: 'loan', id: 'a' },
    version: 0,
    firstVersion: 1,
    createdAt: -1,
    updatedAt: -1,
    archived: false,
    tombstoned: false,
    bucket: 0,
    checkpoint,
  }
  const appended = async (_: unknown, events: readonly unknown[]): Promise<AppendResult> => ({
    ok: true,
    version: events.length,
    firstVersion: 1,
    appendId: 'append',
    duplicate: false,
    bucket: 0,
    firstOffset: 0,
    lastOffset: events.length - 1,
    checkpoint,
  })
  const folded = async (_: unknown, fold: { initial: () => unknown }) => ({
    ...end,
    state: fold.initial(),
    stateVersion: 0,
    snapshotVersion: 0,
    archived: false,
    tombstoned: false,
  })
  return storeOf(async () => state, {
    append: appended,
    aggregate: folded,
    event: async () => undefined,
    read: () => ({
      all: async () => ({ ...end, events: [] }),
      end: async () => end,
      [Symbol.asyncIterator]: none,
    }),
    follow: none,
    streams: none,
    readAll: async function* () {
      yield page
    },
    search: async function* () {
      yield page
    },
    now: async () => checkpoint,
    at: async () => checkpoint,
    reached: async () => {},
    describe: async () => [],
  })
}

describe('the conformance suite', () => {
  it('has at least 120 cases for every store, each with a name of its own', () => {
    const names = storeConformance(factoryOf(forgetful, NONE)).map(c => c.name)
    expect(names.length).toBeGreaterThanOrEqual(120)
    const all = storeConformance(factoryOf(forgetful)).map(c => c.name)
    expect(new Set(all).size).toBe(all.length)
  })

  it.each(Object.keys(STORE_ERRORS) as StoreErrorCode[])(
    'passes no store that refuses everything with %s',
    async code => {
      const refusing = () =>
        storeOf(() => {
          throw new StoreError(code)
        })
      expect(await passed(refusing)).toEqual([])
      const rejecting = () => storeOf(() => rejected(code))
      expect(await passed(rejecting)).toEqual([])
    },
  )

  it('passes no store that answers nothing', async () => {
    expect(await passed(() => storeOf(async () => undefined))).toEqual([])
    expect(await passed(() => storeOf(async () => []))).toEqual([])
    expect(await passed(() => storeOf(() => undefined))).toEqual([])
  })

  it('passes no store that takes everything and keeps nothing', async () => {
    expect(await passed(forgetful)).toEqual([])
  })

  it('leaves out what a store does not claim, and nothing else', () => {
    const all = storeConformance(factoryOf(forgetful)).length
    for (const feature of Object.keys(ALL) as (keyof StoreFeatures)[]) {
      const without = storeConformance(factoryOf(forgetful, { ...ALL, [feature]: false }))
      expect(without.length, feature).toBeLessThan(all)
    }
    expect(storeConformance(factoryOf(forgetful, NONE)).length).toBeGreaterThan(all / 2)
  })

  it('fails the cases of a feature that is claimed and not there', async () => {
    const { place, ...factory } = factoryOf(forgetful)
    const bare: StoreFactory = {
      ...factory,
      place: async () => ({ open: (await place()).open, end: async () => {} }),
    }
    const needs = new Set(storeConformance(factoryOf(forgetful, NONE)).map(c => c.name))
    for (const { name, run } of storeConformance(bare)) {
      if (!needs.has(name)) await expect(run(), name).rejects.toThrow()
    }
  })

  it('closes the stores and ends the place of a case that failed', async () => {
    const ended: string[] = []
    const open = () =>
      storeOf(() => rejected('STORE_FAILED'), {
        close: async () => void ended.push('store'),
      })
    const factory = factoryOf(open)
    const [first] = storeConformance({
      ...factory,
      place: async () => ({
        ...(await factory.place()),
        end: async () => void ended.push('place'),
      }),
    })
    await expect(first?.run()).rejects.toThrow(StoreError)
    expect(ended).toEqual(['store', 'place'])
  })
})
