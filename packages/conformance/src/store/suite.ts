/**
 * The frame of the conformance suite: what a case is, what it is given, what a store states of
 * itself.
 *
 * A case takes a place of its own (data that nobody else touches), opens stores on it, and keeps one
 * promise of the port. What a store may do differently is asked for by a feature; a feature that is
 * claimed and not there fails the case. A case that has not ended after `CASE_MS_MAX` fails.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@millrace/log'
import type { EventStore, StoreOptions } from '@millrace/store'
import { Scene } from './scene.ts'

/** The longest that one case may take. */
export const CASE_MS_MAX = 60_000

/** What a store is opened with, but for the medium: that is the factory's. */
export type PlaceOptions = Omit<StoreOptions, 'log' | 'folder'>

/** The data of one case. */
export interface StorePlace {
  /**
   * Opens a store on the data.
   *
   * @param index which derived data it keeps: stores that are open at once have different ones
   */
  open(options: PlaceOptions, index: number): Promise<EventStore>
  /** The log under the stores, with `onLog`. */
  log?(): Log
  /** Ends what is under the stores and begins it again on the same data, with `restarts`. */
  restart?(): Promise<void>
  /** Throws derived data away, with `discards`. */
  discard?(index: number): Promise<void>
  /** Takes the data away. */
  end(): Promise<void>
}

/** What a store states of itself, so that no case asks for more. */
export type StoreFeatures = {
  /** Categories are topics of a log that others can write to. */
  readonly onLog: boolean
  /** The data outlives what is under the store. */
  readonly restarts: boolean
  /** There is derived data that may be thrown away. */
  readonly discards: boolean
  /** Several stores may be open on one place. */
  readonly severalStores: boolean
  /** Each place is a log of its own, with an id of its own. */
  readonly ownLogs: boolean
}

/** The time that cases live in; real time where absent. */
export type ConformanceTime = {
  now(): number
  sleep(ms: number): Promise<void>
}

/** Makes places for the cases. */
export type StoreFactory = {
  /** Data of its own for one case, or names of its own in shared data. */
  place(): Promise<StorePlace>
  readonly features: StoreFeatures
  readonly time?: ConformanceTime
  /** A word that no other run uses; random where absent. */
  readonly unique?: () => string
}

/** One promise of the port, and the way to see that it is kept. */
export type ConformanceCase = {
  /** The promise. */
  readonly name: string
  /** Resolves if it is kept, rejects with an AssertionError or the store's own error if not. */
  run(): Promise<void>
}

/** A case as the files of this folder write it. */
export type CaseSpec = {
  readonly name: string
  /** Features without which the promise means nothing. Absent: every store keeps it. */
  readonly needs?: keyof StoreFeatures | readonly (keyof StoreFeatures)[]
  readonly run: (scene: Scene) => Promise<void>
}

const REAL_TIME: ConformanceTime = {
  now: () => Date.now(),
  sleep: async ms => {
    await delay(ms)
  },
}

/** Turns a spec into a case that takes a place, runs within its time, and cleans up. */
export function caseOf(spec: CaseSpec, factory: StoreFactory): ConformanceCase {
  return {
    name: spec.name,
    run: async () => {
      const scene = new Scene({
        place: () => factory.place(),
        time: factory.time ?? REAL_TIME,
        word: (factory.unique ?? (() => randomUUID().slice(0, 13)))(),
      })
      try {
        await inTime(spec, scene)
      } finally {
        await scene.end()
      }
    },
  }
}

async function inTime(spec: CaseSpec, scene: Scene): Promise<void> {
  const timer = new AbortController()
  const late = delay(CASE_MS_MAX, 'late', { signal: timer.signal }).catch(() => 'stopped')
  const work = spec.run(scene).then(() => 'done')
  try {
    const first = await Promise.race([work, late])
    assert.equal(first, 'done', `not done after ${CASE_MS_MAX} ms: ${spec.name}`)
  } finally {
    timer.abort()
  }
}
