// The suite itself: that no case is kept by a log that does nothing, and that its frame holds.

import type { Log } from '@millrace/log'
import { LogError } from '@millrace/log'
import { describe, expect, it } from 'vitest'
import {
  type ConformanceTime,
  type LogFactory,
  type LogFeatures,
  logConformance,
} from '../../src/log/index.ts'

const ALL: LogFeatures = {
  compactedTopics: true,
  cleansSoon: true,
  singleNode: true,
  durability: true,
  refusesTransactions: true,
  batchesSurviveRestart: true,
  closes: true,
  sessionTimeoutMsMin: 1_000,
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

/** A log that answers every call in the same way, and counts how often it was closed. */
function uniformLog(answer: () => Promise<unknown>, closed: () => void = () => undefined): Log {
  const groups = new Proxy({}, { get: () => answer })
  const known: Record<string, unknown> = {
    id: 'uniform',
    groups,
    close: async () => closed(),
  }
  // Without `then`, or awaiting the log would call it.
  const get = (_: object, key: string | symbol) =>
    key === 'then' ? undefined : (known[String(key)] ?? answer)
  return new Proxy({}, { get }) as Log
}

const factoryOf = (open: () => Log, features: LogFeatures = ALL): LogFactory => ({
  open: async () => open(),
  reopen: async log => log,
  features,
  time: leapingTime(),
})

/** Names of the cases that a log passes. */
async function passed(factory: LogFactory): Promise<string[]> {
  const names: string[] = []
  for (const { name, run } of logConformance(factory)) {
    try {
      await run()
      names.push(name)
    } catch {
      // Expected: the log under test keeps no promise.
    }
  }
  return names
}

/** Promises that a log keeps by being a constant. */
const KEPT_BY_CONSTANTS = ['the log keeps its id over a restart']

describe('the conformance suite', () => {
  it('has at least 90 cases, each with a name of its own', () => {
    const names = logConformance(factoryOf(() => uniformLog(async () => []))).map(c => c.name)
    expect(names.length).toBeGreaterThanOrEqual(90)
    expect(new Set(names).size).toBe(names.length)
  })

  it('passes no log that refuses everything', async () => {
    const refusing = () => uniformLog(() => Promise.reject(new LogError('UNKNOWN_SERVER_ERROR')))
    expect(await passed(factoryOf(refusing))).toEqual(KEPT_BY_CONSTANTS)
  })

  it('passes no log that answers nothing', async () => {
    expect(await passed(factoryOf(() => uniformLog(async () => [])))).toEqual(KEPT_BY_CONSTANTS)
    expect(await passed(factoryOf(() => uniformLog(async () => undefined)))).toEqual(
      KEPT_BY_CONSTANTS,
    )
  })

  it('leaves out what an engine does not claim', () => {
    const open = () => uniformLog(async () => [])
    const all = logConformance(factoryOf(open)).length
    const none: LogFeatures = {
      compactedTopics: false,
      cleansSoon: false,
      singleNode: false,
      durability: false,
      refusesTransactions: false,
      batchesSurviveRestart: false,
      closes: false,
      sessionTimeoutMsMin: 1_000,
    }
    expect(logConformance(factoryOf(open, none)).length).toBeLessThan(all)
    const { reopen: _, ...remote } = factoryOf(open)
    const names = logConformance(remote).map(c => c.name)
    expect(names.length).toBeLessThan(all)
    expect(names.filter(name => name.includes('restart'))).toEqual([])
  })

  it('closes the log of a case that failed', async () => {
    let closed = 0
    const log = uniformLog(
      () => Promise.reject(new LogError('UNKNOWN_SERVER_ERROR')),
      () => {
        closed++
      },
    )
    const [first] = logConformance(factoryOf(() => log))
    await expect(first?.run()).rejects.toThrow(LogError)
    expect(closed).toBe(1)
  })
})
