// D1: small workloads, with a crash at every operation of the disk: a killed process, and a power
// cut with every legal outcome where at most three changes are pending, else a sample of them.
// Then recovery itself is crashed, at every operation too, and must come to the same; behind that a
// sample of the outcomes is tried, and all of them with SIM_ALL=1.
import { expect, test } from 'vitest'
import {
  type Choose,
  type CrashMoment,
  everyOutcome,
  type SimDisk,
  seededChoose,
  VirtualOutside,
} from '../../src/simulation.ts'
import { audit } from './support/audit.ts'
import { boot, freshDisk, perform, recoverAndAudit } from './support/boot.ts'
import { ALL, oneOf } from './support/extent.ts'
import { Oracle } from './support/oracle.ts'
import type { Step } from './support/script.ts'
import { WORKLOADS } from './support/workloads.ts'
import type { CrashKind } from './support/world.ts'

/** Up to so many pending changes every outcome is tried. */
const ENUMERATED_MAX = 3
const SAMPLES = 4
const OPERATIONS_MAX = 2000

type Dead = { readonly disk: SimDisk; readonly outside: VirtualOutside; readonly oracle: Oracle }

/** Runs until the n-th operation; undefined when the script ends before. */
async function dieAt(
  steps: readonly Step[],
  n: number,
  moment: CrashMoment,
): Promise<Dead | undefined> {
  const outside = new VirtualOutside(1)
  const disk = freshDisk(outside)
  const oracle = new Oracle()
  disk.crashAt(n, moment)
  await perform(disk, outside, oracle, steps)
  return disk.crashed ? { disk, outside, oracle } : undefined
}

/** Every future of a dead disk, or some of them; answers how many. */
async function futures(
  { disk, outside, oracle }: Dead,
  body: (disk: SimDisk, outside: VirtualOutside, oracle: Oracle, kind: CrashKind) => Promise<void>,
): Promise<number> {
  const next = async (kind: CrashKind, choose: Choose): Promise<void> => {
    const after = outside.reboot()
    const { timers } = after
    const detail = 'few'
    const crash = kind === 'kill' ? { kind, timers } : ({ kind, timers, choose, detail } as const)
    await body(disk.crash(crash), after, oracle.clone(), kind)
  }
  await next('kill', () => 0)
  if (disk.pendingChanges <= ENUMERATED_MAX) {
    return 1 + (await everyOutcome(choose => next('power', choose)))
  }
  await next('power', () => 0)
  for (let seed = 1; seed < SAMPLES; seed += 1) await next('power', seededChoose(seed))
  return 1 + SAMPLES
}

/** One future of a disk that died in a recovery, another one for each turn; all with SIM_ALL. */
async function someFutures(
  { disk, outside, oracle }: Dead,
  turn: number,
  body: (disk: SimDisk, outside: VirtualOutside, oracle: Oracle, kind: CrashKind) => Promise<void>,
): Promise<number> {
  if (ALL) return futures({ disk, outside, oracle }, body)
  const after = outside.reboot()
  const { timers } = after
  // A kill keeps all that is pending; one power cut nothing of it, the next one some.
  const kind: CrashKind = turn % 3 === 0 ? 'kill' : 'power'
  const choose: Choose = turn % 3 === 1 ? () => 0 : seededChoose(turn)
  const detail = 'few'
  const crash = kind === 'kill' ? { kind, timers } : ({ kind, timers, choose, detail } as const)
  await body(disk.crash(crash), after, oracle.clone(), kind)
  return 1
}

test.each(Object.entries(WORKLOADS))(
  '%s: every crash leaves what was acknowledged',
  async (_, steps) => {
    let runs = 0
    for (const moment of ['before', 'during'] as const) {
      for (let n = 1; ; n += 1) {
        if (n > OPERATIONS_MAX) throw new Error('the script does not end')
        const dead = await dieAt(steps, n, moment)
        if (dead === undefined) break
        try {
          runs += await futures(dead, recoverAndAudit)
        } catch (cause) {
          throw new Error(`crash ${moment} operation ${n}: ${describe(cause)}`, { cause })
        }
      }
    }
    expect(runs).toBeGreaterThan(100)
  },
)

test.each(Object.entries(WORKLOADS))(
  '%s: recovery can be crashed anywhere',
  async (name, steps) => {
    let runs = 0
    // Every seventh operation of the workload, every operation of the recovery behind it; where
    // recovery takes files away, every second one.
    for (let n = 3; ; n += name === 'delete records' ? oneOf(2) : 7) {
      const dead = await dieAt(steps, n, 'before')
      if (dead === undefined) break
      for (const first of ['kill', 'power'] as const) {
        for (let m = 1; ; m += 1) {
          const outside = dead.outside.reboot()
          const { timers } = outside
          const disk = dead.disk.crash(
            first === 'kill'
              ? { kind: first, timers }
              : { kind: first, timers, choose: seededChoose(n), detail: 'few' },
          )
          disk.crashAt(m, 'during')
          const life = await boot(disk, outside)
          const oracle = dead.oracle.clone()
          if (life !== undefined) {
            // Recovered before it could crash: what it shows must survive a power cut at once.
            await audit(life, oracle, first)
            await futures({ disk, outside, oracle }, recoverAndAudit)
            break
          }
          try {
            const turn = n + m + (first === 'power' ? 1 : 0)
            runs += await someFutures({ disk, outside, oracle }, turn, (then, at, known, second) =>
              recoverAndAudit(then, at, known, first === 'power' ? first : second),
            )
          } catch (cause) {
            throw new Error(
              `crash at ${n}, ${first}, then at ${m} of recovery: ${describe(cause)}`,
              {
                cause,
              },
            )
          }
        }
      }
    }
    expect(runs).toBeGreaterThan(20)
  },
)

const describe = (cause: unknown): string =>
  cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
