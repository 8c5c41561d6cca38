/**
 * What a checkpoint says: how far each partition's segments are synced, what the machines knew then,
 * and where in the journal to go on.
 */
import type { MachineRecord } from '../machines/machine.ts'
import type { PartitionRecord } from '../partitions/partition-log.ts'
import type { ProducerRecord } from '../partitions/producer-ledger.ts'
import type { PartitionProducer } from './checkpoint-codec.ts'
import type { JournalPosition } from './journal-format.ts'

/** What a checkpoint says of itself. */
export type CheckpointHead = {
  readonly number: number
  readonly logId: string
  /** The engine was closed: nothing is in the journal, no index needs to be built. */
  readonly clean: boolean
  readonly journal: JournalPosition
}

/** Partitions that refuse appends, with the reason, so that a restart does not forget it. */
export type Quarantined = readonly (readonly [partitionId: number, reason: string])[]

/** A slice's content. */
export type CheckpointRows =
  | {
      readonly kind: 'machine'
      readonly name: string
      readonly records: readonly MachineRecord[]
    }
  | { readonly kind: 'partitions'; readonly records: readonly PartitionRecord[] }
  | { readonly kind: 'producers'; readonly records: readonly PartitionProducer[] }
  | { readonly kind: 'quarantined'; readonly partitions: Quarantined }
  /** Records whose machine is told by their keys: from a time before machines had names. */
  | {
      readonly kind: 'unsorted'
      readonly partitionId: number
      readonly records: readonly MachineRecord[]
    }

/** A whole checkpoint, in memory: for tools and tests. */
export type Checkpoint = CheckpointHead & {
  readonly partitions: readonly PartitionRecord[]
  /** What partitions remember of their producers, by partition id. */
  readonly producers: ReadonlyMap<number, readonly ProducerRecord[]>
  /** The machines' state, by their names. */
  readonly machines: ReadonlyMap<string, readonly MachineRecord[]>
  readonly quarantined: Quarantined
}

/** A whole checkpoint on the disk, read slice by slice. */
export interface StoredCheckpoint {
  readonly head: CheckpointHead
  readonly path: string
  /** The rows, of these kinds only where some are named. Throws DiskError. */
  rows(kinds?: readonly CheckpointRows['kind'][]): Generator<CheckpointRows>
}
