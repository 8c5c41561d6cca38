/**
 * Room in the ring for the groups of the journal: a place for the next one, a file ready behind it, and
 * what is done where there is none.
 *
 * A full ring waits for a checkpoint. Where the disk lacks room no checkpoint may come, and the ring may
 * not grow: then the end of its last file is kept for groups that delete something, which is what makes
 * room again; a group that waits meanwhile takes no more than fits there. A healthy ring keeps nothing.
 */
import type { Timer, Timers } from '@millrace/base'
import { type DiskError, isShortage } from '../disk/disk.ts'
import type { CommitGroup, JournalTarget } from './commit-group.ts'
import type { JournalEvents } from './journal-events.ts'
import type { JournalPlace, JournalRing } from './journal-ring.ts'

/** How often a place is looked for again where there was none, in ms. */
const RETRY_MS = 1000
/** Most bytes that are kept for deletions, and the share of a file of the ring. */
const KEPT_BYTES_MAX = 1 << 20
const KEPT_SHARE = 1 / 4
/** The share of it that a group which waits may have when it deletes nothing: deletions join it. */
const WAITING_SHARE = 1 / 4

/** Finds places for groups. */
export class JournalRoom {
  readonly #ring: JournalRing
  readonly #timers: Timers
  readonly #events: Pick<JournalEvents<JournalTarget>, 'onLack' | 'onPressure' | 'isShort'>
  readonly #look: () => void
  #retry: Timer | undefined
  #ended = false
  /** Why there is no place, if that is for want of room on the disk. */
  #lacks: DiskError | undefined
  /** Why the ring could not grow when it last tried, if that was for want of room. */
  #growthLacks: DiskError | undefined

  constructor(parts: {
    ring: JournalRing
    timers: Timers
    events: Pick<JournalEvents<JournalTarget>, 'onLack' | 'onPressure' | 'isShort'>
    /** Looks for a place again. */
    look: () => void
  }) {
    this.#ring = parts.ring
    this.#timers = parts.timers
    this.#events = parts.events
    this.#look = parts.look
  }

  /** What the disk lacks so that a group waits. */
  get lacks(): DiskError | undefined {
    return this.#lacks
  }

  /** Whether a group waits for a place. */
  get isFull(): boolean {
    return this.#retry !== undefined
  }

  /** Bytes to which a group may grow that deletes nothing. */
  get waitingBytesMax(): number {
    return this.isFull && this.#isShort ? this.#keptBytes * WAITING_SHARE : Number.POSITIVE_INFINITY
  }

  /** Takes a place for the group; null where it has to wait for one: then it is looked for again. */
  place({ bytes, seq, makesRoom }: CommitGroup<JournalTarget>): JournalPlace | null {
    const keeps = !makesRoom && this.#isShort
    const place = this.#ring.place(bytes, seq, keeps ? this.#keptBytes : 0)
    if (place === null) {
      this.#wait()
      return null
    }
    this.#lacks = undefined
    this.#stopRetrying()
    return place
  }

  /** Makes a file ready behind the current one, if there is none. */
  keepSpare(): void {
    if (this.#ring.hasSpare) return
    this.#ring.grow().then(
      () => {
        this.#growthLacks = undefined
      },
      (cause: unknown) => {
        this.#growthLacks = isShortage(cause) ? cause : undefined
        this.#events.onPressure()
      },
    )
  }

  /** Nothing is looked for any more. */
  end(): void {
    this.#ended = true
    this.#stopRetrying()
  }

  /**
   * The ring is full. A checkpoint that is under way will free it. If there is none, the next one
   * begins with the next sealed group, which needs a place itself: for it the ring may grow by one
   * file beyond its maximum.
   */
  #wait(): void {
    const underWay = this.#events.onPressure()
    // Whatever makes room on the disk is not told.
    this.#retry ??= this.#timers.after(RETRY_MS, () => {
      this.#retry = undefined
      this.#look()
    })
    this.#ring.grow({ beyondMax: !underWay }).then(
      () => {
        if (this.#ring.hasSpare) this.#look()
      },
      // No room for another file, and no checkpoint is about to free one.
      (cause: unknown) => {
        if (!isShortage(cause) || underWay || this.#ended) return
        this.#lacks = cause
        this.#events.onLack()
      },
    )
  }

  #stopRetrying(): void {
    this.#retry?.cancel()
    this.#retry = undefined
  }

  get #isShort(): boolean {
    return this.#growthLacks !== undefined || this.#events.isShort()
  }

  get #keptBytes(): number {
    return Math.min(KEPT_BYTES_MAX, this.#ring.fileBytes * KEPT_SHARE)
  }
}
