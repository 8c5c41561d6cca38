// Promises of the port of read models' databases.
import { expect, it } from 'vitest'
import { ModelError } from '../../../src/errors.ts'
import { type SqlDatabase, type SqlQuery, SqlQueryError } from '../../../src/sql/port.ts'

type Rows = { thing: { id: number; name: string | null; size: number } }

const text = (sql: string, ...parameters: unknown[]): SqlQuery => ({ sql, parameters })
const create = text(
  'create table thing (id integer primary key, name text, size bigint not null default 0)',
)
const insert = (id: number) => text(`insert into thing (id, name) values (${id}, 'x')`)

/** @param open gives an empty database, which the case closes */
export function databaseCases(open: () => Promise<SqlDatabase>): void {
  const things = (sql: SqlDatabase) =>
    sql.db.selectFrom('thing').selectAll().orderBy('id').execute()

  it('shows what was committed, and only that', async () => {
    await using sql = await open()
    await sql.transaction(session => session.execute(create))
    await sql.transaction(async session => {
      await session.send(insert(1))
      await session.flush()
    })
    const failed = sql.transaction(async session => {
      await session.execute(insert(2))
      throw new Error('changed my mind')
    })
    await expect(failed).rejects.toThrow('changed my mind')
    expect(await things(sql)).toEqual([{ id: 1, name: 'x', size: 0 }])
  })

  it('runs queries in the order of the calls, and says what they did', async () => {
    await using sql = await open()
    await sql.transaction(async session => {
      await session.execute(create)
      for (let id = 1; id <= 50; id += 1) session.send(insert(id))
      const found = await session.execute(text('select count(*) as count from thing'))
      expect(found.rows).toEqual([{ count: 50 }])
      const changed = await session.execute(text('update thing set size = 7 where id <= 3'))
      expect(changed).toEqual({ rows: [], affected: 3 })
      const gone = await session.execute(text('delete from thing where id > 4 returning id'))
      expect(gone.affected).toBe(46)
    })
    expect((await things(sql)).length).toBe(4)
  })

  it('tells a query that is refused from a database that is away', async () => {
    const sql = await open()
    await sql.transaction(session => session.execute(create))
    const refusals = [
      text('select nothing from nowhere'),
      text('insert into thing (id, size) values (1, null)'),
      text('this is no SQL'),
    ]
    for (const query of refusals) {
      const refused = sql.transaction(session => session.execute(query))
      await expect(refused).rejects.toBeInstanceOf(SqlQueryError)
      const sent = sql.transaction(async session => {
        await session.send(query)
      })
      await expect(sent).rejects.toBeInstanceOf(SqlQueryError)
    }
    await sql.close()
    const away = sql.transaction(session => session.execute(insert(1)))
    await expect(away).rejects.toMatchObject({ code: 'SQL_FAILED' })
    await expect(away).rejects.toBeInstanceOf(ModelError)
  })

  it('goes on after a rollback to a savepoint', async () => {
    await using sql = await open()
    await sql.transaction(session => session.execute(create))
    await sql.transaction(async session => {
      await session.execute(insert(1))
      await session.execute(text('savepoint here'))
      const again = async () => {
        await session.send(insert(1))
        await session.flush()
      }
      await expect(again()).rejects.toBeInstanceOf(SqlQueryError)
      await session.execute(text('rollback to savepoint here'))
      await session.execute(insert(2))
    })
    expect((await things(sql)).map(({ id }) => id)).toEqual([1, 2])
  })

  it('says the first failure of several', async () => {
    await using sql = await open()
    await sql.transaction(session => session.execute(create))
    const failing = sql.transaction(async session => {
      await session.send(text('insert into thing (id) values (1)'))
      await session.send(text('insert into missing_table (id) values (1)'))
      await session.send(insert(2))
      await session.flush()
    })
    await expect(failing).rejects.toThrow(/missing_table/)
    expect(await things(sql)).toEqual([])
  })

  it('gives 64-bit integers as numbers, and as bigints where they are not safe', async () => {
    await using sql = await open()
    await sql.transaction(async session => {
      await session.execute(create)
      await session.execute(text(`insert into thing (id, size) values (1, ${2 ** 53 - 1})`))
    })
    expect(await things(sql)).toEqual([{ id: 1, name: null, size: 2 ** 53 - 1 }])
  })

  it('binds queries of a Kysely to the transaction they are attached to', async () => {
    await using sql = await open()
    const queries = sql.queries<Rows>()
    queries.rename(new Map([['thing', 'thing__v1']]), '__v1')
    await sql.transaction(async session => {
      queries.attach(session)
      const { db } = queries
      await db.schema
        .createTable('thing')
        .addColumn('id', 'integer')
        .addColumn('name', 'text')
        .addColumn('size', 'bigint')
        .execute()
      await db.insertInto('thing').values({ id: 1, name: 'one', size: 1 }).execute()
      const updated = await db.updateTable('thing').set({ size: 2 }).executeTakeFirst()
      expect(updated.numUpdatedRows).toBe(1n)
      const rows: unknown[] = []
      for await (const row of db.selectFrom('thing').selectAll().stream()) rows.push(row)
      expect(rows).toEqual([{ id: 1, name: 'one', size: 2 }])
    })
    expect(await sql.db.selectFrom('thing__v1').select('size').execute()).toEqual([{ size: 2 }])
  })

  it('takes more texts than it keeps prepared', async () => {
    await using sql = await open()
    await sql.transaction(async session => {
      await session.execute(create)
      for (let round = 0; round < 3; round += 1) {
        for (let n = 0; n < 40; n += 1) {
          const query = text(
            `select ${n} as n where ${n} = ${sql.dialect === 'sqlite' ? '?' : '$1::int'}`,
            n,
          )
          expect((await session.execute(query)).rows).toEqual([{ n }])
        }
      }
    })
  })
}
