/**
 * The partitions that a consumer reads, and how far it is in each.
 *
 *     finished <= position <= fetchOffset
 *     │           │           └ next offset to fetch
 *     │           └ next offset to hand out
 *     └ next offset to commit: everything below was handed out and finished
 *
 * `version` changes whenever what was fetched becomes void, `seeks` only when the position jumps, so
 * that answers to older questions are known as such.
 */
import type { Offset, Timestamp, TopicPartition } from '@millrace/log'

/** Where to begin in a partition; a number is an offset. */
export type StartPlace = Offset | SoughtPlace

/** Where to begin, in words: the log is asked for the offset. */
export type SoughtPlace = 'earliest' | 'latest' | { readonly timestamp: Timestamp }

/** A partition of the table. */
export class PartitionState {
  readonly topic: string
  readonly partition: number
  /** Where to begin while `position` is not known; committed: where the group left off. */
  start: SoughtPlace | 'committed' = 'committed'
  position: Offset | null = null
  fetchOffset: Offset = -1
  finished: Offset | null = null
  committed: Offset | null = null
  /** Whether anything was handed out since the last seek. */
  handedOut = false
  paused = false
  /** Being given up: nothing is fetched or handed out any more. */
  leaving = false
  resolving = false
  version = 0
  seeks = 0
  /** Tries of a fetch that failed in a row, and since when; monotonic ms. */
  failures = 0
  failingSince = 0
  retryAt = 0

  constructor({ topic, partition }: TopicPartition, start: StartPlace | 'committed') {
    this.topic = topic
    this.partition = partition
    if (typeof start === 'number') this.moveTo(start)
    else this.start = start
  }

  /** Sets all positions; what was fetched before is void. */
  moveTo(offset: Offset): void {
    this.version += 1
    this.seeks += 1
    this.position = offset
    this.fetchOffset = offset
    this.handedOut = false
    this.failures = 0
    this.retryAt = 0
  }

  /** Forgets the position, to be found again from a place. */
  restart(start: SoughtPlace | 'committed'): void {
    this.version += 1
    this.seeks += 1
    this.position = null
    this.handedOut = false
    this.start = start
    this.failures = 0
    this.retryAt = 0
  }

  /** Voids what was fetched and not handed out. */
  unfetch(): void {
    this.version += 1
    if (this.position !== null) this.fetchOffset = this.position
  }
}

/** Partitions by topic and number, in the order in which they came. */
export class PartitionTable {
  #states = new Map<string, PartitionState>()

  get(partition: TopicPartition): PartitionState | undefined {
    return this.#states.get(keyOf(partition))
  }

  add(partition: TopicPartition, start: StartPlace | 'committed'): PartitionState {
    const state = new PartitionState(partition, start)
    this.#states.set(keyOf(partition), state)
    return state
  }

  /** Takes the partition out; whatever still refers to its state sees a new version. */
  remove(partition: TopicPartition): void {
    const state = this.get(partition)
    if (state === undefined) return
    state.version += 1
    this.#states.delete(keyOf(partition))
  }

  clear(): void {
    for (const state of this.all()) this.remove(state)
  }

  has(state: PartitionState): boolean {
    return this.get(state) === state
  }

  all(): PartitionState[] {
    return [...this.#states.values()]
  }

  partitions(): TopicPartition[] {
    return this.all().map(({ topic, partition }) => ({ topic, partition }))
  }

  /** Moves a partition to the end: the next fetch begins with the others. */
  rotate(state: PartitionState): void {
    if (!this.has(state)) return
    this.#states.delete(keyOf(state))
    this.#states.set(keyOf(state), state)
  }
}

/** One text for one partition. */
export const keyOf = ({ topic, partition }: TopicPartition): string => `${partition} ${topic}`
