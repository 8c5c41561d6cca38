// D3: each call of the disk fails once: the first in the first run, the second in the second, until a
// run ends without a failure. Nothing that was acknowledged is lost, the producer is told, opening
// never hangs, and afterwards a restart heals.
import { LogError } from '@millrace/log'
import { expect, test } from 'vitest'
import {
  type DiskCall,
  DiskError,
  type Fault,
  failNth,
  type SimDisk,
  VirtualOutside,
} from '../../src/simulation.ts'
import { audit } from './support/audit.ts'
import { freshDisk, perform, recoverAndAudit } from './support/boot.ts'
import { Oracle } from './support/oracle.ts'
import { append } from './support/script.ts'
import { WORKLOADS } from './support/workloads.ts'
import type { Life } from './support/world.ts'

const CALLS_MAX = 3000
/** Bounds the wait for an orderly end on a disk that goes on failing. */
const CLOSE_MAX_MS = 600_000

const NAMES = [
  'roll behind a checkpoint',
  'delete while appends are under way',
  'stop and start',
  'delete records',
] as const
const ERRORS = ['EIO', 'ENOSPC', 'EMFILE'] as const

const cases = NAMES.flatMap(name =>
  ERRORS.flatMap(error => [false, true].map(permanent => ({ name, error, permanent }))),
)

test.each(cases)(
  '$name, every call once $error, permanent: $permanent',
  async ({ name, error, permanent }) => {
    let n = 1
    for (; n <= CALLS_MAX; n += 1) {
      const failing = failNth(n, error, { permanent, taken: n % 2 === 0 ? 'part' : 'none' })
      let hits = 0
      const plan = (call: DiskCall): Fault | undefined => {
        const fault = failing(call)
        if (fault !== undefined) hits += 1
        return fault
      }
      try {
        await oneRun(name, plan)
      } catch (cause) {
        throw new Error(`call ${n}: ${cause instanceof Error ? cause.stack : cause}`, { cause })
      }
      if (hits === 0) break
    }
    expect(n).toBeGreaterThan(20)
    expect(n).toBeLessThan(CALLS_MAX)
  },
)

async function oneRun(name: string, plan: (call: DiskCall) => Fault | undefined): Promise<void> {
  const outside = new VirtualOutside(1)
  const disk = freshDisk(outside)
  const oracle = new Oracle()
  disk.faults = plan
  let life: Life | undefined
  try {
    life = await perform(disk, outside, oracle, WORKLOADS[name] ?? [])
  } catch (cause) {
    // Opening may fail, with an error that says what to do.
    if (!(cause instanceof LogError) || cause.code !== 'KAFKA_STORAGE_ERROR') throw cause
  }
  if (life !== undefined) await end(disk, life)
  disk.faults = undefined
  // Behind an orderly end as behind a kill: a power cut comes, then a good disk.
  const next = outside.reboot()
  const after = disk.crash({ kind: 'power', timers: next.timers, choose: () => 0 })
  await recoverAndAudit(after, next, oracle.clone(), 'power')
  const other = outside.reboot()
  const kept = disk.crash({ kind: 'kill', timers: other.timers })
  await recoverAndAudit(kept, other, oracle.clone(), 'kill')
}

/** Closes; a disk that goes on failing may make that fail, but not hang. */
async function end(disk: SimDisk, life: Life): Promise<void> {
  try {
    await life.outside.drive(life.engine.close(), { maxMs: CLOSE_MAX_MS })
  } catch (cause) {
    if (!(cause instanceof LogError) && !(cause instanceof DiskError)) throw cause
  }
  expect(disk.misuse).toEqual([])
}

test('a failed call that reaches a producer is a storage error, not a success', async () => {
  const outside = new VirtualOutside(1)
  const disk = freshDisk(outside)
  const oracle = new Oracle()
  const life = await perform(disk, outside, oracle, WORKLOADS['append twice'] ?? [])
  if (life === undefined) throw new Error('the disk has crashed')
  disk.faults = call => (call.journal ? { error: 'EIO' } : undefined)
  const { acknowledged } = oracle
  expect(await outside.drive(append('a')({ life, oracle }))).toBe(false)
  expect(oracle.acknowledged).toBe(acknowledged)
  expect(life.engine.health().state).toBe('fenced')
  disk.faults = undefined
  await audit(life, oracle, undefined)
})
