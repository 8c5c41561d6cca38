/**
 * The simulation kit: a whole engine on a disk that forgets, under virtual time, from one seed.
 *
 *     const outside = new VirtualOutside(seed)
 *     const disk = new SimDisk({ timers: outside.timers, latencyMs: () => 0.2 })
 *     const engine = await outside.drive(openEngine({ folder: '', disk, outside }))
 *     ...
 *     const next = outside.reboot()
 *     const after = disk.crash({ kind: 'power', choose: seededChoose(seed), timers: next.timers })
 */

export {
  type Choose,
  type DriveOptions,
  type EveryOutcomeOptions,
  everyOutcome,
  Prng,
  scriptedChoose,
  seededChoose,
  VirtualOutside,
} from '@millrace/base/simulation'
export { DiskError } from './disk/disk.ts'
export { type Crash, SimDisk } from './disk/sim-disk.ts'
export {
  CALM,
  type Climate,
  climatePlan,
  type DiskCall,
  type DiskCallKind,
  drawClimate,
  type Fault,
  type FaultPlan,
  failNth,
} from './disk/sim-faults.ts'
export { type CutDetail, SECTOR_BYTES } from './disk/sim-inode.ts'
export { type CrashMoment, type SimDiskOptions, SimulatedCrash } from './disk/sim-machine.ts'
