/**
 * What a partition remembers of its idempotent producers, to tell a repeated batch from a new one.
 *
 * A decide/replay machine whose records are the batches themselves: `judge` reads, `replay` writes,
 * when a batch enters the open commit group. The last five batches of each producer are remembered
 * with their offsets, so that a repeated one gets its first answer (KIP-98; Kafka's
 * ProducerStateEntry keeps five as well, because clients keep at most five in flight). The state
 * survives a restart through the checkpoint and the journal.
 */
import { LogError, type LogErrorCode, type Offset, type Timestamp } from '@millrace/log'
import type { ProducerState } from '../engine.ts'

/** Batches remembered for each producer. */
export const BATCHES_REMEMBERED = 5
const SEQUENCES = 2 ** 31

/** A remembered batch: first and last sequence, base offset, timestamp. */
export type RememberedBatch = readonly [
  firstSequence: number,
  lastSequence: number,
  baseOffset: Offset,
  timestamp: Timestamp,
]

/** A producer as a checkpoint keeps it. */
export type ProducerRecord = {
  readonly producerId: number
  readonly epoch: number
  /** Log time of the last batch, ms since the epoch; decides about expiry. */
  readonly lastSeen: number
  readonly batches: readonly RememberedBatch[]
}

/** A batch as the ledger sees it. */
export type ProducedBatch = {
  readonly producerId: number
  readonly epoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** The ledger's verdict on a batch. */
export type ProducerVerdict =
  | { readonly kind: 'new' }
  | { readonly kind: 'duplicate'; readonly baseOffset: Offset; readonly timestamp: Timestamp }
  | { readonly kind: 'refused'; readonly error: LogError }

type Entry = { epoch: number; lastSeen: number; batches: RememberedBatch[] }

const NEW: ProducerVerdict = { kind: 'new' }

/** How many producers all partitions together remember. */
export class ProducerCount {
  readonly max: number
  count = 0

  constructor(max: number = Number.POSITIVE_INFINITY) {
    this.max = max
  }
}

/** Of a ledger that is full the sixteenth part goes at once: finding the oldest looks at all. */
const FORGOTTEN_SHARE = 16

/** Sequences of the producers of one partition. */
export class ProducerLedger {
  readonly #producers = new Map<number, Entry>()
  readonly #rememberedMax: number

  readonly #all: ProducerCount

  /**
   * @param rememberedMax producers remembered; those silent for longest are forgotten first
   * @param all counts those of all partitions: where they are too many, who adds one forgets as well,
   * but each partition keeps its last
   */
  constructor(rememberedMax: number, all: ProducerCount = new ProducerCount()) {
    this.#rememberedMax = rememberedMax
    this.#all = all
  }

  get size(): number {
    return this.#producers.size
  }

  /** Whether the batch is the next one of its producer, a repetition, or out of order. */
  judge(batch: ProducedBatch): ProducerVerdict {
    const known = this.#producers.get(batch.producerId)
    if (known === undefined) return NEW // nothing known: any sequence starts (Kafka does the same)
    const who = `producer ${batch.producerId} epoch ${batch.epoch} sequence ${batch.baseSequence}`
    if (batch.epoch < known.epoch) {
      return refuse('INVALID_PRODUCER_EPOCH', `${who}, current epoch ${known.epoch}`)
    }
    if (batch.epoch > known.epoch) {
      if (batch.baseSequence === 0) return NEW
      return refuse('OUT_OF_ORDER_SEQUENCE_NUMBER', `${who}: a new epoch starts with sequence 0`)
    }
    const last = lastSequenceOf(batch)
    for (const [first, lastOfIt, baseOffset, timestamp] of known.batches) {
      if (first === batch.baseSequence && lastOfIt === last) {
        return { kind: 'duplicate', baseOffset, timestamp }
      }
    }
    const latest = known.batches.at(-1)
    const due = latest === undefined ? batch.baseSequence : (latest[1] + 1) % SEQUENCES
    if (batch.baseSequence === due) return NEW
    return refuse('OUT_OF_ORDER_SEQUENCE_NUMBER', `${who}, due ${due}`)
  }

  /** Takes a batch in that has been stored at `baseOffset`. */
  replay(batch: ProducedBatch, baseOffset: Offset, timestamp: Timestamp, now: number): void {
    const known = this.#producers.get(batch.producerId)
    const remembered: RememberedBatch = [
      batch.baseSequence,
      lastSequenceOf(batch),
      baseOffset,
      timestamp,
    ]
    if (known === undefined) {
      this.#producers.set(batch.producerId, {
        epoch: batch.epoch,
        lastSeen: now,
        batches: [remembered],
      })
      this.#all.count += 1
      this.#bound()
      return
    }
    if (batch.epoch !== known.epoch) known.batches.length = 0
    known.epoch = batch.epoch
    known.lastSeen = now
    known.batches.push(remembered)
    if (known.batches.length > BATCHES_REMEMBERED) known.batches.shift()
  }

  /** Base offset of the last batch of each producer, by its id. */
  lastOffsets(): ReadonlyMap<number, number> {
    return new Map(
      [...this.#producers].map(([producerId, { batches }]) => [
        producerId,
        batches.at(-1)?.[2] ?? -1,
      ]),
    )
  }

  /** All producers, and what they wrote last. */
  latest(): ProducerState[] {
    return [...this.#producers].map(([producerId, { epoch, batches }]) => {
      const last = batches.at(-1)
      return { producerId, epoch, lastSequence: last?.[1] ?? -1, lastTimestamp: last?.[3] ?? -1 }
    })
  }

  /** Forgets producers whose last batch, at that log time, is too old. */
  expire(isTooOld: (lastSeen: number) => boolean): void {
    for (const [producerId, entry] of this.#producers) {
      if (isTooOld(entry.lastSeen)) this.#forget(producerId)
    }
  }

  /** The partition is gone: nothing of it counts any more. */
  clear(): void {
    this.#all.count -= this.#producers.size
    this.#producers.clear()
  }

  /**
   * What a checkpoint keeps. May be read in slices while batches are replayed: each producer is as it
   * is when its turn comes, and those that come meanwhile are left out.
   */
  *records(): Generator<ProducerRecord> {
    let left = this.#producers.size
    for (const [producerId, { epoch, lastSeen, batches }] of this.#producers) {
      if (left === 0) return
      left -= 1
      yield { producerId, epoch, lastSeen, batches: [...batches] }
    }
  }

  restore(records: readonly ProducerRecord[]): void {
    for (const { producerId, epoch, lastSeen, batches } of records) {
      if (!this.#producers.has(producerId)) this.#all.count += 1
      this.#producers.set(producerId, { epoch, lastSeen, batches: [...batches] })
    }
  }

  /**
   * Forgets batches from this offset on: a checkpoint that was read in slices may hold some of which a
   * crash has left nothing else. Their producers will send them again.
   */
  forgetFrom(offset: Offset): void {
    for (const entry of this.#producers.values()) {
      const { batches } = entry
      while ((batches.at(-1)?.[2] ?? -1) >= offset) batches.pop()
    }
  }

  #bound(): void {
    const size = this.#producers.size
    const tooMany = size > this.#rememberedMax || (this.#all.count > this.#all.max && size > 1)
    if (!tooMany) return
    const oldest = [...this.#producers].sort(([, one], [, other]) => one.lastSeen - other.lastSeen)
    const forgotten = Math.max(1, Math.floor(size / FORGOTTEN_SHARE))
    for (const [producerId] of oldest.slice(0, forgotten)) this.#forget(producerId)
  }

  #forget(producerId: number): void {
    if (this.#producers.delete(producerId)) this.#all.count -= 1
  }
}

const lastSequenceOf = (batch: ProducedBatch): number =>
  (batch.baseSequence + batch.recordCount - 1) % SEQUENCES

const refuse = (code: LogErrorCode, detail: string): ProducerVerdict => ({
  kind: 'refused',
  error: new LogError(code, detail),
})
