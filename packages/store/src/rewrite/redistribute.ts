/**
 * A category's records, put into another number of buckets. Within a stream their order stays, and
 * so do ids, versions and times; offsets do not, so nothing that points at them is valid any more.
 *
 * Claims on tags and on other streams are left out: they were judged where the records stood before.
 * The state of every stream of the category is in memory meanwhile, about 1 KiB each.
 */
import { createHash, randomUUID } from 'node:crypto'
import { decodeBatches, encodeBatch, HeaderWriter, type Log } from '@millrace/log'
import { type Boundary, bucketOf, type ResolvedBoundary } from '../boundary.ts'
import { idOf, tenantOf } from '../rule/facts.ts'
import type { StreamFold } from '../rule/fold-state.ts'
import { HeaderEncoder } from '../rule/headers.ts'
import {
  BucketWriter,
  copyHeaders,
  counts,
  type DropOptions,
  emptied,
  factsOf,
  losesData,
  type Survey,
  survey,
} from './bucket-copy.ts'
import { batchesOf, type RecordView, rangeOf, recordsOf } from './records.ts'

const CLAIMS: ReadonlySet<string> = new Set(['ce_checks', 'ce_condition'])
const DIGEST_BYTES = 32

/** How streams are spread. */
export type Spreading = {
  /** Number of buckets. */
  readonly count: number
  /** As of the category: streams with an equal boundary lie in one bucket. */
  readonly boundary?: Boundary
}

/** A topic and its number of buckets. */
export type Buckets = { readonly topic: string; readonly count: number }

/** Spreads the records of one topic over another, empty one. Gives what each bucket of the first held. */
export async function redistribute(
  log: Log,
  from: Buckets,
  to: string,
  { count, boundary }: { readonly count: number; readonly boundary: ResolvedBoundary },
  drop: DropOptions,
  onBucket: (found: Survey, bucket: number) => void,
): Promise<{ readonly streams: ReadonlyMap<string, StreamFold>; readonly digest: string }> {
  const writers = Array.from(
    { length: count },
    (_, bucket) => new BucketWriter(log, { topic: to, bucket }),
  )
  const streams = new Map<string, StreamFold>()
  const digest = new UnorderedDigest()
  const identity = identityRecord(to, count, boundary)
  for (const writer of writers) {
    await writer.writeNext(identity)
    digest.add(identity)
  }
  for (let bucket = 0; bucket < from.count; bucket++) {
    const place = { topic: from.topic, bucket }
    const found = await survey(log, place, boundary)
    for (const [stream, state] of found.streams) streams.set(stream, state)
    for await (const one of batchesOf(log, from.topic, bucket, found)) {
      if (one.batch.isControl || one.batch.isTransactional) continue
      for (const record of recordsOf(one)) {
        const facts = factsOf(record)
        if (!counts(facts, found) || !('stream' in facts)) continue
        const isDropped = facts.kind === 'event' && losesData(facts, found, drop)
        const written = isDropped ? emptied(record) : withoutClaims(record)
        digest.add(written)
        const { stream } = facts
        const target = bucketOf(boundary, tenantOf(stream), idOf(stream), count)
        await writers[target]?.writeNext(written)
      }
    }
    onBucket(found, bucket)
  }
  for (const writer of writers) await writer.end()
  return { streams, digest: digest.end() }
}

/** The record that says what a category is, at the head of each of its buckets. */
function identityRecord(topic: string, count: number, boundary: ResolvedBoundary): RecordView {
  const headers = new HeaderEncoder(topic).identity(randomUUID(), count, boundary)
  const [batch] = decodeBatches(
    encodeBatch({ records: [{ key: null, value: null, headers, timestamp: 0 }] }),
  )
  const [record] = batch === undefined ? [] : recordsOf({ batch, from: 0 })
  return record as RecordView
}

/** What a topic's records come to, in whatever order and buckets they lie. */
export async function contentOf(
  log: Log,
  { topic, count }: Buckets,
): Promise<{ readonly found: readonly Survey[]; readonly digest: string }> {
  const digest = new UnorderedDigest()
  const found: Survey[] = []
  for (let bucket = 0; bucket < count; bucket++) {
    found.push(await survey(log, { topic, bucket }))
    for await (const one of batchesOf(log, topic, bucket, await rangeOf(log, topic, bucket))) {
      for (const record of recordsOf(one)) digest.add(record)
    }
  }
  return { found, digest: digest.end() }
}

function withoutClaims(record: RecordView): RecordView {
  return { ...record, headers: copyHeaders(record, new HeaderWriter(), name => !CLAIMS.has(name)) }
}

/** Of records without their offsets, in any order: the digests of all, added bit by bit. */
class UnorderedDigest {
  readonly #sum = Buffer.alloc(DIGEST_BYTES)

  add({ time, key, value, headers }: RecordView): void {
    const hash = createHash('sha256').update(`${time} ${key?.length} ${value?.length}\n`)
    for (const part of [key, value, headers.bytes]) if (part !== null) hash.update(part)
    const bytes = hash.digest()
    for (let i = 0; i < DIGEST_BYTES; i++) this.#sum[i] = (this.#sum[i] ?? 0) ^ (bytes[i] ?? 0)
  }

  end(): string {
    return this.#sum.toString('hex')
  }
}
