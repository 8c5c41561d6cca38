// SQLite as a database of read models.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openSqlite } from '../../src/sql/index.ts'
import { databaseCases } from './support/database-cases.ts'

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-sql-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'views.db')
}

const settings = { 'sql.statements.max': 16 }

describe('in a file', () => databaseCases(() => openSqlite({ file: newFile(), settings })))
describe('in memory', () => databaseCases(() => openSqlite({ file: ':memory:', settings })))

const query = (sql: string) => ({ sql, parameters: [] })

it('lets readers read while a transaction is under way', async () => {
  await using sql = await openSqlite({ file: newFile() })
  await sql.transaction(session => session.execute(query('create table t (n integer)')))
  await sql.transaction(async session => {
    await session.execute(query('insert into t values (1)'))
    expect(await sql.db.selectFrom('t').selectAll().execute()).toEqual([])
  })
  expect(await sql.db.selectFrom('t').selectAll().execute()).toEqual([{ n: 1 }])
})

it('lets readers of a database in memory wait for the transaction', async () => {
  await using sql = await openSqlite({ file: ':memory:' })
  await sql.transaction(session => session.execute(query('create table t (n integer)')))
  const rolledBack = sql.transaction(async session => {
    await session.execute(query('insert into t values (1)'))
    throw new Error('rolled back')
  })
  const read = sql.db.selectFrom('t').selectAll().execute()
  await expect(rolledBack).rejects.toThrow('rolled back')
  expect(await read).toEqual([])
})

it('runs one transaction at a time, first come first served', async () => {
  await using sql = await openSqlite({ file: newFile() })
  const order: number[] = []
  const one = (n: number) =>
    sql.transaction(async () => {
      order.push(n)
      await new Promise(resolve => setTimeout(resolve, 2))
      order.push(n)
    })
  await Promise.all([1, 2, 3].map(one))
  expect(order).toEqual([1, 1, 2, 2, 3, 3])
})

it('says that another process holds the write lock when it waited for it in vain', async () => {
  const file = newFile()
  await using sql = await openSqlite({ file, settings: { 'sql.busy.ms': 20 } })
  const other = new DatabaseSync(file)
  other.exec('begin immediate')
  const refused = sql.transaction(session => session.execute(query('create table t (n integer)')))
  await expect(refused).rejects.toMatchObject({ code: 'SQL_FAILED' })
  other.exec('rollback')
  other.close()
  await sql.transaction(session => session.execute(query('create table t (n integer)')))
})

it('goes on with everything else while another process holds the write lock', async () => {
  const file = newFile()
  await using sql = await openSqlite({ file })
  await sql.transaction(session => session.execute(query('create table t (n integer)')))
  const other = new DatabaseSync(file)
  other.exec('begin immediate')
  let isDone = false
  const written = sql
    .transaction(session => session.execute(query('insert into t values (1)')))
    .then(() => {
      isDone = true
    })
  // Had the thread waited for the lock, the one that is to give it back could not.
  await new Promise(resolve => setImmediate(resolve))
  expect(isDone).toBe(false)
  expect(await sql.db.selectFrom('t').selectAll().execute()).toEqual([])
  other.exec('rollback')
  other.close()
  await written
  expect(await sql.db.selectFrom('t').selectAll().execute()).toEqual([{ n: 1 }])
})

it.each([
  ['an object', { street: 's' }],
  ['a date', new Date(0)],
  ['undefined', undefined],
  ['NaN', Number.NaN],
  ['an integer of more than 64 bits', 2n ** 70n],
])('refuses %s as a value, wherever it stands, as a fault of the query', async (_, value) => {
  await using sql = await openSqlite({ file: newFile() })
  await sql.transaction(session => session.execute(query('create table t (a, b)')))
  const insert = (parameters: unknown[]) =>
    sql.transaction(session => session.execute({ sql: 'insert into t values (?, ?)', parameters }))
  for (const place of [1, 2]) {
    const parameters = place === 1 ? [value, 'x'] : ['x', value]
    await expect(insert(parameters)).rejects.toMatchObject({
      name: 'SqlQueryError',
      message: expect.stringContaining(`parameter ${place} is`),
    })
  }
})

it('reads integers that a number cannot hold as bigints, and all others as numbers', async () => {
  await using sql = await openSqlite({ file: newFile() })
  await sql.transaction(async session => {
    await session.execute(query('create table t (n integer, m integer)'))
    await session.execute({ sql: 'insert into t values (?, ?)', parameters: [2 ** 60, 7] })
  })
  const rows = [{ n: 2n ** 60n, m: 7 }]
  expect(await sql.db.selectFrom('t').selectAll().execute()).toEqual(rows)
  expect(await sql.transaction(session => session.execute(query('select * from t')))).toEqual({
    rows,
    affected: 1,
  })
})

it('overwrites the bytes of rows that were deleted', async () => {
  const file = newFile()
  await using sql = await openSqlite({ file })
  const run = (text: string) => sql.transaction(session => session.execute(query(text)))
  await run('create table t (name text)')
  await run("insert into t values ('Annabel-Forgotten')")
  await run('delete from t')
  await sql.scrub()
  for (const part of [file, `${file}-wal`]) {
    expect(readFileSync(part).includes('Annabel-Forgotten')).toBe(false)
  }
})

it('keeps booleans as 0 and 1', async () => {
  await using sql = await openSqlite({ file: newFile() })
  await sql.transaction(async session => {
    await session.execute(query('create table t (n integer)'))
    await session.execute({ sql: 'insert into t values (?), (?)', parameters: [true, false] })
  })
  expect(await sql.db.selectFrom('t').selectAll().execute()).toEqual([{ n: 1 }, { n: 0 }])
})

it('refuses a bad file and bad settings by their names', async () => {
  await expect(openSqlite({ file: '' })).rejects.toThrow(/file must be/)
  const tooMany = openSqlite({ file: ':memory:', settings: { 'sql.statements.max': 0 } })
  await expect(tooMany).rejects.toThrow(/sql\.statements\.max must be a whole number from 1/)
  await expect(openSqlite({ file: '/nowhere/at/all.db' })).rejects.toMatchObject({
    code: 'SQL_FAILED',
  })
})
