/**
 * The frame of the conformance suite: what a case is, what it is given, what an engine states of
 * itself.
 *
 * A case opens a log of its own (or names of its own in a shared one), keeps one promise of the
 * port, and cleans up. It asserts only what Apache Kafka promises too; what an engine may do
 * differently is asked for by a feature. A case that has not ended after `CASE_MS_MAX` fails.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@millrace/log'
import { Scene } from './scene.ts'

/** The longest that one case may take. */
export const CASE_MS_MAX = 60_000

/** What an engine states of itself, so that no case asks for more. */
export type LogFeatures = {
  /** Topics with `cleanup.policy=compact` can be created. */
  readonly compactedTopics: boolean
  /** Compacted topics are looked at for cleaning at least once a second. Default false. */
  readonly cleansSoon?: boolean
  /** There is one node, and so a replication factor of 1 at most. */
  readonly singleNode: boolean
  /** `durability` is a topic configuration (the embedded engine). */
  readonly durability: boolean
  /** A transactional id is answered UNSUPPORTED_VERSION. */
  readonly refusesTransactions: boolean
  /**
   * All five remembered batches of a producer are known after a restart, not the last alone.
   * Default true; false for Apache Kafka.
   */
  readonly batchesSurviveRestart?: boolean
  /** Later calls of a closed log throw LOG_CLOSED. */
  readonly closes: boolean
  /** The shortest session timeout that a group member may ask for, in ms. */
  readonly sessionTimeoutMsMin: number
}

/** The time that cases live in; real time where absent. */
export type ConformanceTime = {
  now(): number
  sleep(ms: number): Promise<void>
}

/** Makes logs for the cases. */
export type LogFactory = {
  /**
   * A fresh log, or a way to a shared one: cases use unique names. Calls that wait (join, sync,
   * fetch) must not hold up others of the same log, as they would on one Kafka connection.
   */
  open(): Promise<Log>
  /**
   * Closes the log and opens the same data again. Absent where the data's life is not the log's:
   * cases about persistence are left out then.
   */
  readonly reopen?: (log: Log) => Promise<Log>
  readonly features: LogFeatures
  readonly time?: ConformanceTime
  /** A word that no other run uses; random where absent. */
  readonly unique?: () => string
}

/** One promise of the port, and the way to see that it is kept. */
export type ConformanceCase = {
  /** The promise. */
  readonly name: string
  /** Resolves if it is kept, rejects with an AssertionError or the log's own error if not. */
  run(): Promise<void>
}

/** A case as the files of this folder write it. */
export type CaseSpec = {
  readonly name: string
  /** Whether an engine must keep this promise. Absent: every engine. */
  readonly needs?: (features: LogFeatures, factory: LogFactory) => boolean
  readonly run: (scene: Scene) => Promise<void>
}

/** For `needs`: the engine can be opened again. */
export const reopens = (_features: LogFeatures, factory: LogFactory): boolean =>
  factory.reopen !== undefined

const REAL_TIME: ConformanceTime = {
  now: () => Date.now(),
  sleep: async ms => {
    await delay(ms)
  },
}

/** Turns a spec into a case that opens, runs within its time, and cleans up whatever happened. */
export function caseOf(spec: CaseSpec, factory: LogFactory): ConformanceCase {
  return {
    name: spec.name,
    run: async () => {
      const word = factory.unique ?? (() => randomUUID().slice(0, 13))
      const scene = new Scene(await factory.open(), {
        reopen: factory.reopen,
        features: factory.features,
        time: factory.time ?? REAL_TIME,
        unique: word,
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
