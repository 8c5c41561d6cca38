// What the world knows of compacted topics: every record that was sent, where it was acknowledged or
// read, and what a cleaning may take away. Each record carries its number in a header and, if it has
// a value, in the value, so that it is found again wherever it lies, on the disk as well.
import { deleteHorizonOf, type RecordBatch } from '@millrace/log'
import { Violation } from '../oracle.ts'

/** A topic's promises, as its configuration makes them. */
export type TopicRules = {
  readonly deleteRetentionMs: number
  readonly minLagMs: number
  /** Null: no bound. */
  readonly maxLagMs: number | null
  readonly deletes: boolean
}

export type SentRecord = {
  readonly id: number
  readonly key: string
  /** Null: a tombstone. */
  readonly value: string | null
  readonly timestamp: number
  readonly sentAt: number
  readonly compressed: boolean
}

/** A record as it was read. */
export type ReadRecord = {
  readonly offset: number
  readonly id: number
  readonly key: string
  readonly value: string | null
  readonly timestamp: number
  /** The delete horizon of its batch. */
  readonly horizon: number | null
}

/** The text by which a record's value is found on the disk. */
export const markOf = (id: number): string => `<${String(id).padStart(8, '0')}>`

export function readRecords(batch: RecordBatch): ReadRecord[] {
  const horizon = deleteHorizonOf(batch)
  return [...batch.records()].map(({ offset, timestamp, key, value, headers }) => ({
    offset,
    timestamp,
    horizon,
    id: Number(headers[0]?.value),
    key: String(key),
    value: value === null ? null : String(value),
  }))
}

/** One partition of one compacted topic. */
export class CompactedPartitionModel {
  readonly name: string
  readonly rules: TopicRules
  readonly appendTime: boolean
  readonly sent: Map<number, SentRecord> = new Map()
  /** Acknowledged or read, by offset. */
  readonly #known = new Map<number, SentRecord>()
  readonly #offsetOf = new Map<number, number>()
  readonly #horizons = new Map<number, number>()
  #highWatermark = 0
  logStart = 0

  constructor(name: string, rules: TopicRules, appendTime: boolean) {
    this.name = name
    this.rules = rules
    this.appendTime = appendTime
  }

  get highWatermark(): number {
    return this.#highWatermark
  }

  get acknowledged(): number {
    return this.#known.size
  }

  /** What is known now: for one of several futures. */
  clone(): CompactedPartitionModel {
    const copy = new CompactedPartitionModel(this.name, this.rules, this.appendTime)
    for (const [id, record] of this.sent) copy.sent.set(id, record)
    for (const [offset, record] of this.#known) copy.#known.set(offset, record)
    for (const [id, offset] of this.#offsetOf) copy.#offsetOf.set(id, offset)
    for (const [offset, horizon] of this.#horizons) copy.#horizons.set(offset, horizon)
    copy.#highWatermark = this.#highWatermark
    copy.logStart = this.logStart
    return copy
  }

  /** A record is at this offset, and nowhere else, for ever. */
  learn(offset: number, id: number): void {
    const record = this.sent.get(id)
    if (record === undefined) throw new Violation(`${this.name}: nobody has sent record ${id}`)
    const other = this.#known.get(offset)
    if (other !== undefined && other !== record) {
      throw new Violation(`P2: ${this.name} offset ${offset} was ${other.id}, now it is ${id}`)
    }
    const before = this.#offsetOf.get(id)
    if (before !== undefined && before !== offset) {
      throw new Violation(`P5: ${this.name} record ${id} was at ${before}, now it is at ${offset}`)
    }
    this.#known.set(offset, record)
    this.#offsetOf.set(id, offset)
    this.#highWatermark = Math.max(this.#highWatermark, offset + 1)
  }

  /** A record was read: it is what was sent. */
  see(read: ReadRecord): void {
    this.learn(read.offset, read.id)
    const sent = this.sent.get(read.id)
    const sameTime = this.appendTime || sent?.timestamp === read.timestamp
    if (sent?.key !== read.key || sent.value !== read.value || !sameTime) {
      throw new Violation(`${this.name} offset ${read.offset} is not what was sent: ${read.key}`)
    }
    if (read.value !== null || read.horizon === null) return
    // A crash may take back the cleaning that set it; the next one sets a later one.
    const known = this.#horizons.get(read.offset) ?? read.horizon
    if (read.horizon < known) {
      throw new Violation(`${this.name} offset ${read.offset}: its delete horizon has moved back`)
    }
    this.#horizons.set(read.offset, read.horizon)
  }

  /** All of the partition was read, from the log start to the high watermark. */
  audit(
    reads: readonly ReadRecord[],
    ends: { logStart: number; highWatermark: number },
    now: number,
  ) {
    if (ends.highWatermark < this.#highWatermark) {
      throw new Violation(`${this.name}: the end fell to ${ends.highWatermark}`)
    }
    if (ends.logStart > this.logStart && !this.rules.deletes) {
      throw new Violation(`${this.name}: the log start moved to ${ends.logStart}`)
    }
    this.#highWatermark = ends.highWatermark
    this.logStart = Math.max(this.logStart, ends.logStart)
    for (const read of reads) this.see(read)
    const present = new Set(reads.map(({ offset }) => offset))
    const last = this.#lastOfKeys()
    for (const [offset, record] of this.#known) {
      if (offset < this.logStart || present.has(offset)) continue
      if (now - record.sentAt < this.rules.minLagMs) {
        throw new Violation(`${this.name} offset ${offset} went before min.compaction.lag.ms`)
      }
      if (last.get(record.key) === offset) this.#mayBeGone(offset, record, now)
    }
  }

  /** The offset of the last known record of each key. */
  #lastOfKeys(): Map<string, number> {
    const last = new Map<string, number>()
    for (const [offset, { key }] of this.#known) {
      last.set(key, Math.max(offset, last.get(key) ?? -1))
    }
    return last
  }

  /** Records that a later one of their key has replaced, and tombstones. */
  superfluous(): SentRecord[] {
    const last = this.#lastOfKeys()
    return [...this.#known]
      .filter(([offset, { key, value }]) => value === null || last.get(key) !== offset)
      .map(([, record]) => record)
  }

  /** The last record of its key is missing. */
  #mayBeGone(offset: number, { key, value }: SentRecord, now: number): void {
    const { deleteRetentionMs } = this.rules
    // A tombstone that nobody has an answer about may have come, and gone after its time.
    const deleted = [...this.sent.values()].some(
      record =>
        record.key === key &&
        record.value === null &&
        (this.#offsetOf.get(record.id) ?? Number.POSITIVE_INFINITY) >= offset &&
        now >= record.sentAt + deleteRetentionMs,
    )
    if (!deleted) {
      throw new Violation(`${this.name} offset ${offset}: the last record of ${key} is gone`)
    }
    const horizon = value === null ? this.#horizons.get(offset) : undefined
    if (horizon !== undefined && now < horizon) {
      throw new Violation(`${this.name} offset ${offset}: a tombstone went before its horizon`)
    }
  }
}
