/**
 * Key-value views: a value for each key, folded from events, kept as JSON in one table.
 *
 *   const limits = keyValueView('limits', {
 *     from: [loan], version: 1, value: type<Limit>(),
 *     key: event => event.stream,
 *     on: { 'loan.Submitted': (value, event) => ({ amount: event.data.amount }) },
 *   })
 *
 * It is a projection, so all that is said of projections holds: exactly once, rebuilt beside the old
 * one, streams that cannot be handled are parked. A page reads the values of its keys with one query,
 * folds in memory and writes with one query more. Several streams may meet in one key; one part
 * handles them all, in an order that is the same within a stream only.
 */
import { resolveSettings, type SettingValues } from '@millrace/base'
import type { Checkpoint } from '@millrace/store'
import type { Kysely } from 'kysely'
import type { Aggregate, EventOf, On } from '../define/aggregate.ts'
import { notJson } from '../define/json.ts'
import type { Projection } from '../define/projection.ts'
import { type Schema, type } from '../define/schema.ts'
import { ModelError } from '../errors.ts'
import type { ProjectionProcessor } from '../projections/types.ts'
import type { ViewCache } from './cache.ts'
import { VIEW_SETTINGS } from './settings.ts'

/** The one table of a key-value view, named as the view. */
export type KeyValueTables = Record<string, { key: string; value: string }>

/** A key-value view: a projection that knows the type of its values. */
export type KeyValueView<V> = Projection<KeyValueTables> & { readonly value: Schema<V> }

/** Keys of one query: databases bound the parameters of a statement. */
const KEYS_OF_QUERY = 400
/** What an index of PostgreSQL takes in any case. */
const KEY_BYTES_MAX = 2000

type Fold = (value: unknown, event: unknown) => unknown

/** Defines a key-value view. Handlers give the new value, or undefined to remove the key. */
export function keyValueView<const A extends Aggregate[], V>(
  name: string,
  is: {
    from: A
    version: number
    /** Type of the values: JSON. */
    value: Schema<V>
    /** The key, or keys, that an event is about; undefined: none. */
    key: (event: EventOf<A[number]>) => string | readonly string[] | undefined
    on: On<A[number], V | undefined, V | undefined>
  },
): KeyValueView<V> {
  const folds = is.on as unknown as Readonly<Record<string, Fold>>
  const keysOf = is.key as (event: unknown) => string | readonly string[] | undefined
  return Object.freeze({
    name,
    value: is.value,
    tables: type<KeyValueTables>(),
    version: is.version,
    from: is.from,
    create: (db: Kysely<KeyValueTables>) =>
      db.schema
        .createTable(name)
        .addColumn('key', 'text', column => column.primaryKey())
        .addColumn('value', 'text', column => column.notNull()),
    on: {},
    types: Object.keys(folds),
    batch: async (db: Kysely<KeyValueTables>, events: never) => {
      const table = new PageOfKeys(db, name)
      const steps = (events as readonly { type: string }[]).map(event => {
        const keys = keysOf(event) ?? []
        return { event, keys: (typeof keys === 'string' ? [keys] : keys).map(checkedKey) }
      })
      await table.load(steps.flatMap(({ keys }) => keys))
      for (const { event, keys } of steps) {
        for (const key of keys) table.fold(key, value => folds[event.type]?.(value, event))
      }
      await table.store()
    },
    options: {},
  })
}

function checkedKey(key: string): string {
  if (typeof key === 'string' && Buffer.byteLength(key) <= KEY_BYTES_MAX) return key
  throw new ModelError('BAD_ARGUMENT', `a key must be text of at most ${KEY_BYTES_MAX} bytes`)
}

/** The values of some keys, while a page is folded. */
class PageOfKeys {
  readonly #db: Kysely<KeyValueTables>
  readonly #table: string
  readonly #values = new Map<string, unknown>()
  readonly #changed = new Set<string>()

  constructor(db: Kysely<KeyValueTables>, table: string) {
    this.#db = db
    this.#table = table
  }

  async load(keys: readonly string[]): Promise<void> {
    for (const some of chunks([...new Set(keys)])) {
      const query = this.#db.selectFrom(this.#table).selectAll().where('key', 'in', some)
      for (const { key, value } of await query.execute()) this.#values.set(key, JSON.parse(value))
    }
  }

  fold(key: string, step: (value: unknown) => unknown): void {
    const value = step(this.#values.get(key))
    const problem = value === undefined ? undefined : notJson(value)
    if (problem !== undefined) {
      const detail = `view ${this.#table}: the value of ${JSON.stringify(key)} is not JSON${problem}`
      throw new ModelError('BAD_ARGUMENT', detail)
    }
    this.#values.set(key, value)
    this.#changed.add(key)
  }

  async store(): Promise<void> {
    const rows: { key: string; value: string }[] = []
    const gone: string[] = []
    for (const key of this.#changed) {
      const value = this.#values.get(key)
      if (value === undefined) gone.push(key)
      else rows.push({ key, value: JSON.stringify(value) })
    }
    for (const some of chunks(rows)) {
      await this.#db
        .insertInto(this.#table)
        .values(some)
        .onConflict(conflict =>
          conflict.column('key').doUpdateSet(of => ({ value: of.ref('excluded.value') })),
        )
        .execute()
    }
    for (const some of chunks(gone)) {
      await this.#db.deleteFrom(this.#table).where('key', 'in', some).execute()
    }
  }
}

function* chunks<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += KEYS_OF_QUERY) {
    yield all.slice(from, from + KEYS_OF_QUERY)
  }
}

/** How a key-value view is read. */
export type KeyValueReaderOptions = {
  /** Asked before the database. Default: none. */
  readonly cache?: ViewCache
  readonly settings?: Partial<SettingValues<typeof VIEW_SETTINGS>>
}

/** One read of a key-value view. */
export type KeyValueRead = {
  /** Waits until the view has seen it, and reads past the cache. */
  readonly after?: Checkpoint
  readonly signal?: AbortSignal
}

/** Reads a key-value view. */
export class KeyValueReader<V> {
  readonly #name: string
  readonly #processor: Pick<ProjectionProcessor<KeyValueTables>, 'db' | 'reached'>
  readonly #cache: ViewCache | undefined
  readonly #keepMs: number

  constructor(
    view: KeyValueView<V>,
    processor: Pick<ProjectionProcessor<KeyValueTables>, 'db' | 'reached'>,
    options: KeyValueReaderOptions = {},
  ) {
    this.#name = view.name
    this.#processor = processor
    this.#cache = options.cache
    this.#keepMs = resolveSettings(VIEW_SETTINGS, options.settings)['view.cache.ms']
  }

  /** The value of a key, or undefined. */
  async get(key: string, read: KeyValueRead = {}): Promise<V | undefined> {
    const { after, signal } = read
    const cached = `${this.#name}/${key}`
    if (after === undefined) {
      const known = await this.#cache?.get(cached)
      if (known !== undefined) return JSON.parse(known) as V
    } else {
      await this.#processor.reached(after, signal === undefined ? {} : { signal })
    }
    const row = await this.#processor.db
      .selectFrom(this.#name)
      .select('value')
      .where('key', '=', key)
      .executeTakeFirst()
    if (row === undefined) {
      await this.#cache?.delete(cached)
      return undefined
    }
    await this.#cache?.set(cached, row.value, this.#keepMs)
    return JSON.parse(row.value) as V
  }

  /** At most `limit` entries by key, from after a key on. */
  async entries(options: {
    readonly limit: number
    readonly after?: string
  }): Promise<readonly (readonly [key: string, value: V])[]> {
    let query = this.#processor.db.selectFrom(this.#name).selectAll().orderBy('key')
    if (options.after !== undefined) query = query.where('key', '>', options.after)
    const rows = await query.limit(options.limit).execute()
    return rows.map(({ key, value }) => [key, JSON.parse(value) as V] as const)
  }
}
