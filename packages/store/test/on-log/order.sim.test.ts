// Order across buckets: reads of several buckets against a naive merge, on random logs of writers whose
// clocks differ, from the beginning and from any checkpoint. MILLRACE_TEST_SEEDS=N for more logs,
// MILLRACE_TEST_SEED=S for one.

import { ChangeSignal, systemOutside, Turns } from '@millrace/base'
import { Prng } from '@millrace/engine/simulation'
import {
  type FetchRequest,
  type FetchResult,
  type Log,
  RecordBatchBuilder,
  setBatchPosition,
} from '@millrace/log'
import { expect, it } from 'vitest'
import { decodeCheckpoint } from '../../src/checkpoint.ts'
import { type AllRead, readAllEvents } from '../../src/on-log/all-reader.ts'
import type { Bucket } from '../../src/on-log/bucket.ts'
import type { RawEvent } from '../../src/on-log/event.ts'
import type { EventOpener } from '../../src/on-log/opener.ts'
import { HeaderEncoder } from '../../src/rule/headers.ts'
import { HybridClock } from '../../src/rule/hybrid-clock.ts'

const SEEDS = Number(process.env['MILLRACE_TEST_SEEDS'] ?? 3000)
const SKEW_MS = 100_000

/** An event of the random log. */
type Written = {
  readonly id: string
  readonly bucket: number
  readonly offset: number
  /** Of its append. */
  readonly stamp: number
  readonly isFirst: boolean
  /** How many records of each bucket its writer had seen. */
  readonly seen: readonly number[]
}

type RandomLog = {
  readonly buckets: readonly (readonly Written[])[]
  readonly batches: readonly (readonly { readonly base: number; readonly bytes: Buffer }[])[]
}

function randomLog(prng: Prng): RandomLog {
  const encoder = new HeaderEncoder('things')
  const count = prng.between(2, 5)
  const buckets: Written[][] = Array.from({ length: count }, () => [])
  const batches: { base: number; bytes: Buffer }[][] = buckets.map(() => [])
  let wall = 1_750_000_000_000
  const writers = Array.from({ length: prng.between(1, 3) }, () => {
    const skew = prng.between(-SKEW_MS, SKEW_MS)
    const clock = new HybridClock({ now: () => wall + skew }, SKEW_MS, () => undefined)
    return { clock, seen: buckets.map(() => 0) }
  })
  const highest = buckets.map(() => 0)
  const stampsOf = buckets.map((): number[] => [])
  const appends = prng.between(5, 40)
  for (let append = 0; append < appends; append += 1) {
    wall += prng.pick([0, 0, 1, 50])
    const writer = prng.pick(writers)
    for (const [i, events] of buckets.entries()) {
      const sees = prng.chance(0.5) ? events.length : writer.seen[i]
      writer.seen[i] = Math.max(writer.seen[i] as number, sees as number)
      const stamp = stampsOf[i]?.[(writer.seen[i] as number) - 1]
      if (stamp !== undefined) writer.clock.met(stamp)
    }
    const bucket = prng.below(count)
    const events = buckets[bucket] as Written[]
    const stamp = writer.clock.next()
    const records = prng.between(1, 3)
    const base = events.length
    const seen = [...writer.seen]
    const builder = new RecordBatchBuilder()
    for (let index = 0; index < records; index += 1) {
      const id = `${append}.${index}`
      events.push({ id, bucket, offset: base + index, stamp, isFirst: index === 0, seen })
      highest[bucket] = Math.max(highest[bucket] as number, stamp)
      stampsOf[bucket]?.push(highest[bucket] as number)
      const headers = encoder.event('T', {
        ...{ tenant: '', schemaVersion: 1, appendId: `a${append}`, version: index + 1, index },
        ...{ count: records, stamp: index === 0 ? stamp : undefined, id, time: wall, tags: [] },
        ...{ commandId: undefined, correlationId: undefined, causationId: undefined },
        ...{ actor: undefined, saga: undefined, checks: undefined, condition: undefined },
        ...{ personal: undefined, metadata: undefined },
      })
      builder.append({ key: `s${append}`, value: '{}', headers, timestamp: wall }, wall)
    }
    const bytes = builder.finish()
    setBatchPosition(bytes, 0, base, 0)
    batches[bucket]?.push({ base, bytes })
  }
  return { buckets, batches }
}

/** A log that gives a batch or a few of a partition at once, and now and then none. */
function logOf({ batches }: RandomLog, prng: Prng): Log {
  const fetch = async ({ positions }: FetchRequest): Promise<readonly FetchResult[]> =>
    positions.map(({ topic, partition, offset }) => {
      const all = batches[partition] ?? []
      const from = all.findLastIndex(({ base }) => base <= offset)
      const some = prng.chance(0.1) ? [] : all.slice(from, from + prng.between(1, 4))
      const records = Buffer.concat(some.map(({ bytes }) => bytes))
      return { topic, partition, records } as unknown as FetchResult
    })
  return { id: 'log', fetch } as unknown as Log
}

const bucketsOf = ({ buckets }: RandomLog, confirmed: (bucket: number) => number): Bucket[] =>
  buckets.map(
    (events, number) =>
      ({
        ...{ number, failure: null, decided: events.length, confirmed: confirmed(number) },
        ...{ category: { name: 'things', topic: 'things' }, fold: { voided: 0 } },
      }) as unknown as Bucket,
  )

/** Reads on from offsets; the ids, and where each page ended. */
async function read(log: Log, buckets: Bucket[], from: readonly number[], pageSize: number) {
  const opener = { orUnreadable: (_: unknown, raw: RawEvent) => raw } as unknown as EventOpener
  const parts = {
    ...{ log, opener, advanced: new ChangeSignal(), closing: new AbortController().signal },
    ...{ pageBytes: 1 << 20, pause: () => Promise.resolve() },
    turns: new Turns(systemOutside(), 2),
  }
  const what: AllRead = {
    ...{ buckets, from: new Map(buckets.map((bucket, i) => [bucket, from[i] ?? 0])) },
    ...{ tenant: null, filter: {}, follow: false, pageSize, signal: undefined },
  }
  const pages: { readonly ids: string[]; readonly at: readonly number[] }[] = []
  for await (const { events, checkpoint } of readAllEvents(parts, what)) {
    const positions = decodeCheckpoint(checkpoint).positions.get('things')
    const at = buckets.map(({ number }) => positions?.get(number) ?? -1)
    pages.push({ ids: events.map(({ id }) => id), at })
  }
  return pages
}

/** The order as plainly as it can be said: by the highest stamp that the bucket has shown so far. */
function naiveOrder(log: RandomLog, from: readonly number[]): string[] {
  const rest = log.buckets.flatMap((events, i) => {
    let key = 0
    return events.slice(from[i]).map(event => {
      if (event.isFirst) key = Math.max(key, event.stamp)
      return { event, key }
    })
  })
  return rest
    .toSorted(
      (a, b) => a.key - b.key || a.event.bucket - b.event.bucket || a.event.offset - b.event.offset,
    )
    .map(({ event }) => event.id)
}

/** The first event that comes before one that its writer had seen, if any does. */
function beforeItsCause(log: RandomLog, from: readonly number[], ids: readonly string[]): string {
  const events = new Map(log.buckets.flat().map(event => [event.id, event]))
  const given = [...from]
  for (const id of ids) {
    const event = events.get(id) as Written
    const missing = event.seen.findIndex((count, bucket) => (given[bucket] as number) < count)
    if (missing >= 0) return `${id} before what was seen of bucket ${missing}`
    given[event.bucket] = event.offset + 1
  }
  return 'none'
}

it('a read of several buckets gives what caused an event before it, from the beginning and from any checkpoint', async () => {
  const one = process.env['MILLRACE_TEST_SEED']
  const seeds = one === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(one)]
  for (const seed of seeds) {
    const prng = new Prng(seed)
    const log = randomLog(prng)
    const repeat = `MILLRACE_TEST_SEED=${seed}`
    const buckets = bucketsOf(log, number => log.buckets[number]?.length ?? 0)
    const start = buckets.map(() => 0)
    const pages = await read(logOf(log, prng), buckets, start, prng.between(1, 10))
    const all = pages.flatMap(({ ids }) => ids)
    expect(all, repeat).toEqual(naiveOrder(log, start))
    expect(beforeItsCause(log, start, all), repeat).toBe('none')
    const stop = prng.below(pages.length)
    const first = pages.slice(0, stop + 1).flatMap(({ ids }) => ids)
    const at = pages[stop]?.at ?? start
    const rest = (await read(logOf(log, prng), buckets, at, 10)).flatMap(({ ids }) => ids)
    expect(rest, repeat).toEqual(naiveOrder(log, at))
    expect(beforeItsCause(log, start, [...first, ...rest]), `${repeat}, gone on`).toBe('none')
  }
}, 600_000)
