/**
 * The appends of one bucket that go out together, as one record batch: written here, and folded from
 * memory when the log has taken them and nobody wrote in between.
 */
import { decodeBatches, type Offset, RecordBatchBuilder } from '@millrace/log'
import type { IndexFacts } from '../rule/decode-headers.ts'
import type { EventFacts } from '../rule/facts.ts'
import type { Bucket } from './bucket.ts'
import type { Entry } from './index/entry.ts'
import type { AppendRequest, Claim, PendingAppend } from './pending.ts'

/** An append and what it claimed in one attempt: the next may be under way when this one is told. */
export type Attempt = { readonly pending: PendingAppend; readonly claim: Claim }

const NO_INDEX: IndexFacts = Object.freeze({ correlationId: undefined, personal: undefined })

/** See the head of the file. */
export class AppendBatch {
  readonly bucket: Bucket
  readonly attempts: Attempt[] = []
  readonly builder: RecordBatchBuilder
  readonly #facts: EventFacts[] = []
  readonly #index: IndexFacts[] = []

  /** @param builder empty; it is free again after `finish` */
  constructor(bucket: Bucket, builder: RecordBatchBuilder = new RecordBatchBuilder()) {
    this.bucket = bucket
    this.builder = builder
  }

  /** Records so far. */
  get records(): number {
    return this.#facts.length
  }

  /** Whether an append may join: some go alone. */
  fits(pending: PendingAppend, bytesMax: number): boolean {
    if (pending.alone || this.attempts[0]?.pending.alone) return false
    return this.builder.bytes + pending.request.bytes <= bytesMax
  }

  /** Writes the records of an append, and notes what the fold is to know of them. */
  add(attempt: Attempt): void {
    this.attempts.push(attempt)
    const { request } = attempt.pending
    for (let index = 0; index < request.events.length; index++) {
      this.#record(request, attempt.claim, index)
    }
  }

  #record(request: AppendRequest, claim: Claim, index: number): void {
    const event = request.events[index] as AppendRequest['events'][number]
    const { correlationId } = request
    const count = request.events.length
    const time = claim.times[index] as number
    const version = claim.version + index
    const first = index === 0
    const headers = this.bucket.category.headers.event(event.type, {
      tenant: request.tenant,
      schemaVersion: event.schemaVersion,
      appendId: claim.appendId,
      version,
      index,
      count,
      stamp: first ? claim.stamp : undefined,
      id: event.id,
      time,
      commandId: request.commandId,
      correlationId,
      causationId: request.causationId,
      actor: request.actor,
      saga: request.saga,
      tags: event.tags,
      checks: first ? claim.checks : undefined,
      condition: first ? claim.condition : undefined,
      personal: event.personal,
      metadata: event.metadata,
    })
    this.builder.append({ key: request.id, value: event.value, headers, timestamp: time }, time)
    this.#facts.push({
      kind: 'event',
      offset: -1,
      stream: request.stream,
      appendId: claim.appendId,
      index,
      count,
      version,
      type: event.type,
      tags: event.tags,
      time,
      stamp: first ? claim.stamp : undefined,
      commandId: first ? request.commandId : undefined,
      condition: first ? claim.condition : undefined,
      checks: first ? claim.checks : undefined,
    })
    const { personal } = event
    const plain = correlationId === undefined && personal === undefined
    this.#index.push(plain ? NO_INDEX : { correlationId, personal })
  }

  /** Folds the records, which the log has from `baseOffset` on. @param bytes as the log took them */
  fold(bytes: Buffer, baseOffset: number): void {
    const [batch] = decodeBatches(bytes, { checkCrc: false })
    const cursor = batch?.cursor()
    for (let i = 0; i < this.#facts.length && cursor?.advance(); i++) {
      const facts = this.#facts[i] as EventFacts & { offset: Offset }
      facts.offset = baseOffset + i
      const entry: Entry = {
        bytes: cursor.bytes,
        valueAt: cursor.valueAt,
        valueLength: cursor.valueLength,
        headersAt: cursor.headersAt,
        headersEnd: cursor.position,
        headerCount: cursor.headerCount,
        offset: facts.offset,
        time: facts.time,
      }
      this.bucket.applyOwn(facts, this.#index[i] as IndexFacts, entry)
    }
  }
}
