/**
 * How old things are, where the wall clock may be wrong.
 *
 * Retention and expiry go by the wall clock, because times on the disk are of that clock. It may jump:
 * by NTP, by hand, by a virtual machine that was moved. What would be deleted then is fresh. So both
 * clocks are looked at together, and where the wall clock has run ahead of the monotonic one by more
 * than `clock.jump.max.ms`, that much is not age: times from before the jump are as old as the
 * monotonic clock says. Times from behind it age by the new clock.
 *
 *     wall   ──────────before │ after──────────►      age of t < after:  now - t - (after - before)
 *                             jump                    age of t >= after: now - t
 *
 * A jump that is still there `clock.jump.hold.ms` later is taken for the right time. One back takes
 * away from those forward; for the rest, times lie ahead, and things stay for so much longer.
 *
 * While the engine is closed there is no monotonic clock. What it wrote down last tells how long it
 * was away, by the wall clock: more than `clock.start.jump.max.ms` counts as a jump.
 */

import type { Clock } from '@millrace/base'
import type { Timestamp } from '@millrace/log'

/** Jumps that are told apart; two earlier ones count as one, to the side of keeping. */
export const JUMPS_MAX = 4

/** A jump forward that is not taken for time yet. */
export type ClockJump = {
  /** Times below this were given, or may have been, before the jump. */
  readonly after: number
  /** By how much, in ms. */
  readonly by: number
  /** How long ago, by the monotonic clock, while the engine was open. */
  readonly heldMs: number
}

/** What a restart has to know. */
export type ClockMemory = {
  /** The latest wall time that was seen. */
  readonly seenAt: number
  readonly jumps: readonly ClockJump[]
}

/** Bounds, in ms. */
export type ExpiryClockLimits = {
  readonly jumpMaxMs: number
  readonly startJumpMaxMs: number
  readonly holdMs: number
}

/** What an operator should read. */
export type ClockEvent = { readonly level: 'info' | 'warn'; readonly message: string }

/** Ages by both clocks. */
export class ExpiryClock {
  readonly #clock: Clock
  readonly #limits: ExpiryClockLimits
  readonly #onEvent: (event: ClockEvent) => void
  #wall: number
  #monotonic: number
  #jumps: ClockJump[] = []
  /** Jumps noticed, forward and back, since the start. */
  jumpsTotal = 0

  constructor(parts: {
    readonly clock: Clock
    readonly limits: ExpiryClockLimits
    readonly memory: ClockMemory | undefined
    readonly onEvent: (event: ClockEvent) => void
  }) {
    this.#clock = parts.clock
    this.#limits = parts.limits
    this.#onEvent = parts.onEvent
    this.#wall = parts.clock.now()
    this.#monotonic = parts.clock.monotonic()
    if (parts.memory !== undefined) this.#takeUp(parts.memory)
  }

  /** How much of the wall clock is not taken for time, in ms. */
  get heldBackMs(): number {
    return this.#jumps.reduce((sum, { by }) => sum + by, 0)
  }

  /** What a restart has to know. */
  get memory(): ClockMemory {
    this.look()
    return { seenAt: this.#wall, jumps: this.#jumps }
  }

  /** The age of something with this wall time, in ms; negative for what lies ahead. */
  ageOf(timestamp: Timestamp): number {
    this.look()
    let age = this.#wall - timestamp
    for (const { after, by } of this.#jumps) if (timestamp < after) age -= by
    return age
  }

  /** Compares the clocks. Whoever asks for an age does; called in between, so that a jump is sharp. */
  look(): void {
    const wall = this.#clock.now()
    const monotonic = this.#clock.monotonic()
    const passed = monotonic - this.#monotonic
    const jumped = wall - this.#wall - passed
    this.#wall = wall
    this.#monotonic = monotonic
    this.#hold(passed)
    if (jumped > this.#limits.jumpMaxMs) this.#forward(jumped, 'while the log was open')
    else if (jumped < -this.#limits.jumpMaxMs) this.#back(-jumped)
  }

  #takeUp({ seenAt, jumps }: ClockMemory): void {
    this.#jumps = [...jumps]
    const away = this.#wall - seenAt
    const { startJumpMaxMs, jumpMaxMs } = this.#limits
    if (away > startJumpMaxMs) this.#forward(away, 'while the log was closed')
    else if (away < -jumpMaxMs) this.#back(-away)
  }

  #forward(by: number, when: string): void {
    this.jumpsTotal += 1
    this.#jumps.push({ after: this.#wall, by, heldMs: 0 })
    while (this.#jumps.length > JUMPS_MAX) {
      const [first, second, ...rest] = this.#jumps
      if (first === undefined || second === undefined) break
      const heldMs = Math.min(first.heldMs, second.heldMs)
      this.#jumps = [{ after: second.after, by: first.by + second.by, heldMs }, ...rest]
    }
    const holdMs = this.#limits.holdMs
    this.#onEvent({
      level: 'warn',
      message: `the wall clock went ahead by ${span(by)} ${when}: nothing ages by that, unless it is still so in ${span(holdMs)} (clock.jump.hold.ms)`,
    })
  }

  #back(by: number): void {
    this.jumpsTotal += 1
    let left = by
    while (left > 0) {
      const last = this.#jumps.pop()
      if (last === undefined) break
      if (last.by > left) {
        this.#jumps.push({ ...last, after: last.after - left, by: last.by - left })
        left = 0
      } else left -= last.by
    }
    const rest = left > 0 ? `; what was written in that time stays for ${span(left)} longer` : ''
    this.#onEvent({ level: 'warn', message: `the wall clock went back by ${span(by)}${rest}` })
  }

  #hold(passed: number): void {
    if (this.#jumps.length === 0) return
    const held = this.#jumps.map(jump => ({ ...jump, heldMs: jump.heldMs + passed }))
    this.#jumps = held.filter(({ heldMs }) => heldMs < this.#limits.holdMs)
    for (const { by, heldMs } of held) {
      if (heldMs < this.#limits.holdMs) continue
      const message = `the wall clock is still ${span(by)} ahead: it is taken for the right time now`
      this.#onEvent({ level: 'warn', message })
    }
  }
}

/** `8 days`, `3 hours`, `90 seconds`. */
function span(ms: number): string {
  const units = [
    [86_400_000, 'days'],
    [3_600_000, 'hours'],
    [1000, 'seconds'],
  ] as const
  for (const [unit, name] of units) {
    if (ms >= 2 * unit) return `${Number((ms / unit).toFixed(1))} ${name}`
  }
  return `${Math.round(ms)} ms`
}
