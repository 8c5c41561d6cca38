/**
 * Reads the events of one stream: the pages of the index, then what is in memory. What is in memory
 * is captured first, so that a flush in between moves events but loses none; versions say which
 * have been delivered.
 */

import { StoreError } from '../../errors.ts'
import type { KeyValue } from '../../kv/key-value.ts'
import type { StreamVersion } from '../../port.ts'
import { type Entry, readEntries } from './entry.ts'
import { type IndexPlace, KIND, numberOf, textNumberKey } from './keys.ts'
import type { StreamSlot } from './stream-cache.ts'

/** Events of a stream that follow each other; the first has version `first`. */
export type Run = { readonly first: number; readonly entries: readonly Entry[] }

/**
 * Runs from a version to another, both included, in order or backwards: all of them.
 *
 * @throws StoreError INDEX_DAMAGED where one is missing; LevelDB passes over a damaged part of its
 *   own log without a word
 */
export async function* streamRuns(
  kv: KeyValue,
  place: IndexPlace,
  slot: StreamSlot,
  from: number,
  to: number,
  backwards: boolean,
): AsyncGenerator<Run, void> {
  let next = backwards ? to : from
  for await (const run of foundRuns(kv, place, slot, from, to, backwards)) {
    const last = run.first + run.entries.length - 1
    if ((backwards ? last : run.first) !== next) throw missing(slot, next)
    next = backwards ? run.first - 1 : last + 1
    yield run
  }
  if (from <= to && (backwards ? next >= from : next <= to)) throw missing(slot, next)
}

const missing = ({ stream }: StreamSlot, version: StreamVersion): StoreError =>
  new StoreError(
    'INDEX_DAMAGED',
    `the index lacks version ${version} of stream ${JSON.stringify(stream)}`,
  )

async function* foundRuns(
  kv: KeyValue,
  place: IndexPlace,
  slot: StreamSlot,
  from: number,
  to: number,
  backwards: boolean,
): AsyncGenerator<Run, void> {
  if (from > to) return
  const memory = captured(slot, to)
  const memoryFirst = memory[0]?.first ?? Number.POSITIVE_INFINITY
  const kept = slot.tail.first > 0 && from < memoryFirst
  if (!backwards) {
    let next = from
    if (kept) {
      for await (const run of pages(kv, place, slot, from, Math.min(to, memoryFirst - 1), false)) {
        yield run
        next = run.first + run.entries.length
      }
    }
    for (const run of memory) {
      const part = cut(run, next, to)
      if (part.entries.length > 0) yield part
    }
    return
  }
  for (const run of memory.toReversed()) {
    const part = cut(run, from, to)
    if (part.entries.length > 0) yield part
  }
  if (kept) yield* pages(kv, place, slot, from, Math.min(to, memoryFirst - 1), true)
}

/** What is in memory up to a version, as it is now. */
function captured(slot: StreamSlot, to: number): Run[] {
  const runs: Run[] = []
  if (slot.flushing.length > 0 && slot.flushingFirst <= to) {
    runs.push({ first: slot.flushingFirst, entries: slot.flushing })
  }
  if (slot.fresh.length > 0 && slot.freshFirst <= to) {
    const count = Math.min(slot.fresh.length, to - slot.freshFirst + 1)
    runs.push({ first: slot.freshFirst, entries: slot.fresh.slice(0, count) })
  }
  return runs
}

function cut(run: Run, from: number, to: number): Run {
  const begin = Math.max(0, from - run.first)
  const end = Math.min(run.entries.length, to - run.first + 1)
  if (begin === 0 && end === run.entries.length) return run
  return { first: run.first + begin, entries: run.entries.slice(begin, Math.max(begin, end)) }
}

async function* pages(
  kv: KeyValue,
  place: IndexPlace,
  slot: StreamSlot,
  from: number,
  to: number,
  backwards: boolean,
): AsyncGenerator<Run, void> {
  const { stream, tail } = slot
  const key = (version: StreamVersion): Buffer => textNumberKey(KIND.events, place, stream, version)
  if (from >= tail.first) {
    // One page, and its key is known.
    const page = kv.getSync(key(tail.first))
    const run = page && cut({ first: tail.first, entries: readEntries(page) }, from, to)
    if (run !== undefined && run.entries.length > 0) yield run
    return
  }
  const gte = key(await pageOfVersion(kv, key, from))
  for await (const found of kv.range({ gte, lt: key(to + 1), reverse: backwards })) {
    for (const [pageKey, page] of found) {
      const run = cut({ first: numberOf(pageKey), entries: readEntries(page) }, from, to)
      if (run.entries.length > 0) yield run
    }
  }
}

/** The first version of the page that a version is in. */
async function pageOfVersion(
  kv: KeyValue,
  key: (version: StreamVersion) => Buffer,
  version: StreamVersion,
): Promise<number> {
  if (version === 1) return 1
  for await (const [found] of kv.range({
    gte: key(0),
    lt: key(version + 1),
    reverse: true,
    limit: 1,
  })) {
    if (found !== undefined) return numberOf(found[0])
  }
  return version
}
