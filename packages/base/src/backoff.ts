/**
 * How long to wait before the next try: doubling from a first wait up to a bound, with jitter, so
 * that clients which failed together do not come back together.
 */
import { type Random, randomBelow } from './outside.ts'

/** Bounds of the waits between tries, in ms. */
export type Backoff = { readonly firstMs: number; readonly maxMs: number }

/** Part of each wait that is drawn at random. */
const JITTER = 0.2
const DOUBLINGS_MAX = 30
const RANDOM_STEPS = 1_000_000

/** The wait before try `failures` + 1; `failures` counts from 1. */
export function backoffMs(backoff: Backoff, failures: number, random: Random): number {
  const doublings = Math.min(Math.max(failures - 1, 0), DOUBLINGS_MAX)
  const full = Math.min(backoff.maxMs, backoff.firstMs * 2 ** doublings)
  const drawn = randomBelow(random, RANDOM_STEPS) / RANDOM_STEPS
  return full * (1 - JITTER + 2 * JITTER * drawn)
}
