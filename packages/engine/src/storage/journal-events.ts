/** What the journal tells its owner, and its bounds. */
import type { CommitGroup, JournalTarget } from './commit-group.ts'

/** What the journal tells its owner. */
export type JournalEvents<T extends JournalTarget> = {
  /** The group's bytes are fixed; state machines stand exactly behind it. Synchronous. */
  readonly onSealed: (group: CommitGroup<T>) => void
  /** The group is as durable as it asked for; runs before its waiters are answered. Synchronous. */
  readonly onComplete: (group: CommitGroup<T>) => void
  /** There was room again after `hasRoom` had answered false. */
  readonly onRoom: () => void
  /** Something has run out (`Journal.lacks`): whoever waits for room is to be told. */
  readonly onLack: () => void
  /**
   * The ring is getting full: a checkpoint would free it. Answers whether one is on its way that does
   * not need a further group to be sealed.
   */
  readonly onPressure: () => boolean
  /**
   * Whether the disk lacks room, so that no checkpoint may free the ring soon: then the last of it is
   * kept for deletions.
   */
  readonly isShort: () => boolean
  readonly onFenced: (reason: string) => void
}

/** Bounds of the journal. */
export type JournalLimits = {
  /** A group takes no more client entries at this size. Bytes. */
  readonly groupBytesMax: number
  /** A write or sync at which the writer is for longer, while it is watched, counts as failed. Milliseconds. */
  readonly stallMaxMs: number
  /** Groups that need no sync of their own are synced after this time. Milliseconds. */
  readonly syncIntervalMs: number
}
