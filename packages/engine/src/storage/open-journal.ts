/**
 * Opens the journal of an engine: a new generation, with a checkpoint of what recovery has restored; or,
 * where the disk has no room for that, the generation before, behind its last group. All that was restored
 * is durable in it then, and the next checkpoint that fits is like any other.
 *
 * On a full disk so nothing has to be written that is new: the journal's files are there, reads are served,
 * and deletions of topics and records, which make room, are groups of the journal.
 */
import type { Outside } from '@millrace/base'
import { type Disk, type DiskError, type DiskFile, isShortage } from '../disk/disk.ts'
import type { PartitionLog } from '../partitions/partition-log.ts'
import { pauseOf } from '../turns.ts'
import type { CheckpointHead } from './checkpoint.ts'
import { findCheckpoint, repeatCheckpoint } from './checkpoint-file.ts'
import { beginGeneration, FENCED_MARKER, leaveOldJournal } from './generation.ts'
import { Journal, STAGING_SLOTS } from './journal.ts'
import { findJournalEnd, type JournalEnd, reopenJournal } from './journal-end.ts'
import type { JournalEvents } from './journal-events.ts'
import { JournalRing } from './journal-ring.ts'
import { journalFiles } from './journal-scan.ts'
import type { RecoveryTarget } from './recovery.ts'
import { JOURNAL_FOLDER, numberOf, RingRegister, readStamp, STAMP_BYTES } from './ring-register.ts'

/** Largest commit group, and so the largest record batch. Bytes. */
const STAGING_BYTES_MAX = 16 << 20

/** What the journal is opened with. */
export type JournalOpeningParts = {
  readonly disk: Disk
  readonly outside: Outside
  readonly target: RecoveryTarget
  /** What recovery has started from. */
  readonly checkpoint: CheckpointHead
  readonly events: JournalEvents<PartitionLog>
  /** An operator's repair goes on with nothing of the journal before. */
  readonly isRepair: boolean
}

/** The journal is open: everything that was restored is durable. */
export type OpenedJournal = {
  readonly ring: JournalRing
  /** The checkpoint that counts now. */
  readonly checkpoint: CheckpointHead
  /** Why the generation before goes on, if it does. */
  readonly lacks: DiskError | undefined
}

type Made = { readonly journal: Journal<PartitionLog>; readonly ring: JournalRing }

/** The steps of opening it. */
export class JournalOpening {
  readonly #parts: JournalOpeningParts

  constructor(parts: JournalOpeningParts) {
    this.#parts = parts
  }

  /** Rejects with DiskError. */
  async open(): Promise<OpenedJournal> {
    try {
      return await this.#begin()
    } catch (cause) {
      if (!isShortage(cause)) throw cause
      const goesOn = await this.#goOn(cause)
      if (goesOn === null) throw cause
      return goesOn
    }
  }

  /** For an engine that writes nothing. */
  fenced(reason: string): void {
    this.#make(Buffer.alloc(8), []).journal.fence(reason)
  }

  /** What is left of earlier generations goes. Rejects with DiskError. */
  async leaveOld({ ring, lacks }: OpenedJournal): Promise<void> {
    if (lacks !== undefined) return
    leaveOldJournal(this.#parts.target.store, new Set(ring.files))
    await this.#parts.disk.syncFolder('')
  }

  async #begin(): Promise<OpenedJournal> {
    const { disk, checkpoint, target, outside } = this.#parts
    const salt = outside.random.bytes(8)
    const register = this.#register(salt.toString('hex'))
    // Listed before files are opened: nothing may fail between that and the ring, which closes them.
    const firstNumber = this.#firstNumber
    const files = await this.#ringFiles(register)
    const enter = (file: DiskFile): Promise<void> => register.enter([file])
    const { journal, ring } = this.#make(salt, files, { firstNumber, enter })
    try {
      await ring.start()
      // The folder itself may be as new: a checkpoint says that the journal is there.
      await disk.syncFolder('')
      const begun = await beginGeneration(target, checkpoint, journal.beginning)
      await register.begun()
      return { ring, checkpoint: begun, lacks: undefined }
    } catch (cause) {
      // Nothing is in it. Whoever goes on needs another writer.
      if (isShortage(cause)) await journal.close()
      else ring.close()
      throw cause
    }
  }

  async #goOn(lacks: DiskError): Promise<OpenedJournal | null> {
    const { disk, checkpoint, target, isRepair } = this.#parts
    const from = checkpoint.journal
    const fits = from.fileBytes === this.#fileBytes + STAMP_BYTES
    if (isRepair || !fits || disk.exists(FENCED_MARKER)) return null
    // Once a checkpoint of the new generation counts, the one before is over.
    const { checkpoint: newest } = await findCheckpoint(disk, pauseOf(target.store))
    if (newest?.head.number !== checkpoint.number) return null
    const firstNumber = this.#firstNumber
    const end = findJournalEnd(disk, from)
    const files = await reopenJournal(disk, end, from, pauseOf(target.store))
    if (files === null) return null
    const counts = await this.#unclean().catch(failure => {
      for (const file of files) file.close()
      throw failure
    })
    const register = this.#register(from.salt)
    const enter = (file: DiskFile): Promise<void> => register.enter([file])
    const { ring } = this.#make(Buffer.from(from.salt, 'hex'), files, { firstNumber, enter }, end)
    target.store.openingLacks = lacks
    return { ring, checkpoint: counts, lacks }
  }

  /** Behind a checkpoint of a clean stop no group is looked for: the same once more, without saying so. */
  async #unclean(): Promise<CheckpointHead> {
    const { disk, checkpoint, target } = this.#parts
    if (!checkpoint.clean) return checkpoint
    return repeatCheckpoint(disk, { ...checkpoint, clean: false }, pauseOf(target.store))
  }

  get #fileBytes(): number {
    return this.#parts.target.store.settings['journal.file.bytes']
  }

  get #firstNumber(): number {
    return Math.max(-1, ...journalFiles(this.#parts.disk).map(numberOf)) + 1
  }

  #register(salt: string): RingRegister {
    const { disk, checkpoint } = this.#parts
    const { logId, journal } = checkpoint
    return new RingRegister(disk, { logId, salt, before: journal.salt, fileBytes: this.#fileBytes })
  }

  #make(
    salt: Buffer,
    files: DiskFile[],
    growth: Pick<ConstructorParameters<typeof JournalRing>[1], 'firstNumber' | 'enter'> = {},
    behind?: JournalEnd,
  ): Made {
    const { disk, outside, target, events } = this.#parts
    const { settings } = target.store
    const fileBytes = this.#fileBytes
    const filesMax = Math.max(1, Math.floor(settings['journal.max.bytes'] / fileBytes))
    const pause = pauseOf({ outside })
    const ring = new JournalRing(disk, { fileBytes, filesMax, pause, ...growth }, files)
    if (behind !== undefined) {
      const used = behind.files.flatMap(({ path, ends }) =>
        files.filter(file => file.path === path).map(file => ({ file, ends })),
      )
      ring.resume(used, behind.position, behind.coveredTo)
    }
    const stagingBytes = Math.min(fileBytes, STAGING_BYTES_MAX)
    const journal = new Journal<PartitionLog>({
      writer: disk.openJournalWriter(STAGING_SLOTS, stagingBytes),
      ring,
      outside,
      salt,
      limits: {
        groupBytesMax: Math.min(settings['journal.group.max.bytes'], stagingBytes),
        stallMaxMs: settings['journal.stall.max.ms'],
        syncIntervalMs: settings['flush.interval.ms'],
      },
      events,
      ...(behind !== undefined && { behind }),
    })
    target.store.attach(journal)
    return { journal, ring }
  }

  /**
   * The files of earlier runs, to be written again, as members of the new generation: not those of
   * another size or without a stamp, nor what a failed journal has left. A killed process may have
   * left them in the page cache alone: they are synced, because it is said of them that each is there
   * and whole.
   */
  async #ringFiles(register: RingRegister): Promise<DiskFile[]> {
    const { disk } = this.#parts
    if (disk.exists(FENCED_MARKER)) return []
    const files: DiskFile[] = []
    try {
      for (const path of journalFiles(disk)) {
        const file = disk.open(path, 'write')
        files.push(file)
        const fits = file.size() === this.#fileBytes + STAMP_BYTES
        if (fits && readStamp(file)?.number === numberOf(path)) continue
        files.pop()
        file.close()
      }
      if (files.length === 0) return files
      await disk.syncFolder(JOURNAL_FOLDER)
      await register.enter(files)
      return files
    } catch (cause) {
      for (const file of files) file.close()
      throw cause
    }
  }
}
