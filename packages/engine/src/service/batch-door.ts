/**
 * The door of the log: every batch of a client is judged here before it takes offsets.
 *
 * Most are judged in the turn in which they enter. Decompressing takes longer than all the rest of an
 * append, so the main thread decompresses only a stated number of bytes in a stretch of time; what
 * would take more is judged by the platform's threads, a few at once, and the append waits for it in
 * the line of its partitions (`AppendLines`).
 */

import type { Clock, Outside } from '@millrace/base'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  compressionOf,
  type JudgeRules,
  judgeBatch,
  judgeInSlices,
  LogError,
  type Verdict,
} from '@millrace/log'
import type { TopicConfig } from '../partitions/topic-config.ts'
import type { EngineSettings } from '../settings.ts'
import { pauseOf } from '../turns.ts'

/** The stretch of time for which `append.decompressed.turn.bytes` is the budget, in ms. */
const BUDGET_MS = 10
/** Part of the budget that one batch may take. */
const BUDGET_SHARE = 4
/** Batches that are judged at once by the platform's threads, which others use too. */
const SLICED_MAX = 2
/** Bytes of a batch without a codec that are looked at in one turn: a few ms of smallest records. */
const PLAIN_BYTES_MAX = 2 * 1024 * 1024

/** Starts the judgement of a batch; never rejects. */
export type LateVerdict = () => Promise<Verdict>

/** Judges batches. */
export class BatchDoor {
  readonly #settings: EngineSettings
  readonly #clock: Clock
  readonly #pause: () => Promise<void>
  readonly #bytesMax: () => number
  /** Who waits for the threads, by partition: those take turns, so that none waits behind all of another. */
  readonly #backlog = new Map<string, (() => void)[]>()
  #sliced = 0
  #budgetFrom = Number.NEGATIVE_INFINITY
  #spent = 0
  /** Batches that took more than one turn of the main thread. */
  slicedBatches = 0

  /** @param bytesMax bound of a batch, whatever its topic allows */
  constructor(settings: EngineSettings, { clock, timers }: Outside, bytesMax: () => number) {
    this.#settings = settings
    this.#clock = clock
    this.#pause = pauseOf({ outside: { timers } })
    this.#bytesMax = bytesMax
  }

  /** Judges a batch that never takes long. */
  judge(config: TopicConfig, batch: Buffer): Verdict {
    const verdict = judgeBatch(batch, 0, batch.length, this.#rules(config), PLAIN_BYTES_MAX)
    if (verdict === 'later') throw new Error('a batch that takes long was not judged when it came')
    return verdict
  }

  /**
   * Judges a batch that may take long: at once where the budget has room for it. Else what comes back starts
   * the work on other threads.
   *
   * @param line the partition, by any name
   */
  open(config: TopicConfig, batch: Buffer, line: string): Verdict | LateVerdict {
    const rules = this.#rules(config)
    const allowance = this.#allowance()
    const verdict = judgeBatch(batch, 0, batch.length, rules, allowance)
    if (verdict === 'later' || verdict.error !== undefined) this.#spent += allowance
    else this.#spent += verdict.decompressedBytes
    return verdict === 'later' ? () => this.#slice(batch, rules, line) : verdict
  }

  /** Bytes that one more batch may decompress to in this turn. */
  #allowance(): number {
    const now = this.#clock.monotonic()
    if (now - this.#budgetFrom >= BUDGET_MS) {
      this.#budgetFrom = now
      this.#spent = 0
    }
    const budget = this.#settings['append.decompressed.turn.bytes']
    const share = Math.floor(budget / BUDGET_SHARE)
    return budget - this.#spent >= share ? share : 0
  }

  async #slice(batch: Buffer, rules: JudgeRules, line: string): Promise<Verdict> {
    this.slicedBatches += 1
    if (this.#sliced >= SLICED_MAX) await this.#turnOf(line)
    else this.#sliced += 1
    try {
      return await judgeInSlices(batch, rules, this.#pause)
    } catch (cause) {
      const error = new LogError('UNKNOWN_SERVER_ERROR', 'the batch could not be looked at', cause)
      return { error, maxTimestamp: -1, decompressedBytes: 0 }
    } finally {
      // Whoever is next takes over the place.
      const next = this.#next()
      if (next === undefined) this.#sliced -= 1
      else next()
    }
  }

  #turnOf(line: string): Promise<void> {
    return new Promise(go => {
      const waiting = this.#backlog.get(line)
      if (waiting === undefined) this.#backlog.set(line, [go])
      else waiting.push(go)
    })
  }

  #next(): (() => void) | undefined {
    for (const [line, waiting] of this.#backlog) {
      const next = waiting.shift()
      // Whatever else waits there goes behind the other partitions.
      this.#backlog.delete(line)
      if (waiting.length > 0) this.#backlog.set(line, waiting)
      return next
    }
    return undefined
  }

  #rules(config: TopicConfig): JudgeRules {
    const stamped = config.timestampType === 'LogAppendTime'
    const now = this.#clock.now()
    return {
      bytesMax: Math.min(config.maxMessageBytes, this.#bytesMax()),
      requireKeys: config.compacts,
      stamped,
      timestampMin: stamped ? Number.NEGATIVE_INFINITY : now - config.timestampBeforeMaxMs,
      timestampMax: stamped ? Number.POSITIVE_INFINITY : now + config.timestampAfterMaxMs,
      decompressedBytesMax: this.#settings['append.decompressed.max.bytes'],
      decompressedRatioMax: this.#settings['append.decompressed.max.ratio'],
    }
  }
}

/** Whether a batch may take long to judge: it is compressed, or very large. */
export const mayTakeLong = (batch: Buffer): boolean =>
  batch.length > PLAIN_BYTES_MAX ||
  (batch.length >= BATCH_HEADER_BYTES && compressionOf(attributesOf(batch)) !== 0)
