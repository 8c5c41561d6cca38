// What the outside world knows: every acknowledgement, every record that anybody has read, every
// answer about topics and groups. The audit holds the log against it. Promise numbers are those of
// the reliability reference: P1 acknowledged records stay, P2 an offset has one value, P4 what was
// seen stays, P5 no second copy, P7 committed offsets never move back.
import { baseOffsetOf, batchBytesOf, lastOffsetOf } from '@millrace/log'

/** A promise was broken. */
export class Violation extends Error {
  override readonly name: string = 'Violation'
}

export type Durability = 'sync' | 'interval' | 'os'

/** A batch as the world knows it. */
export type KnownBatch = {
  readonly base: number
  readonly last: number
  readonly sendId: number
  /** The bytes that the log must not change: all but base offset and leader epoch. */
  readonly payload: Buffer
}

const PAYLOAD_AT = 16
/** The send's number stands in the last eight bytes of the last record's value. */
const SEND_ID_FROM_END = 9

export const sendIdOf = (batch: Buffer): number =>
  Number(batch.readBigUInt64BE(batch.length - SEND_ID_FROM_END))

export function knownBatch(batch: Buffer, base: number = baseOffsetOf(batch)): KnownBatch {
  const count = lastOffsetOf(batch) - baseOffsetOf(batch)
  return {
    base,
    last: base + count,
    sendId: sendIdOf(batch),
    payload: Buffer.from(batch.subarray(PAYLOAD_AT)),
  }
}

/** Whole batches of a fetch answer. */
export function batchesOf(records: Buffer): Buffer[] {
  const batches: Buffer[] = []
  for (let at = 0; at < records.length; ) {
    const bytes = batchBytesOf(records, at)
    if (at + bytes > records.length) throw new Violation('a fetch answers with half a batch')
    batches.push(records.subarray(at, at + bytes))
    at += bytes
  }
  return batches
}

/** One partition of one topic id. */
export class KnownPartition {
  readonly name: string
  readonly durability: Durability
  /** By base offset: acknowledged or seen. */
  readonly batches: Map<number, KnownBatch> = new Map()
  highWatermark = 0
  /** Acknowledged log start; it never falls. One that was only seen may: it was not durable yet. */
  startAtLeast = 0
  /** Latest log start that anybody has seen. */
  startSeen = 0
  /** Highest start that anybody has asked for. */
  startAsked = 0

  constructor(name: string, durability: Durability) {
    this.name = name
    this.durability = durability
  }

  /** Takes in what was acknowledged or read. */
  note(batch: KnownBatch, how: string): void {
    const known = this.batches.get(batch.base)
    if (known === undefined) {
      this.batches.set(batch.base, batch)
      return
    }
    if (known.last !== batch.last || !known.payload.equals(batch.payload)) {
      throw new Violation(
        `P2: ${this.name} offset ${batch.base} was send ${known.sendId}, now ${how} says ${batch.sendId}`,
      )
    }
  }

  clone(): KnownPartition {
    const copy = new KnownPartition(this.name, this.durability)
    for (const [base, batch] of this.batches) copy.batches.set(base, batch)
    copy.highWatermark = this.highWatermark
    copy.startAtLeast = this.startAtLeast
    copy.startSeen = this.startSeen
    copy.startAsked = this.startAsked
    return copy
  }

  noteEnds(logStart: number, highWatermark: number): void {
    if (highWatermark < this.highWatermark) {
      throw new Violation(
        `${this.name}: the high watermark fell from ${this.highWatermark} to ${highWatermark}`,
      )
    }
    if (logStart < this.startAtLeast) {
      throw new Violation(
        `${this.name}: the log start fell from ${this.startAtLeast} to ${logStart}`,
      )
    }
    this.highWatermark = highWatermark
    this.startSeen = logStart
  }

  /** A power cut may take what no sync has covered: the model follows, but only for the end. */
  fallBack(highWatermark: number): void {
    this.highWatermark = Math.min(this.highWatermark, highWatermark)
    this.startAtLeast = Math.min(this.startAtLeast, highWatermark)
    for (const [base, { last }] of this.batches)
      if (last >= highWatermark) this.batches.delete(base)
  }

  /** Everything that is there now, from the log start to the high watermark, was read. */
  audit(now: readonly KnownBatch[], logStart: number, highWatermark: number): void {
    let next: number | undefined
    const copies = new Map<number, number>()
    const found = new Set<number>()
    for (const batch of now) {
      if (next !== undefined && batch.base !== next) {
        throw new Violation(`${this.name}: offset ${next} is missing, ${batch.base} follows`)
      }
      next = batch.last + 1
      this.note(batch, 'a read')
      found.add(batch.base)
      const count = (copies.get(batch.sendId) ?? 0) + 1
      copies.set(batch.sendId, count)
      if (count > 1)
        throw new Violation(`P5: ${this.name} holds send ${batch.sendId} ${count} times`)
    }
    if ((next ?? logStart) !== highWatermark && highWatermark > logStart) {
      throw new Violation(
        `${this.name}: reads end at ${next}, the high watermark is ${highWatermark}`,
      )
    }
    for (const { base, last, sendId } of this.batches.values()) {
      if (last < logStart || found.has(base)) continue
      throw new Violation(
        `P1/P4: ${this.name} offset ${base} (send ${sendId}) is gone; it has ${logStart} to ${highWatermark}`,
      )
    }
    this.noteEnds(logStart, highWatermark)
  }
}

/** What is known of a topic: by its id, because names come back. */
export type KnownTopic = {
  readonly name: string
  readonly topicId: string
  readonly durability: Durability
  readonly retention: 'none' | 'time' | 'size'
  readonly partitions: KnownPartition[]
  /** Partitions that an acknowledged call has asked for. */
  partitionsAtLeast: number
  /** `leaving`: somebody asked to delete it and has no answer yet. */
  state: 'live' | 'leaving' | 'gone'
  /** While it was leaving somebody has asked for another one of this name. */
  replaced?: boolean
}

/** Everything that the world knows. */
export class Oracle {
  readonly topics: Map<string, KnownTopic> = new Map()
  /** Committed offsets by group, topic id and partition: acknowledged or seen. */
  readonly committed: Map<string, number> = new Map()
  /** The highest that anybody has tried to commit. */
  readonly tried: Map<string, number> = new Map()
  /** Commits under way while their topic was leaving, by name: another topic may have got them. */
  readonly stray: Map<string, number> = new Map()
  sends = 0
  acknowledged = 0
  /** When each send was made, by the monotonic clock. */
  readonly sentAt: Map<number, number> = new Map()

  /** What the world knows now: for one of several futures. */
  clone(): Oracle {
    const copy = new Oracle()
    for (const [id, topic] of this.topics) {
      copy.topics.set(id, { ...topic, partitions: topic.partitions.map(p => p.clone()) })
    }
    for (const [key, offset] of this.committed) copy.committed.set(key, offset)
    for (const [key, offset] of this.tried) copy.tried.set(key, offset)
    copy.sends = this.sends
    copy.acknowledged = this.acknowledged
    return copy
  }

  /** The topic of this name that may be in use. */
  named(name: string): KnownTopic | undefined {
    for (const topic of this.topics.values()) {
      if (topic.name === name && topic.state !== 'gone') return topic
    }
    return undefined
  }

  learn(topic: Omit<KnownTopic, 'partitions' | 'state'>): KnownTopic {
    const known: KnownTopic = { ...topic, partitions: [], state: 'live' }
    this.topics.set(topic.topicId, known)
    return known
  }

  partition(topic: KnownTopic, partition: number): KnownPartition {
    let known = topic.partitions[partition]
    if (known === undefined) {
      known = new KnownPartition(
        `${topic.name}(${topic.topicId.slice(0, 4)})-${partition}`,
        topic.durability,
      )
      topic.partitions[partition] = known
    }
    return known
  }

  /** Retention by time has moved the log start: what went was old by the monotonic clock. */
  auditAges(known: KnownPartition, logStart: number, now: number, ageMin: number): void {
    for (const { base, last, sendId } of known.batches.values()) {
      const sentAt = this.sentAt.get(sendId)
      if (last >= logStart || last < known.startAsked || sentAt === undefined) continue
      if (now - sentAt >= ageMin) continue
      throw new Violation(
        `${known.name} offset ${base} is gone after ${now - sentAt} ms, within its retention`,
      )
    }
  }

  noteCommit(key: string, offset: number): void {
    this.committed.set(key, Math.max(offset, this.committed.get(key) ?? -1))
  }

  seeCommit(key: string, strayKey: string, offset: number): void {
    const atLeast = this.committed.get(key) ?? -1
    if (offset < atLeast) throw new Violation(`P7: ${key} fell from ${atLeast} to ${offset}`)
    const atMost = Math.max(this.tried.get(key) ?? -1, this.stray.get(strayKey) ?? -1)
    if (offset > atMost) throw new Violation(`P7: ${key} is ${offset}, at most ${atMost} was asked`)
    this.committed.set(key, offset)
  }
}
