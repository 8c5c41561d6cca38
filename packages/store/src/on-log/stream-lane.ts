/**
 * Appends of one stream, in the order in which they came. Those that wait behind one that is about to be
 * written are claimed on the state that it leaves, and go out with it in one batch; if it loses its race
 * all behind it are void too, and are judged again in the same order. So a stream that many write takes
 * more than one append for each answer of the log.
 *
 *     waiting ──► at hand (judged, looked up) ──► claimed, in one batch ──► answered
 *        ▲                                             │ void
 *        └──────────────── lost, in order ◄────────────┘
 */

import { afterAppend } from '../rule/fold.ts'
import type { StreamFold } from '../rule/fold-state.ts'
import type { AppendBatch } from './append-batch.ts'
import type { Bucket } from './bucket.ts'
import type { PendingAppend } from './pending.ts'

/**
 * Most appends of a stream in one batch. All may lose at once, and a stream remembers 64 of those:
 * `CANCELS_MAX` of the rule.
 */
export const CHAIN_MAX = 32

/** See the head of the file. */
export class StreamLane {
  readonly bucket: Bucket
  readonly stream: string
  /** Whether its appends are being judged: whoever answers one meanwhile leaves the next to that. */
  isAdvancing = false
  /** Judged or looked up; not claimed yet. */
  atHand: PendingAppend | null = null
  /** In the log or on their way, in one batch. */
  readonly #claimed: PendingAppend[] = []
  /** Void, until the others of their batch are decided. */
  #lost: PendingAppend[] = []
  /** Whether one of the batch has lost. */
  #hasLost = false
  #waiting: PendingAppend[] = []
  #batch: AppendBatch | undefined
  /** The stream's state behind the first `#expectedOf` of what is claimed. */
  #expected: StreamFold | undefined
  #expectedOf = 0
  /** One after a lost race, doubled by each that is won: who loses often tries with less. */
  #chainMax = CHAIN_MAX

  constructor(bucket: Bucket, stream: string) {
    this.bucket = bucket
    this.stream = stream
  }

  get isEmpty(): boolean {
    return (
      this.atHand === null &&
      this.#claimed.length === 0 &&
      this.#lost.length === 0 &&
      this.#waiting.length === 0
    )
  }

  /** Whether what is judged now stands on appends that are not decided. */
  get isAhead(): boolean {
    return this.#claimed.length > 0
  }

  /** The stream's state behind what is claimed. */
  get state(): StreamFold {
    let state = this.#expected ?? this.bucket.index.get(this.stream)
    while (this.#expectedOf < this.#claimed.length) {
      state = behind(state, this.#claimed[this.#expectedOf] as PendingAppend)
      this.#expectedOf += 1
      this.#expected = state
    }
    return state
  }

  /** All that are not done, in order. */
  *all(): Generator<PendingAppend> {
    yield* this.#lost
    yield* this.#claimed
    if (this.atHand !== null) yield this.atHand
    yield* this.#waiting
  }

  add(pending: PendingAppend): void {
    this.#waiting.push(pending)
  }

  /** The next to be judged, if one may be now. @param ready the batch that is being filled, if any */
  next(ready: AppendBatch | undefined): PendingAppend | undefined {
    if (this.atHand !== null || this.#waiting.length === 0) return undefined
    const mayFollow = this.#batch === ready && this.#claimed.length < this.#chainMax
    if (this.isAhead && (!mayFollow || this.#lost.length > 0)) return undefined
    this.atHand = this.#waiting.shift() as PendingAppend
    return this.atHand
  }

  /** What is at hand waits until everything ahead of it is decided. */
  putBack(): void {
    if (this.atHand !== null) this.#waiting.unshift(this.atHand)
    this.atHand = null
  }

  /** What is at hand is claimed in a batch. */
  claimed(pending: PendingAppend, batch: AppendBatch): void {
    this.#batch = batch
    this.#claimed.push(pending)
    this.atHand = null
  }

  /** The claimed append with this id. */
  find(appendId: string): PendingAppend | undefined {
    return this.#claimed.find(({ claim }) => claim?.appendId === appendId)
  }

  /** An append is answered, or given up. */
  done(pending: PendingAppend): void {
    if (this.atHand === pending) this.atHand = null
    else if (this.#leave(pending)) this.#chainMax = Math.min(2 * this.#chainMax, CHAIN_MAX)
    else this.#forget(pending)
  }

  /** What has lost and is given up, here or already among those that come again. */
  #forget(pending: PendingAppend): void {
    for (const list of [this.#lost, this.#waiting]) {
      const at = list.indexOf(pending)
      if (at >= 0) list.splice(at, 1)
    }
  }

  /** An append is void; it comes again. Whether it was its own claim that lost, or one ahead of it. */
  lost(pending: PendingAppend): 'first' | 'behind' {
    const order = this.#hasLost ? 'behind' : 'first'
    this.#hasLost = true
    this.#lost.push(pending)
    this.#chainMax = 1
    this.#leave(pending)
    return order
  }

  #leave(pending: PendingAppend): boolean {
    const at = this.#claimed.indexOf(pending)
    if (at >= 0) this.#claimed.splice(at, 1)
    if (this.#claimed.length === 0) {
      this.#waiting = this.#lost.length === 0 ? this.#waiting : [...this.#lost, ...this.#waiting]
      this.#lost = []
      this.#hasLost = false
      this.#batch = undefined
      this.#expected = undefined
      this.#expectedOf = 0
    }
    return at >= 0
  }
}

/** The state of a stream behind an append that has been claimed. */
function behind(state: StreamFold, { request, claim }: PendingAppend): StreamFold {
  if (claim === null) return state
  return afterAppend(state, {
    appendId: claim.appendId,
    commandId: request.commandId,
    firstVersion: claim.version,
    lastVersion: claim.version + request.events.length - 1,
    firstOffset: -1,
    lastOffset: -1,
    firstTime: claim.times[0] as number,
    lastTime: claim.times.at(-1) as number,
  })
}

/** The lanes of all streams that have appends. */
export class StreamLanes {
  readonly #lanes = new Map<Bucket, Map<string, StreamLane>>()

  get(bucket: Bucket, stream: string): StreamLane | undefined {
    return this.#lanes.get(bucket)?.get(stream)
  }

  /** The stream's lane, made if it has none. */
  of(bucket: Bucket, stream: string): StreamLane {
    let lanes = this.#lanes.get(bucket)
    if (lanes === undefined) {
      lanes = new Map()
      this.#lanes.set(bucket, lanes)
    }
    let lane = lanes.get(stream)
    if (lane === undefined) {
      lane = new StreamLane(bucket, stream)
      lanes.set(stream, lane)
    }
    return lane
  }

  remove({ bucket, stream }: StreamLane): void {
    this.#lanes.get(bucket)?.delete(stream)
  }

  *all(): Generator<PendingAppend> {
    for (const lanes of this.#lanes.values()) for (const lane of lanes.values()) yield* lane.all()
  }
}
