/**
 * Which segment batches go to: the last one, as long as it is not full, not too old, and has no gap before
 * them; otherwise another one begins.
 */
import { baseOffsetOf, lastOffsetOf, type Offset } from '@millrace/log'
import { offsetBehind } from '../segments/batch-run.ts'
import type { Segment } from '../segments/segment.ts'
import { isSparse } from '../segments/segment-record.ts'
import type { SegmentList } from './segment-list.ts'
import type { TopicConfig } from './topic-config.ts'

/** Most offsets of one segment, as in Kafka: its index holds them as 32 bits. */
const SEGMENT_OFFSETS_MAX = 2 ** 31 - 1

/** Appends to the segments of a partition. */
export class SegmentAppends {
  readonly #segments: SegmentList
  readonly #config: () => Pick<TopicConfig, 'segmentBytes' | 'segmentMs'>
  readonly #create: (baseOffset: Offset, now: number) => Segment

  /** @param create makes a segment that begins at an offset; it has no file yet */
  constructor(
    segments: SegmentList,
    config: () => Pick<TopicConfig, 'segmentBytes' | 'segmentMs'>,
    create: (baseOffset: Offset, now: number) => Segment,
  ) {
    this.#segments = segments
    this.#config = config
    this.#create = create
  }

  /** Whether all runs fit into the last segment, or into a new one where there is none. */
  fitsLast(runs: readonly Buffer[]): boolean {
    const { last } = this.#segments
    const [first] = runs
    const end = runs.at(-1)
    if (first === undefined || end === undefined) return true
    let bytes = last?.bytes ?? 0
    for (const run of runs) bytes += run.length
    const offsets = offsetBehind(end) - (last?.baseOffset ?? baseOffsetOf(first))
    return bytes <= this.#config().segmentBytes && offsets <= SEGMENT_OFFSETS_MAX
  }

  /** How many batches from `from` on go into the last segment; at least one. */
  countThatFits(batches: readonly Buffer[], from: number): number {
    const { segmentBytes } = this.#config()
    const { last } = this.#segments
    let size = last?.bytes ?? 0
    let baseOffset = last?.baseOffset
    let run = 0
    for (let i = from; i < batches.length; i += 1) {
      const batch = batches[i]
      if (batch === undefined) break
      size += batch.length
      baseOffset ??= baseOffsetOf(batch)
      const tooFar = lastOffsetOf(batch) - baseOffset > SEGMENT_OFFSETS_MAX
      if (run > 0 && (size > segmentBytes || tooFar)) break
      run += 1
    }
    return run
  }

  /** Appends batches to one segment. Throws DiskError. */
  append(batches: readonly Buffer[], now: number, areSummed: boolean): void {
    const { segmentBytes, segmentMs } = this.#config()
    const first = batches[0]
    if (first === undefined) return
    const baseOffset = baseOffsetOf(first)
    const { last } = this.#segments
    const full =
      last !== undefined &&
      last.bytes > 0 &&
      (last.bytes + first.length > segmentBytes ||
        lastOffsetOf(first) - last.baseOffset > SEGMENT_OFFSETS_MAX)
    const old = last !== undefined && last.bytes > 0 && now - last.createdAt > segmentMs
    // Within a segment offsets have no gap: where some were given up, another one begins, and behind
    // one that compaction has written.
    const fits = last !== undefined && last.nextOffset === baseOffset && !isSparse(last)
    const follows = fits && !full && !old
    const segment = follows ? last : this.begin(baseOffset, now)
    segment.append(batches, areSummed)
  }

  /** Begins another segment at an offset. */
  begin(baseOffset: Offset, now: number): Segment {
    const segment = this.#create(baseOffset, now)
    this.#segments.add(segment)
    return segment
  }
}
