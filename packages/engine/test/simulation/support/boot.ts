// Boots on a given disk, for tests that choose the disk's future themselves.
import { LogError } from '@millrace/log'
import type { Engine } from '../../../src/engine.ts'
import type { GivenUp } from '../../../src/index.ts'
import { type EngineEvent, openEngine } from '../../../src/open-engine.ts'
import type { EngineSettings } from '../../../src/settings.ts'
import { SimDisk, type VirtualOutside } from '../../../src/simulation.ts'
import { audit } from './audit.ts'
import type { Oracle } from './oracle.ts'
import { appendEverywhere, type Step, stop } from './script.ts'
import type { CrashKind, Life } from './world.ts'

/** As small as it goes, so that everything happens within a few operations. */
export const SMALL: Partial<EngineSettings> = {
  'journal.file.bytes': 65_536,
  'journal.max.bytes': 131_072,
  'journal.group.max.bytes': 16_384,
  'checkpoint.interval.ms': 1000,
  'log.retention.check.interval.ms': 1000,
  'disk.reserve.bytes': 0,
  'segment.memory.max.bytes': 0,
}

export type BootOptions = {
  readonly settings?: Partial<EngineSettings>
  readonly acceptLoss?: boolean
  readonly onEvent?: (event: EngineEvent) => void
  readonly onGivenUp?: (offsets: readonly GivenUp[]) => void
}

/** A disk on which nothing is. */
export function freshDisk(outside: VirtualOutside): SimDisk {
  return new SimDisk({ timers: outside.timers })
}

/** Opens; undefined when the disk crashes meanwhile. Throws what opening throws. */
export async function boot(
  disk: SimDisk,
  outside: VirtualOutside,
  options: BootOptions = {},
): Promise<Life | undefined> {
  const { settings = {}, ...rest } = options
  const opening = openEngine({
    ...rest,
    folder: '',
    disk,
    outside,
    settings: { ...SMALL, ...settings },
  })
  let engine: Engine | undefined
  try {
    engine = await outside.drive(opening, { until: () => disk.crashed })
  } catch (cause) {
    if (!disk.crashed) throw cause
  }
  return disk.crashed || engine === undefined ? undefined : { engine, disk, outside }
}

/** Opens where nothing may stand in the way. */
export async function mustBoot(
  disk: SimDisk,
  outside: VirtualOutside,
  options: BootOptions = {},
): Promise<Life> {
  const life = await boot(disk, outside, options)
  if (life === undefined) throw new Error('the disk has crashed')
  return life
}

/**
 * Opens and runs a script, reopening behind every stop, until it ends or the disk crashes. Refusals
 * of a failing disk end it as well; the answer is the life that is left.
 */
export async function perform(
  disk: SimDisk,
  outside: VirtualOutside,
  oracle: Oracle,
  steps: readonly Step[],
  options: BootOptions = {},
): Promise<Life | undefined> {
  let life = await boot(disk, outside, options)
  for (const step of steps) {
    if (life === undefined) return undefined
    try {
      await outside.drive(step({ life, oracle }), { until: () => disk.crashed })
    } catch (cause) {
      if (disk.crashed) return undefined
      if (!(cause instanceof LogError)) throw cause
    }
    if (disk.crashed) return undefined
    if (step === stop) life = await boot(disk, outside, options)
  }
  return life
}

/** The next boot after a crash: audit, then everything takes a record again, then an orderly end. */
export async function recoverAndAudit(
  disk: SimDisk,
  outside: VirtualOutside,
  oracle: Oracle,
  after: CrashKind,
): Promise<void> {
  const life = await mustBoot(disk, outside)
  const { state, reason, partitions } = life.engine.health()
  if (state !== 'ready' || partitions.length > 0) {
    throw new Error(`${state}: ${reason} ${JSON.stringify(partitions)}`)
  }
  await audit(life, oracle, after)
  await appendEverywhere(life, oracle)
  await outside.drive(life.engine.close())
  await outside.advance(1000) // what was under way in the background ends by itself
  if (disk.misuse.length > 0 || disk.openFiles > 0) {
    throw new Error(`files: ${disk.openFiles} left open, ${disk.misuse.join('; ')}`)
  }
}
