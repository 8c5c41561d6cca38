/**
 * One bucket at work: the fold, fed record by record, and the index that it feeds. Whoever brings
 * records (the tail of the log, or the appender with what it wrote itself) gives them in offset
 * order; what was folded before is passed over, so both may bring the same.
 */
import type { RecordBatch } from '@millrace/log'
import { StoreError } from '../errors.ts'
import {
  type Decoded,
  decodeFacts,
  decodeMetadata,
  type IndexFacts,
} from '../rule/decode-headers.ts'
import { type EventFacts, type Facts, tenantOf } from '../rule/facts.ts'
import { foldRecord, NewerRule } from '../rule/fold.ts'
import {
  type BucketFold,
  decidedOffset,
  emptyBucket,
  type StreamStates,
  type Verdict,
} from '../rule/fold-state.ts'
import type { Category } from './category.ts'
import { type BucketIndex, keptBucket } from './index/bucket-index.ts'
import type { Entry } from './index/entry.ts'

const NO_INDEX: IndexFacts = Object.freeze({ correlationId: undefined, personal: undefined })

/** Told what the fold decided and met. */
export type BucketListener = {
  readonly decided: (bucket: Bucket, verdict: Verdict) => void
  readonly personal: (bucket: Bucket, facts: EventFacts, personal: string) => void
  /** The highest stamp of the bucket has risen. */
  readonly stamped: (stamp: number) => void
  /** Records of a batch that are no events. */
  readonly foreign: (bucket: Bucket, count: number) => void
  /** Records of a batch whose streams belong into other buckets. */
  readonly misplaced: (bucket: Bucket, count: number) => void
}

/** See the head of the file. */
export class Bucket {
  readonly category: Category
  readonly number: number
  readonly index: BucketIndex
  readonly fold: BucketFold
  /** Bytes of the records of open appends, by offset. */
  readonly #held: Map<number, Entry>
  readonly #heldIndex = new Map<number, IndexFacts>()
  readonly #listener: BucketListener
  readonly #verdicts: Verdict[] = []
  /** End of the log when it was last looked at. */
  endOffset = 0
  /**
   * Below it nothing in another bucket was missing that came before: see `tail.ts`. Who reads several
   * buckets stops here.
   */
  confirmed = 0
  #failure: StoreError | null = null
  readonly #states: StreamStates

  constructor(category: Category, number: number, index: BucketIndex, listener: BucketListener) {
    this.category = category
    this.number = number
    this.index = index
    this.#listener = listener
    this.#states = {
      get: stream => index.get(stream),
      set: (stream, state) => index.set(stream, state),
      belongs: stream => category.holds(number, stream),
    }
    const kept = index.load()
    this.fold = kept?.fold ?? emptyBucket()
    this.#held = new Map(kept?.held ?? [])
    this.#checkIdentity()
    if (this.fold.stamp > 0) listener.stamped(this.fold.stamp)
  }

  /** Why the bucket stopped, if it did. */
  get failure(): StoreError | null {
    return this.#failure
  }

  get position(): number {
    return this.fold.position
  }

  /** Below it everything is decided. */
  get decided(): number {
    return this.fold.open.size === 0 ? this.fold.position : decidedOffset(this.fold)
  }

  /** Stops the bucket: its reads and appends fail from now on. */
  fail(error: StoreError): void {
    this.#failure ??= error
  }

  /** Folds the records of a batch that were not folded yet; returns how many. */
  applyBatch(batch: RecordBatch): number {
    if (batch.lastOffset < this.fold.position) return 0
    const ignored = batch.isControl || batch.isTransactional
    const cursor = batch.cursor()
    const { foreign, misplaced } = this.fold
    let applied = 0
    while (cursor.advance()) {
      const offset = batch.baseOffset + cursor.offsetDelta
      if (offset < this.fold.position) continue
      applied += 1
      if (ignored) {
        this.#step({ facts: { kind: 'foreign', offset }, index: NO_INDEX }, undefined, this.#states)
        continue
      }
      const time = batch.timestampOf(cursor.timestampDelta)
      const { bytes, keyAt, keyLength, valueAt, valueLength, headersAt, headerCount } = cursor
      const headersEnd = cursor.position
      const entry: Entry = {
        bytes,
        valueAt,
        valueLength,
        headersAt,
        headersEnd,
        headerCount,
        offset,
        time,
      }
      const key = keyLength < 0 ? null : bytes.subarray(keyAt, keyAt + keyLength)
      this.#step(decodeFacts(offset, time, key, entry), entry, this.#states)
    }
    if (batch.lastOffset + 1 > this.fold.position) this.fold.position = batch.lastOffset + 1
    if (this.fold.foreign > foreign) this.#listener.foreign(this, this.fold.foreign - foreign)
    const { misplaced: lost } = this.fold
    if (lost > misplaced) this.#listener.misplaced(this, lost - misplaced)
    return applied
  }

  /** Folds a record whose headers are known, because this store wrote them. */
  applyOwn(facts: Facts, index: IndexFacts, entry: Entry | undefined): void {
    // It was written into the bucket that it belongs into.
    this.#step({ facts, index }, entry, this.index)
  }

  #step(decoded: Decoded, entry: Entry | undefined, streams: StreamStates): void {
    const { facts } = decoded
    const verdicts = this.#verdicts
    const { stamp } = this.fold
    verdicts.length = 0
    if (facts.kind === 'event' && facts.count > 1 && entry !== undefined) {
      this.#held.set(facts.offset, entry)
      this.#heldIndex.set(facts.offset, decoded.index)
    }
    try {
      foldRecord(this.fold, streams, facts, verdicts)
    } catch (error) {
      if (!(error instanceof NewerRule)) throw error
      throw new StoreError(
        'RULE_TOO_NEW',
        `category ${this.category.name}, bucket ${this.number}: ${error.message}`,
      )
    }
    if (facts.kind === 'identity') this.#checkIdentity()
    if (this.fold.stamp > stamp) this.#listener.stamped(this.fold.stamp)
    for (const verdict of verdicts) {
      if (verdict.kind === 'accepted') this.#accept(verdict.records, decoded, entry)
      else this.#void(verdict.offsets)
      this.#listener.decided(this, verdict)
    }
  }

  /** @throws StoreError BUCKETS_DIFFER, BOUNDARY_DIFFERS, RULE_TOO_NEW */
  #checkIdentity(): void {
    const { identity } = this.fold
    if (identity !== null) this.category.checkIdentity(identity, this.number)
  }

  #accept(records: readonly EventFacts[], decoded: Decoded, entry: Entry | undefined): void {
    for (const facts of records) {
      const bytes = facts.count === 1 ? entry : this.#held.get(facts.offset)
      if (bytes === undefined) {
        throw new StoreError('INDEX_DAMAGED', `the record at offset ${facts.offset} was not kept`)
      }
      const index =
        facts.count === 1
          ? decoded.index
          : (this.#heldIndex.get(facts.offset) ?? indexFactsOf(bytes))
      this.#held.delete(facts.offset)
      this.#heldIndex.delete(facts.offset)
      this.index.add(facts, bytes, index, tenantOf(facts.stream))
      if (index.personal !== undefined) this.#listener.personal(this, facts, index.personal)
    }
  }

  #void(offsets: readonly number[]): void {
    for (const offset of offsets) {
      this.#held.delete(offset)
      this.#heldIndex.delete(offset)
      this.index.addVoid(offset)
    }
  }

  /** Writes the index as far as the fold is. */
  flush(): Promise<void> {
    return this.index.flush(keptBucket(this.category.topicId, this.fold, this.#held))
  }
}

/** A bucket in messages. */
export const placeOf = ({ category, number }: Bucket): string =>
  `category ${category.name}, bucket ${number}`

/** A checkpoint is of a log that was put back to an earlier state, or of a topic made anew. */
export const pastTheEnd = ({ category, number }: Bucket): StoreError =>
  new StoreError(
    'CHECKPOINT_MISMATCH',
    `a checkpoint past the end of category ${category.name}, bucket ${number}`,
  )

/** After a restart: what the index wants of a record whose append was open. */
function indexFactsOf(entry: Entry): IndexFacts {
  const { correlationId, personal } = decodeMetadata(entry)
  return { correlationId, personal }
}
