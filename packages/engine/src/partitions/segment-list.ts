/**
 * The segments of a partition in order of their offsets: found by offset, added at the
 * end, dropped at the start, and, where compaction has written some anew, replaced in the middle.
 *
 * The offsets of a segment end where those of the next one begin, also where batches are gone. What
 * was replaced stays on the disk until a durable checkpoint no longer lists it.
 */
import type { Offset } from '@millrace/log'
import type { Segment } from '../segments/segment.ts'
import type { LocatedRange } from './located-range.ts'

/** A segment whose place another has taken. */
export type ReplacedSegment = {
  readonly segment: Segment
  /** The commit group that was open then: checkpoints from it on list the other one. */
  readonly group: number
}

/** Segments of one partition. */
export class SegmentList {
  readonly #segments: Segment[] = []
  #replaced: readonly ReplacedSegment[] = []

  get all(): readonly Segment[] {
    return this.#segments
  }

  get last(): Segment | undefined {
    return this.#segments.at(-1)
  }

  /** Segments whose place others have taken, while their files are still there. */
  get replaced(): readonly ReplacedSegment[] {
    return this.#replaced
  }

  /** Bytes that are read; those of replaced segments are not. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
  }

  add(segment: Segment): void {
    this.#segments.push(segment)
  }

  /** Takes segments out. */
  drop(segments: readonly Segment[]): void {
    for (const segment of segments) {
      const at = this.#segments.indexOf(segment)
      if (at >= 0) this.#segments.splice(at, 1)
    }
  }

  /** Puts one segment in the place of some that follow each other; false where they do not. */
  replace(sources: readonly Segment[], result: Segment, group: number): boolean {
    const first = sources[0]
    const at = first === undefined ? -1 : this.#segments.indexOf(first)
    if (at < 0 || !sources.every((source, i) => this.#segments[at + i] === source)) return false
    this.#segments.splice(at, sources.length, result)
    this.#replaced = [...this.#replaced, ...sources.map(segment => ({ segment, group }))]
    return true
  }

  /** The files of these replaced segments are gone. */
  forget(segments: readonly Segment[]): void {
    this.#replaced = this.#replaced.filter(({ segment }) => !segments.includes(segment))
  }

  /** Takes all out, replaced ones too. */
  takeAll(): readonly Segment[] {
    const replaced = this.#replaced.map(({ segment }) => segment)
    this.#replaced = []
    return [...this.#segments.splice(0), ...replaced]
  }

  /** The segment that holds `offset`, or the next one. */
  at(offset: Offset): Segment | undefined {
    return this.#segments[this.#indexOf(offset)]
  }

  /** The batches from the one that holds `offset`, or the next one, on; undefined if there is none. */
  locate(offset: Offset, maxBytes: number): LocatedRange | undefined {
    for (let i = this.#indexOf(offset); i < this.#segments.length; i += 1) {
      const segment = this.#segments[i]
      const range = segment?.range(offset, maxBytes)
      if (segment !== undefined && range !== undefined && range.bytes > 0) {
        return { segment, ...range }
      }
    }
    return undefined
  }

  #indexOf(offset: Offset): number {
    let low = 0
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#segments[middle]?.nextOffset ?? 0) > offset) high = middle
      else low = middle + 1
    }
    return low
  }
}
