/**
 * One hierarchical timer wheel for all delayed operations of the engine: sessions, rebalances,
 * waiting fetches.
 *
 * Seven levels of 64 slots; a slot of level n is 64^n ms wide. An entry lies on the lowest level on
 * which its deadline and the present share all higher digits (base 64), so starting and cancelling
 * are O(1) and an entry moves down at most six times. A bitmap per level finds the next slot that
 * holds anything. One timer of the platform is armed for it, none when the wheel is empty.
 *
 * Bounds: callbacks run at most `FIRE_MAX` a turn of the event loop. The number of timers is bounded
 * by those who start them (group members, waiting fetches); `size` tells it.
 */
import type { Clock, Timer, Timers } from '@millrace/base'

const BITS = 6
const SLOTS = 1 << BITS
const LEVELS = 7
/** Longest wait, about 35 years; what is longer waits this long. */
const WAIT_MAX_MS = 2 ** 40
/** Longest wait that is asked of the platform at once (its own limit is 2^31 - 1). */
const ARM_MAX_MS = 2 ** 30
/** Callbacks run in one turn of the event loop. */
const FIRE_MAX = 10_000

const WIDTH: readonly number[] = Array.from({ length: LEVELS + 1 }, (_, level) => SLOTS ** level)
const widthOf = (level: number): number => WIDTH[level] ?? Number.POSITIVE_INFINITY

/** A doubly linked ring; an entry alone in it is linked to itself. */
class Entry implements Timer {
  before: Entry = this
  after: Entry = this
  /** Slot it lies in (level * 64 + slot), -1 while due, -2 when it has run or was cancelled. */
  place = -2
  readonly deadline: number
  readonly callback: () => void
  readonly #wheel: { forget(entry: Entry): void } | null

  constructor(
    deadline: number,
    callback: () => void,
    wheel: { forget(entry: Entry): void } | null,
  ) {
    this.deadline = deadline
    this.callback = callback
    this.#wheel = wheel
  }

  cancel(): void {
    this.#wheel?.forget(this)
  }

  unlink(): void {
    this.before.after = this.after
    this.after.before = this.before
    this.before = this
    this.after = this
  }

  /** Puts `entry` at the end of the ring that this entry heads. */
  push(entry: Entry): void {
    entry.before = this.before
    entry.after = this
    this.before.after = entry
    this.before = entry
  }
}

const head = (): Entry => new Entry(0, () => undefined, null)

/** Delayed operations; has the shape of {@link Timers} and can stand wherever that is wanted. */
export class TimerWheel implements Timers {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #armMaxMs: number
  readonly #slots: (Entry | undefined)[] = new Array(LEVELS * SLOTS)
  /** Two words of 32 slots for each level. */
  readonly #occupied: Uint32Array = new Uint32Array(LEVELS * 2)
  readonly #due: Entry = head()
  /** Everything up to this millisecond has been moved to `#due`. */
  #tick: number
  #size = 0
  #armed: { readonly at: number; readonly timer: Timer } | null = null
  readonly #forgetter: { forget(entry: Entry): void }
  #draining = false
  #closed = false

  /**
   * @param options.armMaxMs longest wait that is asked of the platform at once: a clock that has to be
   *   looked at now and then is
   */
  constructor(
    outside: { readonly clock: Clock; readonly timers: Timers },
    options: { readonly armMaxMs?: number } = {},
  ) {
    this.#armMaxMs = options.armMaxMs ?? ARM_MAX_MS
    this.#clock = outside.clock
    this.#timers = outside.timers
    this.#tick = Math.floor(outside.clock.monotonic())
    this.#forgetter = { forget: entry => this.#forget(entry) }
  }

  /** Timers that have neither run nor been cancelled. */
  get size(): number {
    return this.#size
  }

  /**
   * Runs `callback` once, `ms` milliseconds from now or up to a millisecond later, never earlier and
   * never inside this call. On a closed wheel it never runs.
   */
  after(ms: number, callback: () => void): Timer {
    const wait = Math.min(Math.max(ms, 0), WAIT_MAX_MS)
    // An empty wheel can be set to the present at once; otherwise only `#advance` moves it.
    if (this.#size === 0) this.#tick = Math.max(this.#tick, Math.floor(this.#clock.monotonic()))
    const deadline = Math.max(Math.ceil(this.#clock.monotonic() + wait), this.#tick + 1)
    const entry = new Entry(deadline, callback, this.#forgetter)
    if (this.#closed) return entry
    this.#size++
    this.#place(entry)
    this.#arm()
    return entry
  }

  soon(callback: () => void): void {
    this.#timers.soon(callback)
  }

  /** Drops all timers; none runs any more. */
  close(): void {
    this.#closed = true
    this.#armed?.timer.cancel()
    this.#armed = null
    this.#slots.fill(undefined)
    this.#occupied.fill(0)
    while (this.#due.after !== this.#due) this.#due.after.unlink()
    this.#size = 0
  }

  #place(entry: Entry): void {
    let level = 0
    while (
      level < LEVELS - 1 &&
      Math.floor(entry.deadline / widthOf(level + 1)) !==
        Math.floor(this.#tick / widthOf(level + 1))
    ) {
      level++
    }
    const slot = Math.floor(entry.deadline / widthOf(level)) % SLOTS
    entry.place = level * SLOTS + slot
    let ring = this.#slots[entry.place]
    if (ring === undefined) {
      ring = head()
      this.#slots[entry.place] = ring
    }
    ring.push(entry)
    const word = level * 2 + (slot >> 5)
    this.#occupied[word] = (this.#occupied[word] ?? 0) | (1 << (slot & 31))
  }

  #forget(entry: Entry): void {
    if (entry.place === -2 || this.#closed) return
    const place = entry.place
    entry.unlink()
    entry.place = -2
    this.#size--
    if (place >= 0) this.#clearIfEmpty(place)
    // A platform timer that is now too early finds nothing due and arms anew; but an empty wheel
    // holds none.
    if (this.#size === 0) {
      this.#armed?.timer.cancel()
      this.#armed = null
    }
  }

  #clearIfEmpty(place: number): void {
    const ring = this.#slots[place]
    if (ring === undefined || ring.after !== ring) return
    const slot = place % SLOTS
    const word = Math.floor(place / SLOTS) * 2 + (slot >> 5)
    this.#occupied[word] = (this.#occupied[word] ?? 0) & ~(1 << (slot & 31))
  }

  /** The next slot that holds anything and when it begins. Lower levels always come first. */
  #next(): { readonly level: number; readonly slot: number; readonly at: number } | null {
    for (let level = 0; level < LEVELS; level++) {
      const low = this.#occupied[level * 2] ?? 0
      const high = this.#occupied[level * 2 + 1] ?? 0
      if (low === 0 && high === 0) continue
      const slot = low === 0 ? 63 - Math.clz32(high & -high) : 31 - Math.clz32(low & -low)
      const turn = Math.floor(this.#tick / widthOf(level + 1)) * widthOf(level + 1)
      return { level, slot, at: turn + slot * widthOf(level) }
    }
    return null
  }

  #arm(): void {
    if (this.#closed || this.#draining) return
    const next = this.#next()
    if (next === null) return
    if (this.#armed !== null) {
      if (this.#armed.at <= next.at) return
      this.#armed.timer.cancel()
    }
    const wait = Math.min(Math.max(Math.ceil(next.at - this.#clock.monotonic()), 0), this.#armMaxMs)
    const timer = this.#timers.after(wait, () => {
      this.#armed = null
      this.#advance()
    })
    this.#armed = { at: next.at, timer }
  }

  #advance(): void {
    const now = Math.floor(this.#clock.monotonic())
    for (;;) {
      const next = this.#next()
      if (next === null || next.at > now) break
      this.#tick = next.at
      const place = next.level * SLOTS + next.slot
      const ring = this.#slots[place]
      while (ring !== undefined && ring.after !== ring) {
        const entry = ring.after
        entry.unlink()
        if (entry.deadline <= this.#tick) {
          entry.place = -1
          this.#due.push(entry)
        } else {
          this.#place(entry)
        }
      }
      this.#clearIfEmpty(place)
    }
    this.#tick = Math.max(this.#tick, now)
    this.#drain()
  }

  #drain(): void {
    this.#draining = true
    let failed = false
    let failure: unknown
    for (let run = 0; run < FIRE_MAX && this.#due.after !== this.#due; run++) {
      const entry = this.#due.after
      entry.unlink()
      entry.place = -2
      this.#size--
      try {
        entry.callback()
      } catch (error) {
        // One broken callback must not hold up the others; it is reported after them.
        failure ??= error
        failed = true
      }
    }
    if (this.#due.after !== this.#due) {
      this.#timers.soon(() => this.#drain())
    } else {
      this.#draining = false
      this.#arm()
    }
    if (failed) throw failure
  }
}
