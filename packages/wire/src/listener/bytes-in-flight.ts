/**
 * The node's limit of request and answer bytes in memory, and who waits for room.
 *
 * Two sums: `received` bytes lie in connections and have not become a request yet; `working` bytes
 * belong to requests in the engine and to answers on their way out. Requests start while `working`
 * is below the limit, sockets are read while the whole is. `working` drains by itself: the engine
 * answers, and a peer that does not take its answer is closed. So does `received`, except where all
 * of it is halves of frames: then one connection at a time, the one with the pass, reads on until
 * its frame is whole. The sums pass the limit by at most one read of each connection, one request
 * and its answer, and one frame.
 */

/** A connection, as the limit sees it. */
export interface Waiter {
  /** Called when there may be room again. */
  proceed(): void
}

/** Waiting connections are woken below this share of the limit, so that they find some room. */
const WAKE_SHARE = 0.75

/** The two sums, the limit, the connections that wait. */
export class BytesInFlight {
  readonly #limit: number
  readonly #wakeBelow: number
  readonly #soon: (callback: () => void) => void
  readonly #toStart = new Set<Waiter>()
  /** Those that wait to read, and whether they have half a frame. */
  readonly #toRead = new Map<Waiter, boolean>()
  #pass: Waiter | undefined
  #wakeIsDue = false
  #working = 0
  #received = 0

  /** @param soon runs a callback outside of the caller's stack */
  constructor(limit: number, soon: (callback: () => void) => void) {
    this.#limit = limit
    this.#wakeBelow = limit * WAKE_SHARE
    this.#soon = soon
  }

  /** Bytes that count now. */
  get total(): number {
    return this.#working + this.#received
  }

  /** Connections that are not read now because of the limit. */
  get waiting(): number {
    return this.#toRead.size
  }

  receive(bytes: number): void {
    this.#received += bytes
  }

  /** Received bytes have become a request. */
  start(bytes: number, waiter: Waiter): void {
    this.#received -= bytes
    this.#working += bytes
    if (this.#pass === waiter) this.#passOn()
  }

  /** An answer is there. */
  charge(bytes: number): void {
    this.#working += bytes
  }

  /** A request or an answer is done with. */
  release(bytes: number): void {
    this.#working -= bytes
    this.#wakeIfRoom()
  }

  /** Received bytes are dropped with their connection. */
  drop(bytes: number): void {
    this.#received -= bytes
    this.#wakeIfRoom()
  }

  /** Whether this connection may start a request; if not, it is told when. */
  mayStart(waiter: Waiter): boolean {
    if (this.#working < this.#limit) return true
    this.#toStart.add(waiter)
    return false
  }

  /** Whether this connection may read more; if not, it is told when. */
  mayRead(waiter: Waiter, midFrame: boolean): boolean {
    if (this.total < this.#limit || this.#pass === waiter) return true
    if (midFrame && this.#pass === undefined) {
      this.#pass = waiter
      return true
    }
    this.#toRead.set(waiter, midFrame)
    return false
  }

  /** The connection is gone, or wants nothing any more. */
  forget(waiter: Waiter): void {
    this.#toStart.delete(waiter)
    this.#toRead.delete(waiter)
    if (this.#pass === waiter) this.#passOn()
  }

  #passOn(): void {
    this.#pass = undefined
    if (this.total < this.#limit) return
    for (const [waiter, midFrame] of this.#toRead) {
      if (!midFrame) continue
      this.#pass = waiter
      this.#toRead.delete(waiter)
      this.#soon(() => waiter.proceed())
      return
    }
  }

  #wakeIfRoom(): void {
    if (this.#wakeIsDue) return
    const starts = this.#toStart.size > 0 && this.#working < this.#wakeBelow
    const reads = this.#toRead.size > 0 && this.total < this.#wakeBelow
    if (!starts && !reads) return
    this.#wakeIsDue = true
    this.#soon(() => this.#wake())
  }

  #wake(): void {
    this.#wakeIsDue = false
    const woken = new Set<Waiter>()
    if (this.#working < this.#wakeBelow) {
      for (const waiter of this.#toStart) woken.add(waiter)
      this.#toStart.clear()
    }
    if (this.total < this.#wakeBelow) {
      for (const waiter of this.#toRead.keys()) woken.add(waiter)
      this.#toRead.clear()
    }
    for (const waiter of woken) waiter.proceed()
  }
}
