/** The waits between tries, with the bounds of the client's settings. */
import { backoffMs, sleep } from '@millrace/base'
import type { KafkaClientOutside } from './outside.ts'
import type { ClientSettings } from './settings.ts'

/** Waits before the next try; `failures` counts from 1. */
export function backoff(
  outside: KafkaClientOutside,
  settings: ClientSettings,
  failures: number,
): Promise<void> {
  const bounds = {
    firstMs: settings['retry.backoff.ms'],
    maxMs: settings['retry.backoff.max.ms'],
  }
  return sleep(outside.timers, backoffMs(bounds, failures, outside.random))
}
