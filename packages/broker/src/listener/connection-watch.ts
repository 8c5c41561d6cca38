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
  /** Whether a request has begun to arrive. */
  readonly midFrame: boolean
  /** Whether it is read. */
  readonly reading: boolean
  /** Bytes that have come since the beginning. */
  readonly receivedBytes: number
}

/** What a connection is closed for. */
export type Overdue = 'stalled' | 'frame' | 'silent' | 'idle'

const NEVER = -1
/** Less than this from one sweep to the next is no progress. */
const PROGRESS_BYTES_MIN = 16 * 1024

/** The watch over one connection. */
export class ConnectionWatch {
  readonly #acceptedAt: number
  #activeAt: number
  #halfSeenAt = NEVER
  #halfStalledAt = NEVER
  #receivedBefore = 0
  #stalledAt = NEVER
  #frameBegunAt = NEVER
  #takenBefore = 0
  #requestsBefore = 0

  /** @param nowMs monotonic, as in all calls */
  constructor(nowMs: number) {
    this.#acceptedAt = nowMs
    this.#activeAt = nowMs
  }

  /** Since when nothing was asked or answered, as far as sweeps have seen. */
  get idleSince(): number {
    return this.#activeAt
  }

  /** When the request began that is not whole yet. */
  get halfBegunAt(): number {
    return this.#halfSeenAt
  }

  /** Since when it is read and does not come; undefined where that is not so. */
  get halfStalledSince(): number | undefined {
    return this.#halfStalledAt === NEVER ? undefined : this.#halfStalledAt
  }

  /** A request is whole. */
  frameDone(): void {
    this.#frameBegunAt = NEVER
    this.#halfSeenAt = NEVER
    this.#halfStalledAt = NEVER
  }

  /** It is read again, perhaps for one read only: it is judged from now on. */
  readAgain(nowMs: number): void {
    this.#halfStalledAt = nowMs
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
    this.#lookAtHalf(sight, nowMs)
    if (!sight.midFrame || !sight.reading) this.#frameBegunAt = NEVER
    else if (this.#frameBegunAt === NEVER) this.#frameBegunAt = nowMs

    const lasts = (since: number, maxMs: number): boolean =>
      since !== NEVER && nowMs - since >= maxMs
    if (lasts(this.#stalledAt, settings['connections.stalled.max.ms'])) return 'stalled'
    if (lasts(this.#frameBegunAt, settings['connections.frame.max.ms'])) return 'frame'
    const isSilent = sight.requestsSeen === 0 && !sight.midFrame
    if (isSilent && lasts(this.#acceptedAt, settings['connections.first.request.max.ms'])) {
      return 'silent'
    }
    return lasts(this.#activeAt, settings['connections.max.idle.ms']) ? 'idle' : undefined
  }

  #lookAtHalf({ midFrame, reading, receivedBytes }: ConnectionSight, nowMs: number): void {
    const more = receivedBytes - this.#receivedBefore
    this.#receivedBefore = receivedBytes
    if (!midFrame) this.#halfSeenAt = NEVER
    else if (this.#halfSeenAt === NEVER) this.#halfSeenAt = nowMs
    if (!midFrame || !reading || more >= PROGRESS_BYTES_MIN) this.#halfStalledAt = NEVER
    else if (this.#halfStalledAt === NEVER) this.#halfStalledAt = nowMs
  }
}
