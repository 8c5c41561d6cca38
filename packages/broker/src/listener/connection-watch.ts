/**
 * Since when a connection does not move, seen from sweep to sweep: no timer of its own, no look at
 * the clock per request. The resolution is that of the sweep.
 */
import type { BrokerSettings } from '../settings.ts'

/** How a connection is at the time of a sweep. */
export type ConnectionSight = {
  /** Requests started since the beginning. */
  readonly requestsSeen: number
  /** Bytes that the peer has taken since the beginning. */
  readonly takenBytes: number
  /** Bytes of answers that it has not taken. */
  readonly pendingBytes: number
  readonly inFlight: number
  /** Whether a request has begun to arrive, and is being read. */
  readonly readingFrame: boolean
}

/** What a connection is closed for. */
export type Overdue = 'stalled' | 'frame' | 'idle'

const NEVER = -1

/** The watch over one connection. */
export class ConnectionWatch {
  #activeAt: number
  #stalledAt = NEVER
  #frameBegunAt = NEVER
  #takenBefore = 0
  #requestsBefore = 0

  /** @param nowMs monotonic, as in all calls */
  constructor(nowMs: number) {
    this.#activeAt = nowMs
  }

  /** A request is whole. */
  frameDone(): void {
    this.#frameBegunAt = NEVER
  }

  /** What has lasted longer than it may; undefined while all is well. */
  look(sight: ConnectionSight, settings: BrokerSettings, nowMs: number): Overdue | undefined {
    const taken = sight.takenBytes !== this.#takenBefore
    const moved = taken || sight.requestsSeen !== this.#requestsBefore
    this.#takenBefore = sight.takenBytes
    this.#requestsBefore = sight.requestsSeen
    if (moved || sight.inFlight > 0) this.#activeAt = nowMs
    if (taken || sight.pendingBytes === 0) this.#stalledAt = NEVER
    else if (this.#stalledAt === NEVER) this.#stalledAt = nowMs
    if (!sight.readingFrame) this.#frameBegunAt = NEVER
    else if (this.#frameBegunAt === NEVER) this.#frameBegunAt = nowMs

    const lasts = (since: number, maxMs: number): boolean =>
      since !== NEVER && nowMs - since >= maxMs
    if (lasts(this.#stalledAt, settings['connections.stalled.max.ms'])) return 'stalled'
    if (lasts(this.#frameBegunAt, settings['connections.frame.max.ms'])) return 'frame'
    return lasts(this.#activeAt, settings['connections.max.idle.ms']) ? 'idle' : undefined
  }
}
