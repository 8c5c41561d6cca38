/** Lists the streams of some buckets in the order of their ids' bytes, tenant by tenant. */
import { afterPrefix, type KeyValue, type KeyValueEntry } from '../kv/key-value.ts'
import type { StreamListing } from '../port.ts'
import { idOf, tenantOf } from '../rule/facts.ts'
import type { Bucket } from './bucket.ts'
import { KIND, placeKey, textOf } from './index/keys.ts'
import { decodeStream } from './index/state-codec.ts'

/** Which streams. */
export type ListOptions = {
  /** `null`: all. */
  readonly tenant: string | null
  readonly prefix?: string
  /** Ids after this one. */
  readonly after?: string
  readonly limit?: number
}

type Head = {
  readonly bucket: Bucket
  readonly pages: AsyncIterator<readonly KeyValueEntry[]>
  page: readonly KeyValueEntry[]
  at: number
}

/** What is in the index; what was not flushed is missing. */
export async function* listStreams(
  kv: KeyValue,
  buckets: readonly Bucket[],
  options: ListOptions,
): AsyncGenerator<StreamListing, void> {
  const { prefix = '', after, limit = Number.POSITIVE_INFINITY } = options
  const last = after === undefined ? undefined : Buffer.from(after)
  const heads = await Promise.all(buckets.map(bucket => open(kv, bucket, options)))
  try {
    for (let listed = 0; listed < limit; ) {
      const head = lowest(heads)
      if (head === undefined) return
      const [key, value] = head.page[head.at] as KeyValueEntry
      await advance(head)
      const stream = textOf(key)
      const id = idOf(stream)
      // By bytes, as the keys are: texts compare by halves of characters.
      if (!id.startsWith(prefix) || (last !== undefined && last.compare(Buffer.from(id)) >= 0))
        continue
      const { state } = decodeStream(value)
      listed += 1
      yield {
        stream: { tenant: tenantOf(stream), category: head.bucket.category.name, id },
        version: state.version,
        firstVersion: state.firstVersion,
        createdAt: state.createdAt,
        updatedAt: state.updatedAt,
        archived: state.archived,
        tombstoned: state.tombstoned,
        bucket: head.bucket.number,
      }
    }
  } finally {
    await Promise.all(heads.map(head => head.pages.return?.()))
  }
}

async function open(kv: KeyValue, bucket: Bucket, options: ListOptions): Promise<Head> {
  const { tenant, prefix = '', after } = options
  const all = placeKey(KIND.stream, bucket.index.place)
  const start = tenant === null ? all : Buffer.concat([all, Buffer.from(`${tenant}\0${prefix}`)])
  let gte = start
  // One byte more than any key of the id itself: its key ends in NUL.
  if (tenant !== null && after !== undefined) {
    const from = Buffer.concat([all, Buffer.from(`${tenant}\0${after}\0\x01`)])
    if (from.compare(gte) > 0) gte = from
  }
  const pages = kv.range({ gte, lt: afterPrefix(start) })[Symbol.asyncIterator]()
  const head: Head = { bucket, pages, page: [], at: 0 }
  await advance(head)
  return head
}

async function advance(head: Head): Promise<void> {
  head.at += 1
  if (head.at < head.page.length) return
  const next = await head.pages.next()
  head.page = next.done ? [] : next.value
  head.at = 0
}

/** Keys of one category differ in the bucket first: what comes after it is compared. */
const PLACE_BYTES = 5

function lowest(heads: readonly Head[]): Head | undefined {
  let found: Head | undefined
  for (const head of heads) {
    const key = head.page[head.at]?.[0]
    if (key === undefined) continue
    const best = found?.page[found.at]?.[0]
    if (best === undefined || key.compare(best, PLACE_BYTES, best.length, PLACE_BYTES) < 0)
      found = head
  }
  return found
}
