/**
 * One checkpoint, written in slices: each partition's segments are synced, then its row is written;
 * machines are read from snapshots of the moment at which the checkpoint began.
 *
 * Rows of partitions and producers are as they are when their turn comes, so they may reach further
 * than the journal's position beside them. Recovery passes over what a segment holds already, and
 * forgets of a producer what lies behind the end of its partition.
 */
import type { MachineSnapshots } from '../machines/registry.ts'
import type { PartitionLog, PartitionRecord } from '../partitions/partition-log.ts'
import type { Segment } from '../segments/segment.ts'
import { PARTITIONS_A_TURN, pauseOf } from '../turns.ts'
import type { CheckpointHead, Quarantined } from './checkpoint.ts'
import type { PartitionProducer } from './checkpoint-codec.ts'
import { CheckpointWriter, type Pause, storedCheckpoint } from './checkpoint-file.ts'
import { entriesOf } from './journal-format.ts'
import { JournalScan } from './journal-scan.ts'
import type { LogStore } from './log-store.ts'
import { rescue } from './rescue.ts'
import type { SegmentSyncs } from './segment-syncs.ts'

/** What a pass works with. */
export type PassParts = {
  readonly store: LogStore
  readonly machines: MachineSnapshots
  /** The last durable checkpoint: what it lists of fenced partitions still holds. */
  readonly last: CheckpointHead
  readonly next: CheckpointHead
  readonly syncs: SegmentSyncs
}

/** Quarantined partitions and their reasons, as a checkpoint keeps them. */
const quarantinedOf = (store: LogStore): Quarantined =>
  [...store.partitions.values()].flatMap(({ id, trouble }) =>
    trouble?.state === 'quarantined' ? [[id, trouble.reason] as const] : [],
  )

/** Writes one checkpoint. */
export class CheckpointPass {
  readonly #parts: PassParts
  readonly #pause: Pause
  /** Partitions that are listed as the last checkpoint does; what they got since goes to a rescue. */
  readonly #fenced = new Set<PartitionLog>()
  readonly #covered: (readonly [segment: Segment, bytes: number])[] = []

  constructor(parts: PassParts) {
    this.#parts = parts
    this.#pause = pauseOf(parts.store)
  }

  /** Resolves when the checkpoint is durable; rejects with DiskError and NoAnswer. */
  async run(): Promise<void> {
    const { store, next, machines, syncs } = this.#parts
    const writer = new CheckpointWriter(store.disk, next, this.#pause)
    try {
      for (const [name, snapshot] of machines) await writer.machine(name, snapshot.records())
      await this.#writePartitions(writer)
      await this.#writeFenced(writer)
      await this.#syncFolders()
      await writer.quarantined(quarantinedOf(store))
      await syncs.limited(writer.finish())
    } finally {
      writer.close()
    }
    for (const [segment, bytes] of this.#covered) segment.checkpointedBytes = bytes
  }

  async #writePartitions(writer: CheckpointWriter): Promise<void> {
    let some: PartitionLog[] = []
    for (const partition of this.#parts.store.partitions.values()) {
      some.push(partition)
      if (some.length < PARTITIONS_A_TURN) continue
      await this.#writeSome(writer, some)
      some = []
    }
    await this.#writeSome(writer, some)
  }

  async #writeSome(writer: CheckpointWriter, partitions: readonly PartitionLog[]): Promise<void> {
    // Rows first, then the syncs that cover them: what is appended meanwhile is for the next time.
    const rows = partitions.map(partition => ({ partition, record: this.#rowOf(partition) }))
    const { syncs } = this.#parts
    await syncs.files(partitions)
    await syncs.names(partitions)
    const whole = rows.filter(({ partition }) => !this.#isFenced(partition))
    await writer.partitions(whole.map(({ record }) => record))
    await writer.producers(producersOf(partitions))
  }

  #rowOf(partition: PartitionLog): PartitionRecord {
    for (const segment of partition.segments) {
      if (segment.checkpointedBytes !== segment.bytes) this.#covered.push([segment, segment.bytes])
    }
    return partition.record()
  }

  #isFenced(partition: PartitionLog): boolean {
    if (partition.trouble?.state !== 'fenced') return false
    this.#fenced.add(partition)
    return true
  }

  /** Rows are written of partitions whose folders' names turn out to be lost: nothing of it counts. */
  async #syncFolders(): Promise<void> {
    const isFenced = ({ trouble }: PartitionLog): boolean => trouble?.state === 'fenced'
    const before = [...this.#parts.store.partitions.values()].filter(isFenced).length
    await this.#parts.syncs.folders()
    const after = [...this.#parts.store.partitions.values()].filter(isFenced).length
    if (after > before) throw new Error('the names of partitions failed to sync')
  }

  /** What fenced partitions got since the last checkpoint goes to their rescue files. */
  async #writeFenced(writer: CheckpointWriter): Promise<void> {
    if (this.#fenced.size === 0) return
    const { store, last } = this.#parts
    const ids = new Set([...this.#fenced].map(({ id }) => id))
    await this.#rescue(ids)
    for (const rows of storedCheckpoint(store.disk, last).rows(['partitions'])) {
      if (rows.kind !== 'partitions') continue
      await writer.partitions(rows.records.filter(({ id }) => ids.has(id)))
      await this.#pause()
    }
  }

  /** Copies what partitions miss out of the journal, so that they do not pin it. */
  async #rescue(ids: ReadonlySet<number>): Promise<void> {
    const { store, last } = this.#parts
    const wanted = new Map([...ids].map(id => [id, [] as Buffer[]]))
    // Later groups stay in the journal, which this checkpoint does not free.
    const end = store.journal.completedSeq
    const scan = new JournalScan(store.disk, last.journal)
    try {
      for (const { header, payload } of scan.groups()) {
        if (header.seq > end) break
        for (const { partitionId, batch } of entriesOf(payload)) {
          wanted.get(partitionId)?.push(batch)
        }
        await this.#pause()
      }
    } finally {
      scan.close()
    }
    for (const [id, batches] of wanted) {
      if (batches.length > 0) await rescue(store.disk, id, batches)
    }
  }
}

function* producersOf(partitions: readonly PartitionLog[]): Generator<PartitionProducer> {
  for (const { id, producers } of partitions) {
    for (const producer of producers.records()) yield { partitionId: id, producer }
  }
}
