/**
 * The waits between tries: doubling from a first wait up to a bound, with jitter, so that clients
 * which failed together do not come back together.
 */
import type { KafkaClientOutside } from './outside.ts'
import type { ClientSettings } from './settings.ts'

const DOUBLINGS_MAX = 30
/** Part of each wait that is drawn at random, to either side. */
const JITTER = 0.2
const RANDOM_STEPS = 2 ** 32

/** The wait before the next try; `failures` counts from 1. */
export function backoffMs(
  settings: ClientSettings,
  failures: number,
  random: KafkaClientOutside['random'],
): number {
  const doublings = Math.min(Math.max(failures - 1, 0), DOUBLINGS_MAX)
  const full = Math.min(
    settings['retry.backoff.max.ms'],
    settings['retry.backoff.ms'] * 2 ** doublings,
  )
  const drawn = random.bytes(4).readUInt32BE(0) / RANDOM_STEPS
  return full * (1 - JITTER + 2 * JITTER * drawn)
}

/** Waits before the next try. */
export function backoff(
  outside: KafkaClientOutside,
  settings: ClientSettings,
  failures: number,
): Promise<void> {
  return new Promise(resolve => {
    outside.timers.after(backoffMs(settings, failures, outside.random), resolve)
  })
}
