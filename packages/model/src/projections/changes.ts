/**
 * Changes of a projection's rows, as records for others. A session that is captured answers each
 * insert, update and delete with the rows it touched (`returning *`); they go to the outbox in the
 * transaction that changed them, and from there to the topic (see `outbox.ts`).
 */
import type { RecordedEvent } from '@millrace/store'
import type { RootOperationNode } from 'kysely'
import type { MadeQuery, SqlQuery, SqlResult, SqlSession } from '../sql/port.ts'
import { fullName } from './handlers.ts'
import type { Build } from './ledger.ts'
import type { OutboxEntry } from './outbox.ts'

/** The value of a published record, as JSON. */
export type Change = {
  /** Event and place within it: the same when it is published again. */
  readonly id: string
  readonly projection: string
  readonly version: number
  /** Plain name of the table. */
  readonly table: string
  /** The statement that touched the row; an insert may have met a conflict and updated. */
  readonly operation: 'insert' | 'update' | 'delete'
  /** The row afterwards; of a deletion, before. */
  readonly row: Readonly<Record<string, unknown>>
  readonly event: {
    readonly id: string
    readonly type: string
    readonly tenant: string
    readonly stream: string
    readonly version: number
    readonly time: number
  }
}

type Touched = Pick<Change, 'table' | 'operation' | 'row'>

type TableLike = { kind: string; node?: TableLike; table?: { identifier: { name: string } } }
const tableName = (node: TableLike | undefined): string | undefined =>
  node?.kind === 'AliasNode' ? tableName(node.node) : node?.table?.identifier.name

function target(query: RootOperationNode): Pick<Change, 'table' | 'operation'> | undefined {
  const of = (operation: Change['operation'], node: unknown) => {
    const table = tableName(node as TableLike | undefined)
    return table === undefined ? undefined : { operation, table }
  }
  switch (query.kind) {
    case 'InsertQueryNode':
      return of('insert', query.into)
    case 'UpdateQueryNode':
      return of('update', query.table)
    case 'DeleteQueryNode':
      return of('delete', query.from.froms[0])
    default:
      return undefined
  }
}

const withoutReturning = (query: RootOperationNode): boolean =>
  !('returning' in query) || query.returning === undefined

/** A session that notes which rows its queries touched. */
export class CapturingSession implements SqlSession {
  readonly #session: SqlSession
  readonly #touched: Touched[] = []

  constructor(session: SqlSession) {
    this.#session = session
  }

  async execute(query: SqlQuery): Promise<SqlResult> {
    const { query: node } = query as Partial<MadeQuery>
    const change = node === undefined ? undefined : target(node)
    if (node === undefined || change === undefined) return this.#session.execute(query)
    const adds = withoutReturning(node)
    const sql = adds ? `${query.sql} returning *` : query.sql
    const result = await this.#session.execute({ sql, parameters: query.parameters })
    for (const row of result.rows) this.#touched.push({ ...change, row })
    return adds ? { rows: [], affected: result.rows.length } : result
  }

  async send(query: SqlQuery): Promise<void> {
    await this.execute(query)
  }

  flush(): Promise<void> {
    return this.#session.flush()
  }

  /**
   * What was touched for an event, as entries of the outbox, in order. A change that the topic
   * would not take fails here, where it is the event's fault.
   */
  entries(build: Build, event: RecordedEvent, bytesMax: number): readonly OutboxEntry[] {
    const { id, tenant, stream, version, time } = event
    const type = fullName(event)
    return this.#touched.map((touched, index) => {
      const change: Change = {
        id: `${id}/${build.projection}/${index}`,
        projection: build.projection,
        version: build.version,
        ...touched,
        event: { id, type, tenant, stream, version, time },
      }
      const value = JSON.stringify(change, bigintAsNumber)
      const bytes = Buffer.byteLength(value)
      if (bytes <= bytesMax) return { key: stream, value }
      throw new RangeError(
        `a row of ${touched.table} is ${bytes} bytes as a change, more than ${bytesMax} (projection.publish.bytes)`,
      )
    })
  }
}

// What a number cannot hold is text: it would arrive as another number.
const bigintAsNumber = (_: string, value: unknown): unknown => {
  if (typeof value !== 'bigint') return value
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
}
