/**
 * Watches the handlers of one part: a promise that does not settle in time is given up, one that
 * held the thread is measured, and what is being tried again is named; all of it for the status.
 */
import type { Outside } from '@millrace/base'
import type { RecordedEvent } from '@millrace/store'

/** A handler's event, for those who look for the trouble. */
export type HandlerPlace = {
  readonly type: string
  readonly stream: string
  readonly version: number
}

/** What a status says of handlers that are in trouble; absent: nothing of the kind. */
export type HandlerTrouble = {
  /** A handler that has not settled for more than `projection.held.ms`, and since how long. */
  readonly waitsFor?: HandlerPlace & { readonly ms: number }
  /** The longest time since the start that a handler held the thread, beyond `projection.held.ms`. */
  readonly held?: HandlerPlace & { readonly ms: number }
  /** An event that failed and is tried again. */
  readonly failing?: HandlerPlace & { readonly reason: string; readonly attempts: number }
}

/** A handler's promise has not settled in time. */
export class HandlerTimeout extends Error {}

/** The processor was stopped while a handler was waited for. */
export class HandlerStopped extends Error {}

export type HandlerBounds = {
  /** `projection.handler.ms` */
  readonly handlerMs: number
  /** `projection.held.ms` */
  readonly heldMs: number
}

export class HandlerWatch {
  /** Fires when nobody waits for handlers any more. */
  stopping: AbortSignal | undefined
  readonly #outside: Pick<Outside, 'clock' | 'timers'>
  readonly #bounds: HandlerBounds
  #call: { readonly event: RecordedEvent; readonly since: number } | undefined
  #held: HandlerTrouble['held']
  #failing: HandlerTrouble['failing']

  constructor(outside: Pick<Outside, 'clock' | 'timers'>, bounds: HandlerBounds) {
    this.#outside = outside
    this.#bounds = bounds
  }

  /** Calls a handler, and measures how long it holds the thread. */
  call<T>(event: RecordedEvent, handler: () => T): T {
    const { clock } = this.#outside
    const from = clock.monotonic()
    try {
      return handler()
    } finally {
      const ms = clock.monotonic() - from
      if (ms > this.#bounds.heldMs && ms > (this.#held?.ms ?? 0)) {
        this.#held = { ...placeOf(event), ms: Math.round(ms) }
      }
    }
  }

  /**
   * What a handler promised, or HandlerTimeout when it does not come in time, or HandlerStopped.
   * What comes later is nobody's: `giveUp` has to see to it that it does no harm.
   */
  async inTime<T>(event: RecordedEvent, promise: Promise<T>, giveUp: () => void): Promise<T> {
    const { clock, timers } = this.#outside
    const { handlerMs } = this.#bounds
    const { stopping } = this
    this.#call = { event, since: clock.monotonic() }
    const { promise: late, reject } = Promise.withResolvers<never>()
    const lateWith = (error: Error) => {
      giveUp()
      reject(error)
    }
    const timer = timers.after(handlerMs, () =>
      lateWith(
        new HandlerTimeout(
          `the handler has not settled within ${handlerMs} ms (projection.handler.ms)`,
        ),
      ),
    )
    const stopped = () => lateWith(new HandlerStopped('the projection is stopped'))
    if (stopping?.aborted === true) stopped()
    stopping?.addEventListener('abort', stopped, { once: true })
    try {
      return await Promise.race([promise, late])
    } finally {
      timer.cancel()
      stopping?.removeEventListener('abort', stopped)
      this.#call = undefined
    }
  }

  /** An event failed and is tried again. */
  fails(event: RecordedEvent, reason: string, attempts: number): void {
    this.#failing = { ...placeOf(event), reason, attempts }
  }

  /** Nothing is tried again. */
  passed(): void {
    this.#failing = undefined
  }

  trouble(): HandlerTrouble {
    const waited = this.#call && this.#outside.clock.monotonic() - this.#call.since
    const waits = this.#call !== undefined && waited !== undefined && waited > this.#bounds.heldMs
    return {
      ...(waits && this.#call !== undefined
        ? { waitsFor: { ...placeOf(this.#call.event), ms: Math.round(waited) } }
        : {}),
      ...(this.#held === undefined ? {} : { held: this.#held }),
      ...(this.#failing === undefined ? {} : { failing: this.#failing }),
    }
  }
}

const placeOf = ({ category, type, stream, version }: RecordedEvent): HandlerPlace => ({
  type: `${category}.${type}`,
  stream,
  version,
})
