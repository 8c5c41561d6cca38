/**
 * The machines of the engine beside the catalogue. A new coordinator is a folder beside this file and a
 * line here: checkpoint, recovery, verification and trimming find it by the registry.
 */
import { ClassicGroupsMachine } from './classic-groups/classic-groups-machine.ts'
import { OffsetsMachine } from './offsets/offsets-machine.ts'

/** Empty machines, in the order in which checkpoints list them. */
export const createMachines = (): {
  readonly offsets: OffsetsMachine
  readonly classicGroups: ClassicGroupsMachine
} => ({
  offsets: new OffsetsMachine(),
  classicGroups: new ClassicGroupsMachine(),
})
