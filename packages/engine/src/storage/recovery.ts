/**
 * Recovery: from what the disk holds to a store that may serve.
 *
 * 1. Read the newest checkpoint; restore machines and partitions as it says.
 * 2. Replay the first machine's records of the whole journal, the catalogue's: topics deleted and log starts moved
 *    after the checkpoint explain files that are gone (engine rule 10).
 * 3. Cut each segment to its checkpoint, take away what came later, then write the journal's groups
 *    to the segments again. Groups that no sync vouches for are written like the others: a killed
 *    process leaves them whole in the page cache.
 * 4. Sync all of it and write a checkpoint, before any reader sees it: what recovery shows, no
 *    following power cut can take away (rule 3). A new generation of the journal begins.
 *
 * A crash anywhere in between leads to the same result the next time: until the checkpoint of step
 * 4 is durable the old checkpoint and the old journal are untouched.
 *
 * A repair by decision goes on where the journal is lost with what the segments hold behind their
 * checkpoint: nothing of it is cut or taken away before step 4 is durable either.
 *
 * A torn tail of the journal is cut and counted. A hole that a later group vouches for is damage:
 * the engine then opens for reading only and leaves every byte where it is. Damage to one partition's
 * files quarantines that partition.
 */
import {
  baseOffsetOf,
  baseSequenceOf,
  LogError,
  lastOffsetOf,
  maxTimestampOf,
  NO_PRODUCER_ID,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from '@millrace/log'
import { DiskError } from '../disk/disk.ts'
import { recordsOf } from '../machines/batch-records.ts'
import type { MachineRegistry } from '../machines/registry.ts'
import {
  PARTITIONS_FOLDER,
  type PartitionLog,
  type PartitionRecord,
  partitionFolder,
} from '../partitions/partition-log.ts'
import { pauseOf } from '../turns.ts'
import type { CheckpointHead, StoredCheckpoint } from './checkpoint.ts'
import { confirmCheckpoint, findCheckpoint, type Pause } from './checkpoint-file.ts'
import { entriesOf, type JournalPosition } from './journal-format.ts'
import { JournalScan, type ScannedGroup } from './journal-scan.ts'
import { judgeJournal, judgeNoCheckpoint } from './judge-journal.ts'
import type { LogStore } from './log-store.ts'
import { PartitionRestore } from './partition-restore.ts'
import { readRescue, rescue, rescued } from './rescue.ts'
import { type GivenUp, Salvage, tailOf } from './salvage.ts'
import { SegmentSyncs } from './segment-syncs.ts'

/** What recovery found, for the log and the metrics. */
export type RecoveryReport = {
  readonly fresh: boolean
  readonly clean: boolean
  readonly groups: number
  readonly batches: number
  /** Records of internal partitions that no machine knows: they are in no later checkpoint. */
  readonly unclaimed: number
  /** Where the journal ends when its tail was cut, if bytes of a torn group may lie there. */
  readonly journalEnd: string
  /** Set when the journal is damaged in the middle: the engine must not write. */
  readonly damage: string | undefined
  /** What a repair by decision has given up. */
  readonly givenUp: readonly GivenUp[]
}

/** Everything that recovery restores. */
export type RecoveryTarget = {
  readonly store: LogStore
  readonly registry: MachineRegistry
}

/** What recovery leaves to be done. */
export type Recovered = {
  readonly report: RecoveryReport
  /** The old checkpoint, to be followed by the one of the new generation. */
  readonly checkpoint: CheckpointHead
  /**
   * Takes away files below log starts and of deleted topics. Only once the new generation's
   * checkpoint is durable: the groups that tell of them may be in the page cache alone, left by a
   * killed process, and a power cut can take them while it keeps the unlinks.
   */
  readonly takeAway: () => void
}

/** How to recover. */
export type RecoveryOptions = {
  readonly newId: () => string
  readonly acceptLoss: boolean
  /** Called before anything is replayed into a store that must not write: its disk takes no more. */
  readonly onReadOnly: () => void
}

/** Restores the store; the journal is attached by the caller afterwards. */
export async function recover(
  target: RecoveryTarget,
  options: RecoveryOptions,
): Promise<Recovered> {
  const { disk } = target.store
  const pause = pauseOf(target.store)
  const { checkpoint, found } = await findCheckpoint(disk, pause)
  if (checkpoint === null) {
    const missing = judgeNoCheckpoint(disk, found)
    if (missing.severity === 'damage') {
      throw new LogError('KAFKA_STORAGE_ERROR', `${missing.what}: ${missing.advice}`)
    }
    return {
      report: FRESH,
      checkpoint: emptyCheckpoint(options.newId()),
      takeAway: () => undefined,
    }
  }
  await confirmCheckpoint(disk, checkpoint, pause)
  const recovery = new Recovery(target, checkpoint, options)
  const report = await recovery.run()
  return { report, checkpoint: checkpoint.head, takeAway: () => recovery.takeAway() }
}

const NO_POSITION: JournalPosition = {
  salt: '',
  path: '',
  position: 0,
  seq: 0,
  checksum: 0,
  files: [],
  fileBytes: 0,
}

const FRESH: RecoveryReport = {
  fresh: true,
  clean: true,
  groups: 0,
  batches: 0,
  unclaimed: 0,
  journalEnd: '',
  damage: undefined,
  givenUp: [],
}

const emptyCheckpoint = (logId: string): CheckpointHead => ({
  number: 0,
  logId,
  clean: true,
  journal: NO_POSITION,
})

class Recovery {
  readonly #target: RecoveryTarget
  readonly #stored: StoredCheckpoint
  readonly #checkpoint: CheckpointHead
  readonly #acceptLoss: boolean
  readonly #onReadOnly: () => void
  readonly #pause: Pause
  /** Partitions that the journal's tail has batches of. */
  readonly #touched = new Set<number>()
  #groups = 0
  #batches = 0
  #unclaimed = 0
  /** The offset behind the last record of the first machine that the journal gave. */
  #firstNext = 0
  /** The journal is damaged: every byte stays, so that a restored file brings everything back. */
  #readOnly = false
  readonly #doomedFolders: string[] = []
  readonly #salvage: Salvage
  readonly #restore: PartitionRestore
  /** The operator goes on without what a damaged journal has lost. */
  #salvagesJournal = false

  constructor(target: RecoveryTarget, stored: StoredCheckpoint, options: RecoveryOptions) {
    this.#salvage = new Salvage(target.store.disk)
    this.#target = target
    this.#stored = stored
    this.#checkpoint = stored.head
    this.#acceptLoss = options.acceptLoss
    this.#onReadOnly = options.onReadOnly
    this.#pause = pauseOf(target.store)
    this.#restore = new PartitionRestore({
      store: target.store,
      stored,
      acceptLoss: options.acceptLoss,
      salvage: this.#salvage,
      pause: this.#pause,
    })
  }

  async run(): Promise<RecoveryReport> {
    const { store } = this.#target
    await this.#restoreMachines()
    const scan = new JournalScan(store.disk, this.#checkpoint.journal)
    try {
      const { lastSeq, end } = this.#replayFirst(scan)
      const damage = this.#journalDamage(scan, lastSeq)
      this.#readOnly = damage !== undefined && !this.#acceptLoss
      if (this.#readOnly) this.#onReadOnly()
      this.#salvagesJournal = damage !== undefined && this.#acceptLoss
      if (this.#salvagesJournal) this.#salvageFirst(scan, lastSeq)
      await this.#restore.run({
        touched: this.#touched,
        isReadOnly: this.#readOnly,
        isSalvaged: this.#salvagesJournal,
      })
      await this.#applySalvaged()
      if (!this.#readOnly) this.#removeUnknown()
      await this.#applyRescued()
      await this.#replayGroups(scan, lastSeq)
      this.#forgetLost()
      this.#renewEpochs()
      return {
        fresh: false,
        clean: this.#checkpoint.clean,
        groups: this.#groups,
        batches: this.#batches,
        unclaimed: this.#unclaimed,
        journalEnd: end,
        damage: this.#acceptLoss ? undefined : damage,
        givenUp: this.#salvage.givenUp,
      }
    } finally {
      scan.close()
    }
  }

  async #restoreMachines(): Promise<void> {
    const { registry } = this.#target
    for (const rows of this.#stored.rows(['machine', 'unsorted'])) {
      if (rows.kind === 'unsorted') {
        for (const record of rows.records) registry.replay(rows.partitionId, record)
      }
      if (rows.kind !== 'machine') continue
      const [unknown] = registry.restore(new Map([[rows.name, rows.records]]))
      if (unknown !== undefined) {
        throw new LogError(
          'KAFKA_STORAGE_ERROR',
          `the checkpoint holds state of ${unknown}, which this version does not know and would lose: open it with the version that wrote it`,
        )
      }
      await this.#pause()
    }
  }

  /** See {@link Recovered}. What the disk does not let go is found again at the next open. */
  takeAway(): void {
    const { disk } = this.#target.store
    try {
      for (const path of [...this.#restore.doomedFiles, ...this.#salvage.obsolete])
        disk.unlink(path)
      for (const partition of this.#target.store.partitions.values()) {
        if (!partition.isSalvaged) continue
        partition.isSalvaged = false
        this.#restore.cutTo(partition, partition.segments)
        this.#restore.removeUnused(partition)
      }
      for (const folder of this.#doomedFolders) {
        for (const name of disk.list(folder)) disk.unlink(`${folder}/${name}`)
        disk.removeFolder(folder)
      }
    } catch (cause) {
      if (!(cause instanceof DiskError)) throw cause
    }
  }

  #replayFirst(scan: JournalScan): { lastSeq: number; end: string } {
    const { first } = this.#target.registry
    let lastSeq = this.#checkpoint.journal.seq
    let end = `${this.#checkpoint.journal.path}:${this.#checkpoint.journal.position}`
    for (const { header, payload, path, position } of scan.groups()) {
      for (const { partitionId, batch } of entriesOf(payload)) {
        this.#touched.add(partitionId)
        if (partitionId !== first.partition.id) continue
        this.#replay(partitionId, batch)
        this.#firstNext = lastOffsetOf(batch) + 1
      }
      lastSeq = header.seq
      end = `${path}:${position}`
    }
    return { lastSeq, end }
  }

  /** What is wrong with the journal, in the words of verification. */
  #journalDamage(scan: JournalScan, lastSeq: number): string | undefined {
    const findings = judgeJournal(this.#target.store.disk, this.#checkpoint, scan, lastSeq)
    const found = findings.find(({ severity }) => severity === 'damage')
    if (found === undefined) return undefined
    return `the journal is damaged: ${found.path} at byte ${found.position}: ${found.what}`
  }

  #recordOf(id: number): PartitionRecord | undefined {
    for (const rows of this.#stored.rows(['partitions'])) {
      const found = rows.kind === 'partitions' ? rows.records.find(known => known.id === id) : null
      if (found) return found
    }
    return undefined
  }

  /** What the catalogue's own segments, and groups behind a hole, say of topics. */
  #salvageFirst(scan: JournalScan, lastSeq: number): void {
    const { store, registry } = this.#target
    const { id } = registry.first.partition
    const record = this.#recordOf(id)
    const empty = { id, nextOffset: 0, segments: [] }
    let next = this.#firstNext
    for (const batch of tailOf(store.disk, partitionFolder(id), record ?? empty)) {
      if (baseOffsetOf(batch) < next) continue
      this.#replay(id, batch)
      next = lastOffsetOf(batch) + 1
    }
    for (const { payload } of scan.behind(lastSeq)) {
      for (const { partitionId, batch } of entriesOf(payload)) {
        if (partitionId === id && baseOffsetOf(batch) >= next) this.#replay(id, batch)
      }
    }
  }

  /** Carries out what was planned, and writes again what only segments still hold. */
  async #applySalvaged(): Promise<void> {
    await this.#salvage.carryOut()
    if (!this.#salvagesJournal) return
    const { store, registry } = this.#target
    for (const partition of store.partitions.values()) {
      const { id, folder } = partition
      const empty = { id, nextOffset: 0, segments: [] }
      const isNew = partition.segments.length === 0 && partition.nextOffset === 0
      const tail = this.#restore.tails.get(id) ?? (isNew ? tailOf(store.disk, folder, empty) : [])
      for (const batch of tail) {
        if (baseOffsetOf(batch) < partition.nextOffset) continue
        if (id !== registry.first.partition.id) this.#replay(id, batch)
        await this.#freeFiles()
        this.#applyBatch(partition, batch)
      }
    }
    for (const name of store.disk.list(PARTITIONS_FOLDER)) {
      if (store.partitions.has(Number(name))) continue
      this.#salvage.giveUpUnknown(Number(name), partitionFolder(Number(name)))
    }
  }

  #removeUnknown(): void {
    const { store } = this.#target
    for (const name of store.disk.list(PARTITIONS_FOLDER)) {
      const partition = store.partitions.get(Number(name))
      const folder = partitionFolder(Number(name))
      if (partition === undefined) this.#doomedFolders.push(folder)
      else if (!partition.isSalvaged) this.#restore.removeUnused(partition)
    }
  }

  async #applyRescued(): Promise<void> {
    const { store } = this.#target
    for (const id of rescued(store.disk)) {
      const partition = store.partitions.get(id)
      if (partition === undefined || partition.trouble !== undefined) continue
      for (const batch of readRescue(store.disk, id)) {
        await this.#freeFiles()
        this.#applyBatch(partition, batch)
      }
    }
  }

  async #replayGroups(scan: JournalScan, lastSeq: number): Promise<void> {
    const { store, registry } = this.#target
    const stranded = new Map<number, Buffer[]>()
    for (const { payload } of this.#groupsOf(scan, lastSeq)) {
      this.#groups += 1
      for (const { partitionId, batch } of entriesOf(payload)) {
        const partition = store.partitions.get(partitionId)
        // Those that were salvaged from a segment have been replayed.
        const isKnown = this.#salvagesJournal && baseOffsetOf(batch) < (partition?.nextOffset ?? 0)
        if (partitionId !== registry.first.partition.id && !isKnown) {
          this.#replay(partitionId, batch)
        }
        if (partition === undefined) continue // its topic has been deleted since
        if (partition.trouble === undefined) {
          if (!store.cache.mayHold('writer')) await this.#freeFiles()
          this.#applyBatch(partition, batch)
        } else {
          const batches = stranded.get(partitionId) ?? []
          batches.push(Buffer.from(batch))
          stranded.set(partitionId, batches)
        }
      }
    }
    if (this.#readOnly) return
    for (const [id, batches] of stranded) await rescue(store.disk, id, batches)
  }

  *#groupsOf(scan: JournalScan, lastSeq: number): Generator<ScannedGroup> {
    for (const group of scan.groups()) {
      if (group.header.seq > lastSeq) break
      yield group
    }
    if (this.#salvagesJournal) yield* scan.behind(lastSeq)
  }

  /** Gives the records of an internal partition to their machines. */
  #replay(partitionId: number, batch: Buffer): void {
    const { registry } = this.#target
    if (!registry.has(partitionId)) return
    for (const record of recordsOf(batch)) {
      if (!registry.replay(partitionId, record)) this.#unclaimed += 1
    }
  }

  /** Files with unsynced bytes cannot be closed: where there are too many, they are synced. */
  async #freeFiles(): Promise<void> {
    const { cache, partitions } = this.#target.store
    if (cache.mayHold('writer')) return
    await new SegmentSyncs(this.#target.store, { opening: true }).files(partitions.values())
  }

  #applyBatch(partition: PartitionLog, batch: Buffer): void {
    const baseOffset = baseOffsetOf(batch)
    if (baseOffset < partition.nextOffset) {
      this.#noteProducer(partition, batch) // the checkpoint has it, perhaps without its producer
      return
    }
    if (baseOffset > partition.nextOffset && this.#acceptLoss) {
      this.#salvage.giveUp(partition, partition.nextOffset, baseOffset - 1)
      partition.skipTo(baseOffset)
    }
    if (baseOffset > partition.nextOffset) {
      partition.quarantine(
        `offset ${partition.nextOffset} is missing: the journal goes on with ${baseOffset}`,
      )
      return
    }
    const now = this.#target.store.outside.clock.now()
    // What a repair has found may be in no journal: it is written now or not at all.
    partition.restoreBatch(batch, now, !this.#acceptLoss)
    this.#batches += 1
    this.#noteProducer(partition, batch)
  }

  /** Replays a batch into its producer's ledger, unless the checkpoint's copy knows it already. */
  #noteProducer(partition: PartitionLog, batch: Buffer): void {
    const producerId = producerIdOf(batch)
    if (producerId === NO_PRODUCER_ID) return
    const produced = {
      producerId,
      epoch: producerEpochOf(batch),
      baseSequence: baseSequenceOf(batch),
      recordCount: recordCountOf(batch),
    }
    if (partition.producers.judge(produced).kind !== 'new') return
    const now = this.#target.store.outside.clock.now()
    partition.producers.replay(produced, baseOffsetOf(batch), maxTimestampOf(batch), now)
  }

  /** What checkpoints note of producers may be ahead of what was durable. */
  #forgetLost(): void {
    for (const { producers, nextOffset } of this.#target.store.partitions.values()) {
      if (producers.size > 0) producers.forgetFrom(nextOffset)
    }
  }

  /** Where acknowledged records may be lost, offsets may be given out twice: a new epoch says so. */
  #renewEpochs(): void {
    const { partitions } = this.#target.store
    // How much a damaged journal has lost at its end nobody knows.
    const lost = this.#salvagesJournal ? partitions.values() : this.#salvage.touched
    const renewed = new Set(lost)
    for (const partition of renewed) partition.startEpoch()
    if (this.#checkpoint.clean) return
    for (const partition of this.#target.store.partitions.values()) {
      const isRenewed = renewed.has(partition)
      if (partition.config.durability !== 'sync' && !isRenewed) partition.startEpoch()
    }
  }
}
