/**
 * Where decisions become records: the one way by which machines change, and by which answers wait.
 *
 * A commit is entered whole or not at all: room for all of it is looked for first, then its records,
 * of any machines in any partitions, go into the open commit group together with record batches of
 * clients, and the machines replay them. Nothing is left out in silence: what does not fit is refused
 * before anything has changed.
 */
import { LogError, RecordBatchBuilder } from '@millrace/log'
import type { Machine, MachineRecord } from './machine.ts'

/** What one machine commits. */
export type MachineCommit = {
  readonly machine: Machine
  readonly records: readonly MachineRecord[]
}

/** A checked record batch of a client that belongs to a commit. */
export type CommittedBatch = {
  readonly partitionId: number
  readonly batch: Buffer
  readonly recordCount: number
}

/** What else belongs to a commit. */
export type CommitOptions = {
  readonly batches?: readonly CommittedBatch[]
  /** It deletes something: on a full disk there is room kept for it in the journal. */
  readonly makesRoom?: boolean
}

/** The commit groups below, as the runtime needs them. */
export interface CommitPort {
  /** Why nothing is accepted any more, if so. */
  readonly fencedBy: string | undefined
  /** All groups up to this one are complete. */
  readonly completedGroup: number
  /** The group that takes entries now. */
  readonly openGroup: number
  /** Ms since the epoch, for the records' timestamps. */
  now(): number
  /** Size of the largest group, batches and headers. Bytes. */
  readonly groupBytesMax: number
  /** Whether batches of so many bytes fit into one group at all. */
  fitsGroup(batches: number, bytes: number): boolean
  /** Whether they fit into the open one; room is kept for those that make room. */
  fitsNow(batches: number, bytes: number, makesRoom: boolean): boolean
  /** Enters a batch into the open group. */
  enter(partitionId: number, batch: Buffer, recordCount: number, makesRoom: boolean): void
  /**
   * Resolves when the group is complete; rejects with KAFKA_STORAGE_ERROR when it never will be, and
   * with REQUEST_TIMED_OUT after `timeoutMs`.
   */
  wait(group: number, timeoutMs?: number): Promise<void>
}

/** Why a commit was refused; nothing of it has been entered. */
export class CommitRefused extends LogError {
  override readonly name: string = 'CommitRefused'
  /**
   * - `fenced`: nothing is accepted until a restart
   * - `no-room`: the open group is full; there is room again behind it
   * - `too-large`: no group could hold it; whoever can splits it
   */
  readonly reason: 'fenced' | 'no-room' | 'too-large'

  constructor(reason: CommitRefused['reason'], detail: string) {
    super('KAFKA_STORAGE_ERROR', detail)
    this.reason = reason
  }
}

/** What coordinators do with their machines. */
export interface Commits {
  /**
   * Enters records and batches into ONE commit group and replays the records, before it returns.
   * Resolves when they are durable; rejects once the journal has failed, memory being ahead of the
   * disk then until a restart. Throws {@link CommitRefused} where nothing has been entered.
   */
  commit(parts: readonly MachineCommit[], options?: CommitOptions): Promise<void>
  /**
   * Resolves when everything that any machine has committed so far is durable: every answer that was
   * computed from their state waits for it, reads, refusals and repetitions included. Rejects with
   * REQUEST_TIMED_OUT after `timeoutMs`: it may still become so.
   */
  settled(timeoutMs?: number): Promise<void>
  /** Resolves when there is room behind the group that is open now. */
  room(): Promise<void>
  /**
   * What work that can be split commits at once: so little of a group that others have room. Bytes of
   * keys and values.
   */
  readonly sliceBytes: number
}

/** Largest slice of work that can be split: it is decided, entered and replayed in one step. */
const SLICE_BYTES_MAX = 256 << 10

/** Machines over the journal. */
export class MachineRuntime implements Commits {
  readonly #port: CommitPort
  readonly #builder = new RecordBatchBuilder()
  /** The last group that holds a record of any machine. */
  #lastGroup = 0

  constructor(port: CommitPort) {
    this.#port = port
  }

  commit(
    parts: readonly MachineCommit[],
    { batches = [], makesRoom = false }: CommitOptions = {},
  ): Promise<void> {
    const port = this.#port
    if (port.fencedBy !== undefined) throw new CommitRefused('fenced', port.fencedBy)
    const entries = [...this.#batchesOf(parts, port.now()), ...batches]
    if (entries.length === 0) return this.settled()
    const bytes = entries.reduce((sum, { batch }) => sum + batch.length, 0)
    if (!port.fitsGroup(entries.length, bytes)) {
      const detail = `${bytes} bytes of records do not fit into one commit group`
      throw new CommitRefused('too-large', detail)
    }
    if (!port.fitsNow(entries.length, bytes, makesRoom)) {
      throw new CommitRefused('no-room', 'the journal has no room for coordinators now')
    }
    for (const { partitionId, batch, recordCount } of entries) {
      port.enter(partitionId, batch, recordCount, makesRoom)
    }
    for (const { machine, records } of parts) for (const record of records) machine.replay(record)
    this.#lastGroup = port.openGroup
    return port.wait(port.openGroup)
  }

  get sliceBytes(): number {
    return Math.min(SLICE_BYTES_MAX, this.#port.groupBytesMax / 4)
  }

  /** The last group with a record of any machine: what was computed from their state rests on it. */
  get lastGroup(): number {
    return this.#lastGroup
  }

  settled(timeoutMs?: number): Promise<void> {
    const port = this.#port
    if (this.#lastGroup <= port.completedGroup) return Promise.resolve()
    return port.wait(this.#lastGroup, timeoutMs)
  }

  async room(): Promise<void> {
    const port = this.#port
    await port.wait(port.openGroup)
  }

  /** One batch for each partition. */
  #batchesOf(parts: readonly MachineCommit[], now: number): readonly CommittedBatch[] {
    const byPartition = new Map<number, MachineRecord[]>()
    for (const { machine, records } of parts) {
      // What its owner would not know again at the next start would be lost.
      const stray = records.find(({ key }) => !machine.owns(key))
      if (stray !== undefined) throw new Error(`${machine.name} commits a record it does not own`)
      if (records.length === 0) continue
      const there = byPartition.get(machine.partition.id)
      if (there === undefined) byPartition.set(machine.partition.id, [...records])
      else for (const record of records) there.push(record)
    }
    return [...byPartition].map(([partitionId, records]) => {
      for (const record of records) this.#builder.append(record, now)
      return { partitionId, batch: this.#builder.finish({}), recordCount: records.length }
    })
  }
}
