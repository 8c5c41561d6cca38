/** What `/readyz` says, from the engine's health: ready means that clients can write and read. */
import type { EngineHealth } from '@millrace/engine'
import type { Readiness } from './http-server.ts'

/** Damaged partitions do not make the others unready: they are listed either way. */
export function readinessOf(health: EngineHealth): Readiness {
  const { partitions, clockHeldBackMs } = health
  const damaged = {
    ...(partitions.length > 0 ? { partitions } : {}),
    // Serving goes on; but somebody should look at the clock before it is believed.
    ...(clockHeldBackMs > 0 ? { clockHeldBackMs } : {}),
  }
  if (health.state !== 'ready') {
    return {
      ready: false,
      reason: health.reason ?? `the engine is ${health.state}`,
      detail: { state: health.state, ...damaged },
    }
  }
  if (health.diskFull) {
    return {
      ready: false,
      reason: `records are refused, the disk is full: ${health.reason ?? 'no room'}`,
      detail: { state: 'disk full', ...damaged },
    }
  }
  return { ready: true, detail: damaged }
}
