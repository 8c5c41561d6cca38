/**
 * What becomes of halves of requests that fill the memory: nobody else is starved by them.
 *
 * While they do, each connection in the middle of a request has to go on. One that is read and sends
 * nearly nothing for `connections.frame.stall.max.ms` is closed, the oldest first, until there is room
 * again. Those that are not read, because there is no room, cannot be judged: some at a time are given
 * a try, a single read each, for a quarter of the limit.
 */

/** A connection in the middle of a request. */
export interface Half {
  /** When its request began, as far as sweeps have seen. */
  readonly begunAt: number
  /** Since when it could have gone on and did not; undefined where it is not read, or goes on. */
  readonly stalledSince: number | undefined
  /** Reads once more, though there is no room. */
  tryReading(): void
  /** Ends it, with the reason in the log. */
  shed(): void
}

/** Part of the limit that tries may take. */
const TRIES_SHARE = 0.25

/** What is asked of the limit. */
type Pressure = { readonly pressedByHalves: boolean; readonly isRelieved: boolean }

/** One sweep over the halves. */
export function shedHalves(
  halves: readonly Half[],
  pressure: Pressure,
  limits: { readonly nowMs: number; readonly stallMaxMs: number; readonly triesMax: number },
): void {
  if (!pressure.pressedByHalves) return
  const oldestFirst = [...halves].sort((a, b) => a.begunAt - b.begunAt)
  const stalled = oldestFirst.filter(
    ({ stalledSince }) =>
      stalledSince !== undefined && limits.nowMs - stalledSince >= limits.stallMaxMs,
  )
  for (const half of stalled) {
    if (pressure.isRelieved) return
    half.shed()
  }
  let tries = limits.triesMax
  for (const half of oldestFirst) {
    if (tries === 0) return
    // Who is on trial is one of them until it has been judged.
    tries -= 1
    if (half.stalledSince === undefined) half.tryReading()
  }
}

/** How many connections may be tried at once. */
export const triesMax = (limitBytes: number, readBytes: number): number =>
  Math.max(1, Math.floor((limitBytes * TRIES_SHARE) / readBytes))
