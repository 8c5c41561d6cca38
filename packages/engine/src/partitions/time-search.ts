/**
 * Records by their time, in the segments of a partition (KIP-79, KIP-734).
 *
 * A question may walk over a whole segment and open a batch of any size, so it is answered in slices
 * of a turn. For the largest time only the batch that has it is opened, which the segments know. What
 * it takes long to open is opened once for all who ask the same, and one batch at a time.
 */

import type { Turns } from '@millrace/base'
import {
  baseOffsetOf,
  lastOffsetOf,
  maxTimestampOf,
  type Offset,
  type PlaceQuestion,
  placeInSlices,
  RecordBatch,
  type RecordPlace,
  recordCountOf,
  type Timestamp,
} from '@millrace/log'
import type { Segment } from '../segments/segment.ts'

/** Answers of opened batches that are kept. */
const ANSWERS_MAX = 256

/** What is looked through: the segments as they are at any time, and what waits to get into them. */
export type Searched = {
  readonly segments: () => readonly Segment[]
  readonly waiting: readonly Buffer[]
}

/** Searches of all partitions. */
export class TimeSearch {
  readonly #turns: Turns
  readonly #answers = new Map<string, Promise<RecordPlace | null>>()
  #opening: Promise<unknown> = Promise.resolve()

  constructor(turns: Turns) {
    this.#turns = turns
  }

  /** The first record at or after `timestamp`, of those from `fromOffset` on. */
  async recordAtTime(
    { segments, waiting }: Searched,
    timestamp: Timestamp,
    fromOffset: Offset,
  ): Promise<RecordPlace | null> {
    const question = { atTime: timestamp }
    for (let from = fromOffset; ; ) {
      const segment = segments().find(
        ({ nextOffset, maxTimestamp }) => nextOffset > from && maxTimestamp >= timestamp,
      )
      if (segment === undefined) break
      const end = segment.nextOffset
      const found = await this.#held(segment, () => this.#inSegment(segment, question, fromOffset))
      if (found !== null) return found
      from = end
    }
    for (const batch of waiting) {
      const found = await this.#open(batch, undefined, question, fromOffset)
      if (found !== null) return found
    }
    return null
  }

  /** The first record that has the largest timestamp, of those from `fromOffset` on. */
  async recordOfMaxTimestamp(
    { segments, waiting }: Searched,
    fromOffset: Offset,
  ): Promise<RecordPlace | null> {
    let latest = await this.#latestOfSegments(segments, fromOffset)
    for (const batch of waiting) {
      if (maxTimestampOf(batch) <= (latest?.timestamp ?? -1)) continue
      const found = await this.#open(batch, undefined, 'maxTimestamp', fromOffset)
      if (found !== null && found.timestamp > (latest?.timestamp ?? -1)) latest = found
    }
    return latest
  }

  async #latestOfSegments(
    segments: () => readonly Segment[],
    fromOffset: Offset,
  ): Promise<RecordPlace | null> {
    // What a segment is known to hold may lie below the offset, or be gone: then it is looked into.
    const seen = new Map<Segment, RecordPlace | null>()
    for (;;) {
      const live = segments().filter(({ nextOffset }) => nextOffset > fromOffset)
      const timeOf = (segment: Segment): number => {
        const place = seen.get(segment)
        return place === undefined ? segment.maxTimestamp : (place?.timestamp ?? -1)
      }
      const [first, ...others] = live
      if (first === undefined) return null
      const best = others.reduce((a, b) => (timeOf(b) > timeOf(a) ? b : a), first)
      if (timeOf(best) < 0) return null
      const known = seen.get(best)
      if (known !== undefined) return known
      seen.set(best, await this.#held(best, () => this.#latestIn(best, fromOffset)))
    }
  }

  async #inSegment(
    segment: Segment,
    question: { readonly atTime: number },
    fromOffset: Offset,
  ): Promise<RecordPlace | null> {
    for (const batch of segment.batchesReaching(question.atTime, fromOffset)) {
      if (this.#turns.spent()) await this.#turns.next()
      const found =
        batch === undefined ? null : await this.#open(batch, segment, question, fromOffset)
      if (found !== null) return found
    }
    return null
  }

  async #latestIn(segment: Segment, fromOffset: Offset): Promise<RecordPlace | null> {
    const { maxTimestampOffset } = segment
    if (maxTimestampOffset >= fromOffset) {
      const found = await this.#latestAt(segment, maxTimestampOffset, fromOffset)
      if (found !== null) return found
    }
    let best = { offset: -1, timestamp: -1 }
    let straddling: RecordPlace | null = null
    for (const { buffer, at, bytes, baseOffset, lastOffset } of segment.batches(fromOffset)) {
      if (this.#turns.spent()) await this.#turns.next()
      if (lastOffset < fromOffset || recordCountOf(buffer, at) === 0) continue
      if (baseOffset < fromOffset) {
        // Its header speaks of records that are gone, too.
        const batch = buffer.subarray(at, at + bytes)
        straddling = await this.#open(batch, segment, 'maxTimestamp', fromOffset)
        continue
      }
      const timestamp = maxTimestampOf(buffer, at)
      if (timestamp > best.timestamp) best = { offset: baseOffset, timestamp }
    }
    if (best.timestamp <= (straddling?.timestamp ?? -1)) return straddling
    const found = await this.#latestAt(segment, best.offset, fromOffset)
    return (found?.timestamp ?? -1) > (straddling?.timestamp ?? -1) ? found : straddling
  }

  /** The latest record of the batch with this base offset; null if there is none. */
  async #latestAt(
    segment: Segment,
    baseOffset: Offset,
    fromOffset: Offset,
  ): Promise<RecordPlace | null> {
    for (const scanned of segment.batches(baseOffset)) {
      if (this.#turns.spent()) await this.#turns.next()
      if (scanned.baseOffset < baseOffset) continue
      if (scanned.baseOffset > baseOffset) return null
      const { buffer, at, bytes } = scanned
      return this.#open(buffer.subarray(at, at + bytes), segment, 'maxTimestamp', fromOffset)
    }
    return null
  }

  /** @param segment whose batch it is; undefined for one that waits to get into one */
  #open(
    bytes: Buffer,
    segment: Segment | undefined,
    question: PlaceQuestion,
    fromOffset: Offset,
  ): Promise<RecordPlace | null> {
    const asked = question === 'maxTimestamp' ? question : question.atTime
    const offset = baseOffsetOf(bytes)
    // Below the batch the offset makes no difference.
    const from = Math.max(fromOffset, offset)
    const key = `${segment?.path ?? ''}/${offset}/${asked}/${from}`
    const known = segment === undefined ? undefined : this.#answers.get(key)
    if (known !== undefined) return known
    if (lastOffsetOf(bytes) < from) return Promise.resolve(null)
    const answer = this.#inLine(() =>
      placeInSlices(new RecordBatch(bytes, 0, { checkCrc: false }), question, from, () =>
        this.#pause(),
      ),
    )
    if (segment !== undefined) this.#keep(key, answer)
    return answer
  }

  /** One batch is opened at a time: what it decompresses to is the memory of all searches. */
  #inLine<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#opening.then(work)
    this.#opening = result.catch(() => undefined)
    return result
  }

  async #pause(): Promise<void> {
    if (this.#turns.spent()) await this.#turns.next()
  }

  #keep(key: string, answer: Promise<RecordPlace | null>): void {
    this.#answers.set(key, answer)
    answer.catch(() => this.#answers.delete(key))
    if (this.#answers.size <= ANSWERS_MAX) return
    const [oldest] = this.#answers.keys()
    if (oldest !== undefined) this.#answers.delete(oldest)
  }

  async #held<T>(segment: Segment, work: () => Promise<T>): Promise<T> {
    segment.hold()
    try {
      await segment.prepare(() => this.#turns.next())
      return await work()
    } finally {
      segment.letGo()
    }
  }
}
