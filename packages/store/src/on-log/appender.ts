/**
 * Writes appends. Those of a stream go in their order, in one batch at a time (`stream-lane.ts`). What is
 * ready in all buckets goes into one call of the log, a record batch a bucket: a round. A few rounds
 * run at once; what arrives meanwhile forms the next.
 *
 * A claim that lost a race is judged again, under a new append id. An unknown outcome (the call
 * failed, or no answer came) is settled: a settle record is written until that succeeds, and then
 * the append is accepted or can never be; until then later appends of its stream wait.
 *
 * Bounded by `append.queue.bytes` (beyond it OVERLOADED), `append.rounds.max`, `append.batch.bytes`,
 * `append.attempts.max` and each append's deadline.
 */
import type { Outside, Timer } from '@millrace/base'
import {
  type Log,
  type AppendResult as LogAppendResult,
  LogError,
  type Offset,
  type RecordBatchBuilder,
} from '@millrace/log'
import { StoreError } from '../errors.ts'
import type { Appended, Conflict, StreamVersion } from '../port.ts'
import { attemptIdOf, type EventFacts } from '../rule/facts.ts'
import type { Verdict } from '../rule/fold-state.ts'
import { AppendBatch, type Attempt } from './append-batch.ts'
import { accepted, confirmed, duplicate, timedOut } from './append-results.ts'
import { type Bucket, pastTheEnd } from './bucket.ts'
import type { ControlWriter } from './control-writer.ts'
import type { Flusher } from './flusher.ts'
import { conditionClaim, type Judgement, judge, timesOf } from './judge.ts'
import { type AppendRequest, type Claim, PendingAppend } from './pending.ts'
import { type StreamLane, StreamLanes } from './stream-lane.ts'

/** Bounds of an appender. */
export type AppendLimits = {
  readonly queueBytes: number
  readonly rounds: number
  readonly batchBytes: number
  readonly attempts: number
  readonly timeoutMs: number
}

/** What the appender asks of the rest of the store. */
export type AppendHelp = {
  readonly catchUp: (bucket: Bucket, offset: Offset) => Promise<void>
  readonly catchUpToEnd: (buckets: readonly Bucket[]) => Promise<void>
  /** Whether an event between the offsets matches the request's condition. */
  readonly anyMatch: (request: AppendRequest, from: number, before: number) => Promise<boolean>
  readonly conflict: (
    request: AppendRequest,
    judgement: Extract<Judgement, { kind: 'conflict' }>,
  ) => Promise<Conflict>
  /** Own records of a bucket were folded. */
  readonly folded: (bucket: Bucket) => void
  /** A stamp for an append: see `hybrid-clock.ts`. */
  readonly stamp: () => number
  readonly settled: (bucket: Bucket, stream: string, appendId: string) => void
}

const SWEEP_MS = 100
const ID_BYTES = 16
/** Random bytes are drawn for this many ids at once. */
const IDS_DRAWN = 256
/** Errors of the log that say for sure that nothing was written. */
const NOT_WRITTEN: ReadonlySet<string> = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'TOPIC_AUTHORIZATION_FAILED',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
])

/** See the head of the file. */
export class Appender {
  readonly #log: Log
  readonly #limits: AppendLimits
  readonly #outside: Outside
  readonly #flusher: Flusher
  readonly #controls: ControlWriter
  readonly #help: AppendHelp
  readonly #lanes = new StreamLanes()
  readonly #ready = new Map<Bucket, AppendBatch>()
  readonly #spare: RecordBatchBuilder[] = []
  /** Did not fit into this round's batch of their bucket. */
  #overflow: PendingAppend[] = []
  readonly #closing = new AbortController()
  #ids: Buffer = Buffer.alloc(0)
  #idAt = 0
  #rounds = 0
  #scheduled = false
  #queued = 0
  #work = 0
  #sweep: Timer | null = null
  #idle: (() => void) | null = null

  constructor(
    log: Log,
    limits: AppendLimits,
    outside: Outside,
    flusher: Flusher,
    controls: ControlWriter,
    help: AppendHelp,
  ) {
    this.#controls = controls
    this.#log = log
    this.#limits = limits
    this.#outside = outside
    this.#flusher = flusher
    this.#help = help
  }

  /** Takes an append; its answer comes through the promise. @throws StoreError OVERLOADED */
  append(request: AppendRequest): Promise<Appended | Conflict> {
    if (this.#closing.signal.aborted) return Promise.reject(new StoreError('STORE_CLOSED'))
    if (this.#queued + request.bytes > this.#limits.queueBytes) {
      return Promise.reject(
        new StoreError('OVERLOADED', `${this.#queued} bytes of appends wait already`),
      )
    }
    return new Promise((resolve, reject) => {
      const pending = new PendingAppend(request, resolve, reject)
      this.#queued += request.bytes
      this.#work += 1
      this.#watch()
      const lane = this.#lanes.of(request.bucket, request.stream)
      lane.add(pending)
      this.#advance(lane)
    })
  }

  /** Told by the fold; answers whose append it was. */
  decided(bucket: Bucket, verdict: Verdict): void {
    // A copy says nothing about its append.
    if (verdict.kind === 'void' && verdict.reason === 'copy') return
    const { stream, appendId } =
      verdict.kind === 'accepted' ? (verdict.records[0] as EventFacts) : verdict
    const pending = this.#lanes.get(bucket, stream)?.find(appendId)
    if (!pending?.claim || !this.#over({ pending, claim: pending.claim })) return
    if (verdict.kind === 'accepted') {
      this.#finish(pending, () => pending.resolve(accepted(this.#log.id, pending, verdict.records)))
      return
    }
    this.#again(pending)
  }

  /** A new random id: 22 characters. */
  newId(): string {
    if (this.#idAt >= this.#ids.length) {
      this.#ids = this.#outside.random.bytes(ID_BYTES * IDS_DRAWN)
      this.#idAt = 0
    }
    const id = this.#ids.toString('base64url', this.#idAt, this.#idAt + ID_BYTES)
    this.#idAt += ID_BYTES
    return id
  }

  /**
   * Takes no more, and resolves when everybody is answered, at the latest at his deadline. An outcome
   * that is still unknown then is settled by whoever opens the store next.
   */
  async close(): Promise<void> {
    this.#closing.abort()
    if (this.#unanswered() > 0) {
      await new Promise<void>(resolve => {
        this.#idle = resolve
      })
    }
    this.#sweep?.cancel()
  }

  #unanswered(): number {
    let count = 0
    for (const pending of this.#lanes.all()) if (!pending.answered) count += 1
    return count
  }

  // --- judging ---------------------------------------------------------------------------------

  /** Judges what may be judged of a stream. */
  #advance(lane: StreamLane): void {
    if (lane.isAdvancing) return
    lane.isAdvancing = true
    for (;;) {
      const next = lane.next(this.#ready.get(lane.bucket))
      if (next === undefined || !this.#judge(lane, next)) break
    }
    lane.isAdvancing = false
  }

  /** Judges what is at hand; false where it has to wait for those ahead of it. */
  #judge(lane: StreamLane, pending: PendingAppend, searched = 0): boolean {
    const { request } = pending
    try {
      const { bucket } = request
      if (bucket.failure !== null) throw bucket.failure
      if (pending.answered) {
        this.#finish(pending, () => undefined)
        return true
      }
      const { state } = lane
      const judgement = judge(request, state, searched)
      const isClaim = judgement.kind === 'claim' && request.events.length > 0
      const isFull = isClaim && !this.#fits(pending)
      // Nobody is answered by what is not decided, nor follows into another batch.
      if (lane.isAhead && (!isClaim || isFull)) {
        lane.putBack()
        return false
      }
      if (isFull) this.#overflow.push(pending)
      else if (isClaim)
        this.#claim(lane, pending, timesOf(request, state, this.#outside.clock.now()))
      else if (judgement.kind === 'claim') this.#confirm(pending, state.version)
      else this.#answer(pending, judgement)
    } catch (error) {
      if (lane.isAhead && request.bucket.failure === null) {
        lane.putBack()
        return false
      }
      this.#finish(pending, () => pending.reject(error))
    }
    return true
  }

  #answer(pending: PendingAppend, judgement: Exclude<Judgement, { kind: 'claim' }>): void {
    const { request } = pending
    switch (judgement.kind) {
      case 'duplicate': {
        const { command } = judgement
        this.#finish(pending, () => pending.resolve(duplicate(this.#log.id, pending, command)))
        return
      }
      case 'refused':
        this.#finish(pending, () => pending.reject(judgement.error))
        return
      case 'behind':
        // What was decided when the checkpoint was made is decided at the end of the log.
        if (pending.caughtUpAt < 0) this.#lookAgain(pending)
        else this.#finish(pending, () => pending.reject(pastTheEnd(request.bucket)))
        return
      case 'search':
        this.#search(pending, judgement.after, judgement.before)
        return
      case 'conflict':
        if (!judgement.sure && pending.caughtUpAt < request.bucket.position) {
          this.#lookAgain(pending)
          return
        }
        this.#help.conflict(request, judgement).then(
          conflict => this.#finish(pending, () => pending.resolve(conflict)),
          error => this.#finish(pending, () => pending.reject(error)),
        )
    }
  }

  /** Judges again at the end of the log: what is known here may be too old to refuse. */
  #lookAgain(pending: PendingAppend): void {
    const { bucket } = pending.request
    const caughtUp = this.#help.catchUpToEnd([bucket]).then(() => {
      pending.caughtUpAt = bucket.position
    })
    this.#later(pending, caughtUp)
  }

  #later(pending: PendingAppend, ready: Promise<void>): void {
    ready.then(
      () => this.#judgeAgain(pending),
      error => this.#finish(pending, () => pending.reject(error)),
    )
  }

  /** Judges once more what has been looked up, and what may follow it. */
  #judgeAgain(pending: PendingAppend, searched?: number): void {
    const lane = this.#lanes.of(pending.request.bucket, pending.request.stream)
    this.#judge(lane, pending, searched)
    this.#advance(lane)
  }

  #search(pending: PendingAppend, from: number, before: number): void {
    const { request } = pending
    const judgement = { kind: 'conflict', conflict: 'condition', sure: true } as const
    this.#help
      .anyMatch(request, from, before)
      .then(async found => {
        if (!found) {
          this.#judgeAgain(pending, before)
          return
        }
        const conflict = await this.#help.conflict(request, judgement)
        this.#finish(pending, () => pending.resolve(conflict))
      })
      .catch(error => this.#finish(pending, () => pending.reject(error)))
  }

  /** An append without events: its expectation holds at the end of the log. */
  #confirm(pending: PendingAppend, version: StreamVersion): void {
    const { bucket, expected, checks, condition } = pending.request
    const expectsNothing = expected === 'any' && checks.length === 0 && condition === undefined
    if (!expectsNothing && pending.caughtUpAt < bucket.position) {
      this.#lookAgain(pending)
      return
    }
    this.#finish(pending, () => pending.resolve(confirmed(this.#log.id, pending, version)))
  }

  /** The attempt lost. Its caller is answered, or it is tried again under a new id. */
  #again(pending: PendingAppend, wasAttempt = true): void {
    const { bucket, stream, id } = pending.request
    const lane = this.#lanes.of(bucket, stream)
    // Whoever only stood behind one that lost has lost no race.
    const hasLost = lane.lost(pending) === 'first' && wasAttempt
    if (!hasLost) pending.attempts -= 1
    else if (pending.attempts >= this.#limits.attempts) {
      const text = `stream ${id}: lost ${pending.attempts} races in a row`
      this.#finish(pending, () => pending.reject(new StoreError('STALE_CONDITION', text)))
      return
    }
    this.#advance(lane)
  }

  /** Answers, and lets the next append of the stream begin. */
  #finish(pending: PendingAppend, answer: () => void): void {
    const { bucket, stream, bytes } = pending.request
    this.#queued -= bytes
    this.#work -= 1
    if (!pending.answered) answer()
    const lane = this.#lanes.of(bucket, stream)
    lane.done(pending)
    if (lane.isEmpty) this.#lanes.remove(lane)
    else this.#advance(lane)
    if (this.#idle !== null && this.#unanswered() === 0) this.#idle()
  }

  // --- writing ---------------------------------------------------------------------------------

  #claim(lane: StreamLane, pending: PendingAppend, times: readonly number[]): void {
    const { request } = pending
    const { bucket } = request
    pending.attempts += 1
    const claim: Claim = {
      appendId: this.#attemptId(pending),
      version: lane.state.version + 1,
      checks:
        request.checks.length === 0
          ? undefined
          : request.checks.map(({ stream }) => ({
              stream,
              version: bucket.index.get(stream).version,
            })),
      condition: conditionClaim(request),
      stamp: this.#help.stamp(),
      times,
    }
    pending.claim = claim
    const ready = this.#ready.get(bucket) ?? new AppendBatch(bucket, this.#spare.pop())
    this.#ready.set(bucket, ready)
    ready.add({ pending, claim })
    lane.claimed(pending, ready)
    this.#schedule()
  }

  #fits(pending: PendingAppend): boolean {
    const begun = this.#ready.get(pending.request.bucket)
    return begun === undefined || begun.fits(pending, this.#limits.batchBytes)
  }

  #attemptId(pending: PendingAppend): string {
    const { appendId } = pending.request
    const unique = this.newId()
    return appendId === undefined ? unique : attemptIdOf(appendId, unique)
  }

  /** At the end of this turn, so that writers who were answered together go together again. */
  #schedule(): void {
    if (this.#scheduled || this.#rounds >= this.#limits.rounds || this.#ready.size === 0) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      if (this.#rounds < this.#limits.rounds && this.#ready.size > 0) void this.#round()
    })
  }

  async #round(): Promise<void> {
    this.#rounds += 1
    const parts = [...this.#ready.values()]
    this.#ready.clear()
    const batches = parts.map(part => part.builder.finish())
    for (const part of parts) this.#spare.push(part.builder)
    const overflow = this.#overflow
    this.#overflow = []
    for (const pending of overflow) this.#judgeAgain(pending)
    try {
      const results = await this.#log.append(
        parts.map((part, i) => ({
          topic: part.bucket.category.topic,
          partition: part.bucket.number,
          batch: batches[i] as Buffer,
        })),
        { timeoutMs: this.#limits.timeoutMs },
      )
      for (const [i, part] of parts.entries()) {
        this.#written(part, batches[i] as Buffer, results[i] as LogAppendResult)
      }
    } catch (error) {
      for (const part of parts) this.#unknown(part, error)
    }
    await this.#flusher.noted()
    this.#rounds -= 1
    this.#schedule()
  }

  /** The log has the batch: fold it, if everything before it is folded; else let the tail do so. */
  #written(part: AppendBatch, batch: Buffer, result: LogAppendResult): void {
    const { bucket } = part
    if (result.error !== undefined) {
      this.#unknown(part, result.error)
      return
    }
    if (bucket.position === result.baseOffset) {
      this.#foldOwn(part, batch, result.baseOffset)
      return
    }
    const end = result.baseOffset + part.records
    if (bucket.position >= end) return
    this.#help.catchUp(bucket, end).catch(error => this.#lost(part.attempts, error))
  }

  #foldOwn(part: AppendBatch, bytes: Buffer, baseOffset: number): void {
    const { bucket } = part
    try {
      part.fold(bytes, baseOffset)
    } catch (error) {
      bucket.fail(
        error instanceof StoreError
          ? error
          : new StoreError('STORE_FAILED', undefined, { cause: error }),
      )
      this.#lost(part.attempts, bucket.failure)
    }
    this.#help.folded(bucket)
  }

  /** Ends an attempt; false: it was over before, and another may be under way. */
  #over({ pending, claim }: Attempt): boolean {
    if (pending.claim !== claim) return false
    pending.claim = null
    return true
  }

  #lost(attempts: readonly Attempt[], error: unknown): void {
    for (const attempt of attempts) {
      const { pending } = attempt
      if (this.#over(attempt)) this.#finish(pending, () => pending.reject(error))
    }
  }

  /** The call failed: the records may be in the log or not, unless the error says not. */
  #unknown(part: AppendBatch, error: unknown): void {
    if (error instanceof LogError && NOT_WRITTEN.has(error.code)) {
      if (part.attempts.length > 1) {
        this.#apart(part.attempts)
        return
      }
      this.#lost(part.attempts, new StoreError('APPEND_TOO_LARGE', error.message, { cause: error }))
      return
    }
    if (error instanceof LogError && error.code === 'LOG_CLOSED') {
      this.#lost(
        part.attempts,
        new StoreError('STORE_FAILED', 'the log was closed', { cause: error }),
      )
      return
    }
    const open = part.attempts.filter(({ pending, claim }) => pending.claim === claim)
    void this.#settle(part.bucket, open)
  }

  /** Which append of a batch the log does not take shows when each comes in a batch of its own. */
  #apart(attempts: readonly Attempt[]): void {
    for (const attempt of attempts) {
      const { pending } = attempt
      if (!this.#over(attempt)) continue
      pending.alone = true
      // Nothing was written, so the attempt was none.
      this.#again(pending, false)
    }
  }

  async #settle(bucket: Bucket, attempts: readonly Attempt[]): Promise<void> {
    try {
      await this.#controls.settle(
        bucket,
        attempts.map(({ pending: { request }, claim: { appendId, version } }) => ({
          stream: request.stream,
          appendId,
          version,
        })),
      )
    } catch (error) {
      this.#lost(attempts, error)
      return
    }
    for (const attempt of attempts) {
      // The fold has passed the settle record: what it did not accept it never will.
      if (!this.#over(attempt)) continue
      const { pending, claim } = attempt
      this.#help.settled(bucket, pending.request.stream, claim.appendId)
      this.#again(pending)
    }
  }

  // --- deadlines -------------------------------------------------------------------------------

  #watch(): void {
    this.#sweep ??= this.#outside.timers.after(SWEEP_MS, () => {
      this.#sweep = null
      this.#expire()
      if (this.#work > 0) this.#watch()
    })
  }

  /**
   * Answers those whose time is over or whose bucket has stopped. A stream stays blocked until its
   * outcome is known.
   */
  #expire(): void {
    const now = this.#outside.clock.monotonic()
    for (const pending of this.#lanes.all()) {
      const { bucket, deadline } = pending.request
      if (pending.answered) continue
      if (bucket.failure !== null) pending.reject(bucket.failure)
      else if (deadline <= now) pending.reject(timedOut(pending))
    }
    if (this.#idle !== null && this.#unanswered() === 0) this.#idle()
  }
}
