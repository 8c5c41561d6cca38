/**
 * Takes what is due from the agenda and has it done: so many of a lane at once, the rest waits
 * where it is, on disk. One timer of the platform (the alarm) stands for the earliest of all that
 * waits; it is set anew whenever a lane has a place.
 *
 * An item that is being done stays in the agenda until its outcome is in the saga's stream; who does
 * it removes it then, or gives it another time.
 */
import type { Outside } from '@millrace/base'
import { type Agenda, type AgendaItem, NEVER } from './agenda.ts'
import { Alarm } from './alarm.ts'

/** What is done at once, and how. */
export type Lane = {
  readonly lane: number
  readonly parallel: number
  /** Up to which time (ms since the epoch) what is due in a bucket may be done. Default: now. */
  readonly until?: (bucket: number, now: number) => number
  /** Does an item. What it throws ends the epoch. */
  readonly run: (item: AgendaItem, signal: AbortSignal) => Promise<void>
}

type LaneState = {
  readonly lane: Lane
  readonly busy: Set<number>
  /** Nothing of the lane before this time: what it calls is down. */
  pausedUntil: number
  /** Where the next round begins, so that no bucket is always last. */
  turn: number
}

/** See the head of the file. */
export class Dispatcher {
  readonly #agenda: Agenda
  readonly #outside: Outside
  readonly #alarm: Alarm
  readonly #lanes: readonly LaneState[]
  #buckets: readonly number[] = []
  #signal: AbortSignal | null = null
  #fail: (error: unknown) => void = () => {}
  #running = new Set<Promise<void>>()
  #isPlanned = false

  constructor(
    agenda: Agenda,
    lanes: readonly Lane[],
    options: { readonly outside: Outside; readonly longestMs: number },
  ) {
    this.#agenda = agenda
    this.#outside = options.outside
    this.#alarm = new Alarm(options.outside, options.longestMs, () => this.poke())
    this.#lanes = lanes.map(lane => ({ lane, busy: new Set(), pausedUntil: 0, turn: 0 }))
  }

  /** Begins with these buckets; ends when the signal fires. */
  start(buckets: readonly number[], signal: AbortSignal, fail: (error: unknown) => void): void {
    this.#buckets = buckets
    this.#signal = signal
    this.#fail = fail
    this.poke()
  }

  /** Ends; resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#signal = null
    this.#alarm.clear()
    await Promise.all(this.#running)
  }

  /** The agenda has changed. */
  poke(): void {
    if (this.#isPlanned || this.#signal === null) return
    this.#isPlanned = true
    this.#outside.timers.soon(() => {
      this.#isPlanned = false
      try {
        this.#pump()
      } catch (error) {
        this.#fail(error)
      }
    })
  }

  /** Lets a lane rest until a time, ms since the epoch. */
  pause(lane: number, until: number): void {
    for (const state of this.#lanes) if (state.lane.lane === lane) state.pausedUntil = until
  }

  #pump(): void {
    const signal = this.#signal
    if (signal === null || signal.aborted) return
    const now = this.#outside.clock.now()
    let next = NEVER
    for (const state of this.#lanes) next = Math.min(next, this.#pumpLane(state, now, signal))
    this.#alarm.set(next)
  }

  /** Starts what is due; returns when the lane wants to be looked at again. */
  #pumpLane(state: LaneState, now: number, signal: AbortSignal): number {
    const { lane, busy } = state
    if (this.#agenda.count(lane.lane) === 0) return NEVER
    if (state.pausedUntil > now) return state.pausedUntil
    let next = NEVER
    state.turn += 1
    for (let at = 0; at < this.#buckets.length; at += 1) {
      const bucket = this.#buckets[(at + state.turn) % this.#buckets.length] as number
      const free = lane.parallel - busy.size
      // With no place left the end of an item is the next time to look.
      if (free <= 0) return NEVER
      const until = lane.until?.(bucket, now) ?? now
      const items = this.#agenda.due(lane.lane, bucket, until, lane.parallel + busy.size)
      const waiting = items.filter(({ row }) => !busy.has(row))
      for (const item of waiting.slice(0, free)) this.#do(state, item, signal)
      // Where it may not go as far as the clock, whoever lets it go on says so.
      if (until === now) next = Math.min(next, this.#agenda.nextAfter(lane.lane, bucket, now))
    }
    return next
  }

  #do(state: LaneState, item: AgendaItem, signal: AbortSignal): void {
    state.busy.add(item.row)
    const done = state.lane
      .run(item, signal)
      .catch(error => {
        if (!signal.aborted) this.#fail(error)
      })
      .finally(() => {
        state.busy.delete(item.row)
        this.#running.delete(done)
        this.poke()
      })
    this.#running.add(done)
  }
}
