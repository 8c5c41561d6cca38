/**
 * What a saga has to do and when: timers that run, commands and effects that wait to be sent, and
 * what is parked. One row each, found by time and by stream.
 *
 * The agenda is a fold of the saga's streams and nothing else's only copy. It lies in a temporary
 * SQLite database that the platform removes with the process; of it, only `cacheBytes` are in
 * memory, so a million timers cost the disk and not the heap. Commands of one instance go out in
 * order: only the first of them has a time, the next gets one when the first is gone.
 *
 * Rows remember the offset of the event that made them. The lowest one that is left, in steps of
 * {@link OFFSET_STEP}, is where a restart has to read from (`lowWater`).
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'

/** Timers. */
export const TIMERS = 0
/** Commands that wait to be sent. */
export const COMMANDS = 1
/** Instances that are parked. */
export const PARKED = 2
/** The first lane of effects; each effect has its own. */
export const EFFECTS = 3

/** A time that never comes: parked, or behind another command. */
export const NEVER: number = Number.MAX_SAFE_INTEGER
const OFFSET_STEP = 4096
const PAGE_BYTES = 4096

/** Names an instance of the saga. */
export type InstanceRef = { readonly tenant: string; readonly id: string }

/** Something to be done. */
export type AgendaItem = InstanceRef & {
  readonly row: number
  readonly lane: number
  readonly bucket: number
  /** Name of the timer; of a send, its version as text; of a parked instance "". */
  readonly name: string
  /** Ms since the epoch, or {@link NEVER}. */
  readonly due: number
  /** Version of the event that made it. */
  readonly version: number
  readonly offset: number
  /** Attempts that failed. */
  readonly attempts: number
  /** Why it is parked; null if it is not. */
  readonly reason: string | null
}

type Key = Pick<AgendaItem, 'lane' | 'tenant' | 'id' | 'name'>
type NewItem = Omit<AgendaItem, 'row' | 'attempts' | 'reason'> & { readonly reason?: string | null }

const SCHEMA = `
  PRAGMA page_size = ${PAGE_BYTES};
  PRAGMA journal_mode = OFF;
  PRAGMA synchronous = OFF;
  PRAGMA locking_mode = EXCLUSIVE;
  CREATE TABLE item (
    lane INTEGER NOT NULL, bucket INTEGER NOT NULL, due INTEGER NOT NULL,
    tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
    version INTEGER NOT NULL, offset INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, reason TEXT
  );
  CREATE INDEX item_by_time ON item (lane, bucket, due);
  CREATE UNIQUE INDEX item_by_stream ON item (id, tenant, lane, name);
  CREATE INDEX item_parked ON item (id, tenant) WHERE reason IS NOT NULL;
`

/** See the head of the file. */
export class Agenda {
  readonly #cacheBytes: number
  /** Null: nothing was put since it was made, or closed. */
  #db: DatabaseSync | null = null
  #prepared: ReturnType<typeof prepare> | null = null
  /** Rows by step of their offset, by bucket. */
  readonly #open = new Map<number, Map<number, number>>()
  readonly #counts = new Map<number, number>()

  constructor(cacheBytes: number) {
    this.#cacheBytes = cacheBytes
  }

  /** Adds an item, or replaces the one of its name if that is older. */
  put(item: NewItem): void {
    const { lane, bucket, due, tenant, id, name, version, offset, reason = null } = item
    const row = [lane, bucket, due, tenant, id, name, version, offset, reason] as const
    if (this.#statements.add.run(...row).changes === 0) {
      const before = this.get(item)
      if (before === undefined || before.version >= version) return
      this.#statements.replace.run(...row)
      this.#count(before, -1)
    }
    this.#count(item, 1)
  }

  get(key: Key): AgendaItem | undefined {
    return itemOf(this.#statements.get.get(key.id, key.tenant, key.lane, key.name))
  }

  /** Removes an item; with a version, only if it is of that version or older. */
  remove(key: Key, version: number = NEVER): void {
    const before = this.get(key)
    if (before !== undefined && before.version <= version) this.removeItem(before)
  }

  /** Removes an item as it was read; nothing happens if there is another in its place. */
  removeItem(item: AgendaItem): void {
    if (this.#statements.remove.run(item.row, item.version).changes > 0) this.#count(item, -1)
  }

  /** Removes all items of an instance in a lane. */
  removeAll(ref: InstanceRef, lane: number): void {
    for (const row of this.#statements.ofStream.all(ref.id, ref.tenant, lane)) {
      const item = itemOf(row)
      if (item !== undefined) this.removeItem(item)
    }
  }

  /** Gives an item another time. */
  postpone(key: Key, due: number, attempts: number, reason: string | null): void {
    this.#statements.postpone.run(due, attempts, reason, key.id, key.tenant, key.lane, key.name)
  }

  /** The item of an instance and lane with the lowest version. */
  first(ref: InstanceRef, lane: number): AgendaItem | undefined {
    return itemOf(this.#statements.first.get(ref.id, ref.tenant, lane))
  }

  /** The lanes in which an instance has an item of this name. */
  lanesOf(ref: InstanceRef, name: string): number[] {
    const rows = this.#statements.lanesOf.all(ref.id, ref.tenant, name) as { lane: number }[]
    return rows.map(({ lane }) => lane)
  }

  /** What is due in a bucket by a time, earliest first. */
  due(lane: number, bucket: number, until: number, limit: number): AgendaItem[] {
    const rows = this.#statements.due.all(lane, bucket, until, limit)
    return rows.flatMap(row => itemOf(row) ?? [])
  }

  /** When the first item of a bucket after a time is due, or {@link NEVER}. */
  nextAfter(lane: number, bucket: number, time: number): number {
    const row = this.#statements.next.get(lane, bucket, time) as { due: number | null } | undefined
    return row?.due ?? NEVER
  }

  /** Items with a reason: what is parked, a page at a time, in the order of ids. */
  withReason(after: InstanceRef, limit: number): AgendaItem[] {
    const rows = this.#statements.parked.all(after.id, after.tenant, limit)
    return rows.flatMap(row => itemOf(row) ?? [])
  }

  /** How many items have a reason. */
  get parked(): number {
    if (this.#db === null) return 0
    return (this.#statements.countParked.get() as { rows: number }).rows
  }

  count(lane: number): number {
    return this.#counts.get(lane) ?? 0
  }

  /** The offset from which a restart must read a bucket; `position` when nothing is left. */
  lowWater(bucket: number, position: number): number {
    let lowest = position
    for (const step of this.#open.get(bucket)?.keys() ?? [])
      lowest = Math.min(lowest, step * OFFSET_STEP)
    return lowest
  }

  /** Forgets everything: the buckets may go to other nodes. */
  clear(): void {
    if (this.#db !== null) this.#statements.clear.run()
    this.#counts.clear()
    this.#open.clear()
  }

  /** Forgets everything and gives its memory and its file back; what is put later opens it anew. */
  close(): void {
    this.clear()
    this.#prepared = null
    this.#db?.close()
    this.#db = null
  }

  get #statements(): ReturnType<typeof prepare> {
    if (this.#prepared !== null) return this.#prepared
    // The empty name is SQLite's temporary file: deleted with the connection, spilled past the cache.
    const db = new DatabaseSync('')
    db.exec(`PRAGMA cache_size = ${Math.ceil(this.#cacheBytes / PAGE_BYTES)};${SCHEMA}`)
    // Nobody else reads it and nothing outlives it: one transaction that never ends saves the
    // writing of pages at each of its statements (deletes a second: 65,000 instead of 11,000).
    db.exec('BEGIN')
    this.#db = db
    this.#prepared = prepare(db)
    return this.#prepared
  }

  #count(item: Pick<AgendaItem, 'lane' | 'bucket' | 'offset'>, by: 1 | -1): void {
    this.#counts.set(item.lane, this.count(item.lane) + by)
    const steps = this.#open.get(item.bucket) ?? new Map<number, number>()
    this.#open.set(item.bucket, steps)
    const step = Math.floor(item.offset / OFFSET_STEP)
    const left = (steps.get(step) ?? 0) + by
    if (left === 0) steps.delete(step)
    else steps.set(step, left)
  }
}

function prepare(db: DatabaseSync) {
  const columns =
    'rowid AS row, lane, bucket, due, tenant, id, name, version, offset, attempts, reason'
  const values = `INTO item (lane, bucket, due, tenant, id, name, version, offset, reason)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
  const key = 'id = ? AND tenant = ? AND lane = ? AND name = ?'
  const sql = (text: string): StatementSync => db.prepare(text)
  return {
    add: sql(`INSERT OR IGNORE ${values}`),
    replace: sql(`INSERT OR REPLACE ${values}`),
    get: sql(`SELECT ${columns} FROM item WHERE ${key}`),
    remove: sql('DELETE FROM item WHERE rowid = ? AND version = ?'),
    ofStream: sql(`SELECT ${columns} FROM item WHERE id = ? AND tenant = ? AND lane = ?`),
    first: sql(
      `SELECT ${columns} FROM item WHERE id = ? AND tenant = ? AND lane = ? ORDER BY version LIMIT 1`,
    ),
    lanesOf: sql('SELECT lane FROM item WHERE id = ? AND tenant = ? AND name = ?'),
    postpone: sql(`UPDATE item SET due = ?, attempts = ?, reason = ? WHERE ${key}`),
    due: sql(
      `SELECT ${columns} FROM item WHERE lane = ? AND bucket = ? AND due <= ? ORDER BY due LIMIT ?`,
    ),
    next: sql('SELECT min(due) AS due FROM item WHERE lane = ? AND bucket = ? AND due > ?'),
    parked: sql(
      `SELECT ${columns} FROM item WHERE reason IS NOT NULL AND (id, tenant) > (?, ?)
       ORDER BY id, tenant LIMIT ?`,
    ),
    countParked: sql('SELECT count(*) AS rows FROM item WHERE reason IS NOT NULL'),
    clear: sql('DELETE FROM item'),
  }
}

const itemOf = (row: unknown): AgendaItem | undefined => row as AgendaItem | undefined
