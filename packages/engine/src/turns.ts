/** How the engine's expensive work goes in slices, so that no request holds the event loop. */
import type { Timers } from '@millrace/base'

/** What one turn may take of such work, in ms: a fifth of what a turn may take in all. */
export const TURN_BUDGET_MS = 10

/** Partitions that are looked at in one turn, where a look costs little. */
export const PARTITIONS_A_TURN = 256

/** A pause that ends with the turn of the event loop. */
export const pauseOf =
  ({ outside }: { readonly outside: { readonly timers: Pick<Timers, 'soon'> } }) =>
  (): Promise<void> =>
    new Promise(resolve => outside.timers.soon(resolve))
