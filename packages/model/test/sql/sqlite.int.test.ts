// SQLite as a database of read models.
import { mkdtempSync, rmSync } from 'node:fs'
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
