/**
 * Builds of a projection: a set of tables each, and the views by which readers see one of them.
 *
 *     open (view) ──► open__v1_1        live
 *                     open__v2_2        catches up beside it, then takes over: the views are
 *                                       moved in one transaction, and the old tables dropped after
 *
 * The first build of all is live from its beginning: there is nothing to be seen instead.
 */
import type { Projection, Query } from '../define/projection.ts'
import { ModelError, reasonOf } from '../errors.ts'
import { type MadeQuery, type SqlDatabase, SqlQueryError, type SqlSession } from '../sql/port.ts'
import { buildSuffix } from './handlers.ts'
import { type Build, Ledger } from './ledger.ts'

/** PostgreSQL cuts longer names off; SQLite would take them. */
const NAME_BYTES_MAX = 63
/** How long a table that is dropped may be waited for; the next start tries again. */
const DROP_WAIT_MS = 2000

/** What a processor is to run. */
export type Plan = {
  /** The build that readers see, if this definition can run it. */
  readonly live: Build | undefined
  /** The build that catches up to take over. */
  readonly next: Build | undefined
  /** The build that readers see, whoever runs it. */
  readonly seen: Build
}

/** Between the tables of a build's shape and the aggregates that it is made from. */
const SOURCES = ' from '

type CreateTable = {
  readonly kind: 'CreateTableNode'
  readonly table: { readonly table: { readonly identifier: { readonly name: string } } }
  readonly columns: readonly {
    readonly column: { readonly column: { readonly name: string } }
  }[]
}

/** The new build has to catch up further. */
class NotAhead extends Error {}

/** Whether a build is of no use once readers see `seen`: an earlier one, or of an older version. */
const isReplacedBy = (seen: Build, other: Build): boolean =>
  other.build < seen.build || other.version < seen.version

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** The builds of one projection in one database. */
export class Builds {
  readonly #definition: Projection
  readonly #sql: SqlDatabase
  readonly #now: () => number

  constructor(definition: Projection, sql: SqlDatabase, now: () => number) {
    this.#definition = definition
    this.#sql = sql
    this.#now = now
  }

  /** Runs `work` with the bookkeeping in a transaction. */
  within<T>(work: (ledger: Ledger, session: SqlSession) => Promise<T>): Promise<T> {
    return this.#sql.transaction(session => {
      const ledger = new Ledger(this.#sql)
      ledger.attach(session)
      return work(ledger, session)
    })
  }

  /**
   * Says what is to run, and makes the build that is missing.
   *
   * @throws ModelError BAD_DEFINITION when the tables changed under the same version, or belong to
   *   another projection; PROCESSOR_STOPPED when readers see a newer version
   */
  async plan(): Promise<Plan> {
    const { name, version } = this.#definition
    const plan = await this.within(async (ledger, session) => {
      await ledger.lock(session)
      await ledger.createTables()
      const live = await ledger.live(name)
      const builds = await ledger.builds(name)
      const seen = builds.find(build => build.build === live)
      if (seen === undefined) return this.#first(ledger, session)
      if (seen.version > version) {
        throw new ModelError(
          'PROCESSOR_STOPPED',
          `projection ${name}: readers see version ${seen.version}, this program has ${version}`,
        )
      }
      const later = builds.filter(build => build.build > seen.build && build.version === version)
      const isOwn = seen.version === version
      if (isOwn) this.#checkShape(seen)
      let next = later.at(-1)
      if (next !== undefined) this.#checkShape(next)
      if (next === undefined && !isOwn) next = await this.#create(ledger, session)
      return { live: isOwn ? seen : undefined, next, seen }
    })
    await this.#dropReplaced(plan.seen)
    return plan
  }

  /** Adds a build beside the live one. @throws ModelError BAD_ARGUMENT if there is one already */
  async rebuild(): Promise<Build> {
    const { name, version } = this.#definition
    return this.within(async (ledger, session) => {
      await ledger.lock(session)
      const live = await ledger.live(name)
      const builds = await ledger.builds(name)
      if (builds.some(build => build.build > (live ?? 0) && build.version === version)) {
        throw new ModelError('BAD_ARGUMENT', `projection ${name} is being rebuilt already`)
      }
      return this.#create(ledger, session)
    })
  }

  /**
   * Moves the readers to a build: views, publishing, and the end of the builds before it.
   *
   * @param isAhead whether the new build has all that these checkpoints of the old one have
   * @param parkedMax how many of its streams may be parked; they stay parked, and can be redriven
   * @returns false, and nothing is moved, when the new one is not ahead
   * @throws ModelError SWITCH_REFUSED while it has parked streams, CHECKPOINT_MOVED when somebody
   *   else has moved the readers
   */
  async switchTo(
    next: Build,
    seen: Build,
    isAhead: (checkpoints: readonly (string | null)[]) => boolean,
    parkedMax = 0,
  ): Promise<boolean> {
    const { name } = this.#definition
    try {
      await this.within(async (ledger, session) => {
        await ledger.lock(session)
        const parked = await ledger.parking.count(next)
        if (parked > parkedMax) {
          throw new ModelError(
            'SWITCH_REFUSED',
            `projection ${name}, version ${next.version}: ${parked} streams are parked`,
          )
        }
        if (!(await ledger.setLive(name, seen.build, next.build))) {
          throw new ModelError('CHECKPOINT_MOVED', `projection ${name}: readers were moved already`)
        }
        // Fenced before it is compared: from here on nobody moves the old one.
        const checkpoints = await ledger.fence(seen)
        if (!isAhead(checkpoints)) throw new NotAhead()
        for (const build of await ledger.builds(name)) {
          if (!isReplacedBy(next, build)) continue
          await ledger.fence(build)
          // What a build would have published, had it ever been live, is published by this one.
          if (build.build !== seen.build) await ledger.outbox.discard(build)
        }
        await this.#moveViews(session, seen, next)
      })
      return true
    } catch (error) {
      if (error instanceof NotAhead) return false
      throw error
    }
  }

  async #first(ledger: Ledger, session: SqlSession): Promise<Plan> {
    const build = await this.#create(ledger, session)
    await ledger.setLive(build.projection, undefined, build.build)
    await this.#moveViews(session, undefined, build)
    return { live: build, next: undefined, seen: build }
  }

  /** What `create` makes, over plain names. */
  #created(): { readonly plain: readonly string[]; readonly shape: string } {
    const { name, create } = this.#definition
    const tables: CreateTable[] = []
    for (const { query } of this.#made(create)) {
      if (query.kind === 'CreateViewNode') {
        throw new ModelError('BAD_DEFINITION', `projection ${name}: create makes tables, no views`)
      }
      if (query.kind === 'CreateTableNode') tables.push(query as unknown as CreateTable)
    }
    if (tables.length === 0) {
      throw new ModelError('BAD_DEFINITION', `projection ${name}: create makes no table`)
    }
    const plain = tables.map(({ table }) => table.table.identifier.name)
    const columns = tables
      .map(({ columns }, i) => `${plain[i]}(${columns.map(c => c.column.column.name).join()})`)
      .join(' ')
    const sources = [...new Set(this.#definition.from.map(source => source.name))].sort()
    const shape = `${columns}${SOURCES}${sources.join()}`
    return { plain, shape }
  }

  #made(create: Projection['create'], names?: Build): readonly MadeQuery[] {
    const queries = this.#sql.queries()
    if (names !== undefined) {
      queries.rename(new Map(names.tables), buildSuffix(names.version, names.build))
    }
    const made: Query = create(queries.db)
    return (Array.isArray(made) ? made : [made]).map(query => queries.compile(query))
  }

  #checkShape(build: Build): void {
    const { shape } = this.#created()
    const [tables, sources] = shape.split(SOURCES)
    const [tablesThen, sourcesThen] = build.shape.split(SOURCES)
    if (tables === tablesThen) {
      if (sourcesThen === undefined || sources === sourcesThen) return
      throw new ModelError(
        'BAD_DEFINITION',
        `projection ${build.projection}: version ${build.version} was made from ${sourcesThen} and is from ${sources}; raise its version`,
      )
    }
    throw new ModelError(
      'BAD_DEFINITION',
      `projection ${build.projection}: the tables of version ${build.version} were ${tablesThen} and are ${tables}; raise its version`,
    )
  }

  async #create(ledger: Ledger, session: SqlSession): Promise<Build> {
    const { name, version, options } = this.#definition
    const { plain, shape } = this.#created()
    const all = await ledger.builds()
    for (const other of all) {
      const taken = other.tables.find(([table]) => plain.includes(table))
      if (other.projection === name || taken === undefined) continue
      throw new ModelError(
        'BAD_DEFINITION',
        `table ${taken[0]} of projection ${name} belongs to projection ${other.projection}`,
      )
    }
    const own = all.filter(build => build.projection === name)
    const number = (own.at(-1)?.build ?? 0) + 1
    const suffix = buildSuffix(version, number)
    const build: Build = {
      projection: name,
      build: number,
      version,
      tables: plain.map(table => [table, checkedName(name, table + suffix)] as const),
      shape,
      parts: options.parallel ?? 1,
      createdAt: this.#now(),
    }
    for (const query of this.#made(this.#definition.create, build)) await session.execute(query)
    await ledger.addBuild(build)
    return build
  }

  async #moveViews(session: SqlSession, from: Build | undefined, to: Build): Promise<void> {
    const run = (sql: string) => session.execute({ sql, parameters: [] })
    const old = new Set(from?.tables.map(([plain]) => plain))
    for (const [plain, physical] of to.tables) {
      const create = `view ${quoted(plain)} as select * from ${quoted(physical)}`
      const isThere = old.delete(plain)
      if (isThere && (await this.#replaceView(session, `create or replace ${create}`))) continue
      if (isThere) await run(`drop view ${quoted(plain)}`)
      await run(`create ${create}`)
    }
    for (const plain of old) await run(`drop view if exists ${quoted(plain)}`)
  }

  /** PostgreSQL keeps who may read a view that is replaced; it refuses where columns changed. */
  async #replaceView(session: SqlSession, sql: string): Promise<boolean> {
    if (this.#sql.dialect === 'sqlite') return false
    const run = (command: string) => session.execute({ sql: command, parameters: [] })
    await run('savepoint millrace_view')
    try {
      await run(sql)
      return true
    } catch (error) {
      if (!(error instanceof SqlQueryError)) throw error
      await run('rollback to savepoint millrace_view')
      return false
    }
  }

  /** Drops what builds that were replaced left, a transaction each. */
  async #dropReplaced(seen: Build): Promise<void> {
    const builds = await this.within(ledger => ledger.builds(seen.projection))
    for (const build of builds.filter(build => isReplacedBy(seen, build))) {
      try {
        await this.within(async (ledger, session) => {
          if (this.#sql.dialect === 'postgresql') {
            const sql = `set local lock_timeout = ${DROP_WAIT_MS}`
            await session.execute({ sql, parameters: [] })
          }
          for (const [, physical] of build.tables) {
            const sql = `drop table if exists ${quoted(physical)}`
            await session.execute({ sql, parameters: [] })
          }
          await ledger.removeBuild(build)
        })
      } catch (error) {
        // Somebody still reads it; the next start drops it. What is not that is no small matter.
        if (!/lock timeout/.test(reasonOf(error))) throw error
      }
    }
  }
}

function checkedName(projection: string, name: string): string {
  if (Buffer.byteLength(name) <= NAME_BYTES_MAX) return name
  throw new ModelError(
    'BAD_DEFINITION',
    `projection ${projection}: the name ${name} has more than ${NAME_BYTES_MAX} bytes`,
  )
}
