/**
 * The node's limit of request and answer bytes in memory, and who waits for room.
 *
 * Two sums: `received` bytes lie in connections and have not become a request yet; `working` bytes
 * belong to requests in the engine and to answers on their way out. Requests start while `working`
 * is below the limit, sockets are read while the whole is. `working` drains by itself: the engine
 * answers, and a peer that does not take its answer is closed. So does `received`, except where all
 * of it is halves of frames: then one connection at a time, the one with the pass, reads on until
 * its frame is whole; who is not in the middle of a frame may always read, so that small requests come
 * through; and the listener closes those that do not go on (see `shedding.ts`). The sums pass the limit by
 * at most one read of each connection, one request and its answer, one frame, and what those read that
 * are given a try.
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
  readonly #toRead = new Set<Waiter>()
  /** Those that wait to read the rest of a frame. */
  readonly #toReadOn = new Set<Waiter>()
  #pass: Waiter | undefined
  #lookIsDue = false
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
    return this.#toRead.size + this.#toReadOn.size
  }

  /** Whether halves of frames, and not what is worked on, keep sockets from being read. */
  get pressedByHalves(): boolean {
    return this.waiting > 0 && this.total >= this.#limit && this.#working < this.#limit
  }

  /** Whether so much has been freed that those who wait are woken. */
  get isRelieved(): boolean {
    return this.total < this.#wakeBelow
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
    this.#lookAgain()
  }

  /** Received bytes are dropped with their connection. */
  drop(bytes: number): void {
    this.#received -= bytes
    this.#lookAgain()
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
    if (!midFrame && this.#working < this.#limit) return true
    if (midFrame && this.#pass === undefined) {
      this.#pass = waiter
      return true
    }
    if (midFrame) this.#toReadOn.add(waiter)
    else this.#toRead.add(waiter)
    return false
  }

  /** The connection is gone, or wants nothing any more. */
  forget(waiter: Waiter): void {
    this.#toStart.delete(waiter)
    this.#toRead.delete(waiter)
    this.#toReadOn.delete(waiter)
    if (this.#pass === waiter) this.#passOn()
  }

  #passOn(): void {
    this.#pass = undefined
    this.#lookAgain()
  }

  #mayWakeReaders(): boolean {
    if (this.#toRead.size + this.#toReadOn.size === 0) return false
    // Where nothing is worked on, nothing more will be released: any room will do.
    return this.total < (this.#working === 0 ? this.#limit : this.#wakeBelow)
  }

  /** After anything that makes room, or frees the pass. */
  #lookAgain(): void {
    if (this.#lookIsDue) return
    const starts = this.#toStart.size > 0 && this.#working < this.#wakeBelow
    const pass = this.#pass === undefined && this.#toReadOn.size > 0
    if (!starts && !pass && !this.#mayWakeReaders()) return
    this.#lookIsDue = true
    this.#soon(() => this.#wake())
  }

  #wake(): void {
    this.#lookIsDue = false
    const woken = new Set<Waiter>()
    if (this.#working < this.#wakeBelow) {
      for (const waiter of this.#toStart) woken.add(waiter)
      this.#toStart.clear()
    }
    if (this.#mayWakeReaders()) {
      for (const waiter of this.#toReadOn) woken.add(waiter)
      for (const waiter of this.#toRead) woken.add(waiter)
      this.#toReadOn.clear()
      this.#toRead.clear()
    } else if (this.#pass === undefined) {
      const [next] = this.#toReadOn
      if (next !== undefined) {
        this.#pass = next
        this.#toReadOn.delete(next)
        woken.add(next)
      }
    }
    for (const waiter of woken) waiter.proceed()
  }
}
