/**
 * The states of the fold as bytes, for the index: what a restart goes on from. JSON, because the
 * cost is a few microseconds a stream and a person can read it.
 */

import type { Timestamp } from '@millrace/log'
import type { StreamVersion } from '../../port.ts'
import type { EventFacts, IdentityFacts } from '../../rule/facts.ts'
import type {
  BucketFold,
  OpenAppend,
  RememberedCommand,
  StreamFold,
  Tagged,
} from '../../rule/fold-state.ts'
import { EMPTY_STREAM } from '../../rule/fold-state.ts'
import { type Entry, pageOf, readEntries } from './entry.ts'

/** Where a stream's last page begins, and its size; 0 without a page. */
export type TailPage = { readonly first: number; readonly bytes: number }

/** Layout of what is kept; another one is thrown away and built again. */
const FORM = 3

type CommandRow = readonly [string, string, number, number, number, number]
type StreamRow = readonly [
  version: StreamVersion,
  firstVersion: StreamVersion,
  createdAt: Timestamp,
  updatedAt: Timestamp,
  flags: number,
  tailFirst: number,
  tailBytes: number,
  commands: readonly CommandRow[],
  cancels: readonly (readonly [string, number])[],
]
const ARCHIVED = 1
const TOMBSTONED = 2

/** Writes a stream's state. */
export function encodeStream(state: StreamFold, tail: TailPage): Buffer {
  const flags = (state.archived ? ARCHIVED : 0) | (state.tombstoned ? TOMBSTONED : 0)
  const row: StreamRow = [
    state.version,
    state.firstVersion,
    state.createdAt,
    state.updatedAt,
    flags,
    tail.first,
    tail.bytes,
    state.commands.map(c => [
      c.commandId,
      c.appendId,
      c.firstVersion,
      c.lastVersion,
      c.firstOffset,
      c.lastOffset,
    ]),
    state.cancels.map(c => [c.appendId, c.claim]),
  ]
  return Buffer.from(JSON.stringify(row))
}

/** Reads a stream's state. */
export function decodeStream(bytes: Buffer): {
  readonly state: StreamFold
  readonly tail: TailPage
} {
  const row = JSON.parse(bytes.toString('utf8')) as StreamRow
  const [version, firstVersion, createdAt, updatedAt, flags, first, size, commands, cancels] = row
  const state: StreamFold = {
    ...EMPTY_STREAM,
    version,
    firstVersion,
    createdAt,
    updatedAt,
    archived: (flags & ARCHIVED) !== 0,
    tombstoned: (flags & TOMBSTONED) !== 0,
    commands: commands.map(commandOf),
    cancels: cancels.map(([appendId, claim]) => ({ appendId, claim })),
  }
  return { state, tail: { first, bytes: size } }
}

const commandOf = ([
  commandId,
  appendId,
  firstVersion,
  lastVersion,
  firstOffset,
  lastOffset,
]: CommandRow): RememberedCommand => ({
  commandId,
  appendId,
  firstVersion,
  lastVersion,
  firstOffset,
  lastOffset,
})

/** A bucket as it is kept: the fold, and the bytes of the records of open appends by offset. */
export type KeptBucket = {
  /** Of the topic that was folded: another one discards the index. */
  readonly topicId: string
  readonly fold: BucketFold
  readonly held: ReadonlyMap<number, Entry>
}

type BucketRow = {
  readonly form: number
  readonly topicId: string
  readonly position: number
  readonly taggedFrom: number
  readonly events: number
  readonly voided: number
  readonly foreign: number
  readonly misplaced: number
  readonly identity: IdentityFacts | null
  readonly clock: number
  readonly stamp: number
  readonly tagged: readonly Tagged[]
  readonly open: readonly (Omit<OpenAppend, 'first'> & { readonly records: EventFacts[] })[]
}

const LENGTH_BYTES = 4

/** Writes a bucket. */
export function encodeBucket(kept: KeptBucket): Buffer {
  const { fold } = kept
  const row: BucketRow = {
    form: FORM,
    topicId: kept.topicId,
    position: fold.position,
    taggedFrom: fold.taggedFrom,
    events: fold.events,
    voided: fold.voided,
    foreign: fold.foreign,
    misplaced: fold.misplaced,
    identity: fold.identity,
    clock: fold.clock,
    stamp: fold.stamp,
    tagged: fold.tagged,
    open: [...fold.open.values()].map(({ appendId, stream, count, records }) => ({
      appendId,
      stream,
      count,
      records,
    })),
  }
  const json = Buffer.from(JSON.stringify(row))
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(json.length)
  return Buffer.concat([length, json, pageOf([...kept.held.values()])])
}

/** Reads a bucket; null when it was written in another form. */
export function decodeBucket(bytes: Buffer): KeptBucket | null {
  const jsonEnd = LENGTH_BYTES + bytes.readUInt32BE(0)
  const row = JSON.parse(bytes.toString('utf8', LENGTH_BYTES, jsonEnd)) as BucketRow
  if (row.form !== FORM) return null
  const held = readEntries(bytes.subarray(jsonEnd))
  return {
    topicId: row.topicId,
    held: new Map(held.map(entry => [entry.offset, entry])),
    fold: {
      position: row.position,
      taggedFrom: row.taggedFrom,
      events: row.events,
      voided: row.voided,
      foreign: row.foreign,
      misplaced: row.misplaced,
      identity: row.identity,
      clock: row.clock,
      stamp: row.stamp,
      tagged: [...row.tagged],
      open: new Map(
        row.open.map(open => [open.stream, { ...open, first: open.records[0] as EventFacts }]),
      ),
    },
  }
}
