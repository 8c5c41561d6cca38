/**
 * The watchdog of the event loop: how long requests hold it, and which one it was.
 *
 * Two measures. Each piece of a request that runs without a pause is timed and, beyond
 * `request.turn.warn.ms`, told with its API and client. And a tick that comes late tells how long the
 * loop stood still for whatever reason, with the longest piece of a request since the tick before.
 */
import type { Logger } from './logger.ts'

/** Ticks this far apart notice a loop that stands still. */
export const TICK_MS = 500
/** Figures of the longest piece are of the last one or two of these. */
const WINDOW_MS = 60_000
const CLIENT_ID_CHARACTERS_MAX = 64

/** Whose request it is. */
export type Asking = {
  readonly peer: string
  readonly api: string
  readonly version: number
  readonly clientId: string
}

type Longest = { readonly ms: number; readonly asking: Asking | undefined }

const NOTHING: Longest = { ms: 0, asking: undefined }

/** The watch over one node's loop. */
export class TurnWatch {
  readonly #now: () => number
  readonly #warnMs: number
  readonly #logger: Logger
  #windowMs = 0
  #windowBeforeMs = 0
  #windowBegunAt: number
  #sinceTick = NOTHING
  #tickedAt: number | undefined
  #standstillMs = 0
  #slow = 0

  /** @param now monotonic, in ms */
  constructor(now: () => number, warnMs: number, logger: Logger) {
    this.#now = now
    this.#warnMs = warnMs
    this.#logger = logger
    this.#windowBegunAt = now()
  }

  /** Runs one piece of a request and takes its time. */
  run<T>(asking: () => Asking, work: () => T): T {
    const begunAt = this.#now()
    try {
      return work()
    } finally {
      const ms = this.#now() - begunAt
      if (ms > this.#sinceTick.ms || ms >= this.#warnMs) this.#note(ms, asking())
    }
  }

  /** Called about every {@link TICK_MS}. */
  tick(): void {
    const now = this.#now()
    const late = this.#tickedAt === undefined ? 0 : now - this.#tickedAt - TICK_MS
    this.#tickedAt = now
    this.#standstillMs = Math.max(this.#standstillMs, late)
    if (late >= this.#warnMs) {
      const { ms, asking } = this.#sinceTick
      const longest = asking === undefined ? {} : { request: shown(asking), requestMs: round(ms) }
      this.#logger.warn({ ms: round(late), ...longest }, 'the event loop stood still')
    }
    this.#sinceTick = NOTHING
    if (now - this.#windowBegunAt < WINDOW_MS) return
    this.#windowBegunAt = now
    this.#windowBeforeMs = this.#windowMs
    this.#windowMs = 0
  }

  /** Figures, in ms and counts. */
  metrics(): Readonly<Record<string, number>> {
    return {
      request_turn_longest_ms: round(Math.max(this.#windowMs, this.#windowBeforeMs)),
      request_turns_slow_total: this.#slow,
      loop_standstill_longest_ms: round(this.#standstillMs),
    }
  }

  #note(ms: number, asking: Asking): void {
    if (ms > this.#sinceTick.ms) this.#sinceTick = { ms, asking }
    this.#windowMs = Math.max(ms, this.#windowMs)
    if (ms < this.#warnMs) return
    this.#slow += 1
    this.#logger.warn(
      { peer: asking.peer, request: shown(asking), ms: round(ms) },
      'a request held the event loop',
    )
  }
}

const round = (ms: number): number => Math.round(ms * 10) / 10

/** For a line that people read: nothing in it comes from the client as it is. */
function shown({ api, version, clientId }: Asking): string {
  const client = clientId.slice(0, CLIENT_ID_CHARACTERS_MAX).replaceAll(/[^\w.:@/+-]/g, '?')
  return `${api} version ${version} of client ${client === '' ? '(no id)' : client}`
}
