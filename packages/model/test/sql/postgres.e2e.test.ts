// PostgreSQL as a database of read models.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  fetchPostgres,
  type Postgres,
  psql,
  startPostgres,
} from '../../../../scripts/peers/postgresql.ts'
import { usePeer } from '../../../../test/support/peers.ts'
import { openPostgres } from '../../src/sql/index.ts'
import { databaseCases } from './support/database-cases.ts'

const peer = await fetchPostgres()
usePeer(peer)

let server: Postgres | undefined
let folder = ''
let databases = 0

beforeAll(async () => {
  if (!peer.available) return
  folder = await mkdtemp(join(tmpdir(), 'millrace-postgres-'))
  server = await startPostgres({ folder, settings: { fsync: 'off' } })
})

afterAll(async () => {
  await server?.stop()
  if (folder !== '') await rm(folder, { recursive: true, force: true })
})

async function newUrl(): Promise<string> {
  const url = new URL(server?.url ?? '')
  databases += 1
  await psql(url.href, `create database sql_${databases}`)
  url.pathname = `/sql_${databases}`
  return url.href
}

const settings = {
  'sql.statements.max': 16,
  'sql.connections.max': 3,
  'sql.pipeline.max': 20,
  'sql.connect.ms': 5000,
}
const open = async () => openPostgres({ url: await newUrl(), settings })
const query = (sql: string) => ({ sql, parameters: [] })

describe('the port', () => databaseCases(open))

it('refuses to write through what readers are given', async () => {
  await using sql = await open()
  await sql.transaction(session => session.execute(query('create table t (n bigint)')))
  const write = sql.db.insertInto('t').values({ n: 1 }).execute()
  await expect(write).rejects.toThrow(/read-only transaction/)
})

it('gives an integer that is no safe number as a bigint', async () => {
  await using sql = await open()
  const { rows } = await sql.transaction(session =>
    session.execute(query('select 9007199254740993::bigint as n, 7::bigint as m')),
  )
  expect(rows).toEqual([{ n: 9007199254740993n, m: 7 }])
})

it('does not count a transaction that had failed when it was committed', async () => {
  await using sql = await open()
  await sql.transaction(session => session.execute(query('create table t (n int primary key)')))
  const swallowed = sql.transaction(async session => {
    await session.execute(query('insert into t values (1)'))
    await session.execute(query('insert into t values (1)')).catch(() => undefined)
  })
  await expect(swallowed).rejects.toThrow(/rolled back/)
  expect(await sql.db.selectFrom('t').selectAll().execute()).toEqual([])
})

it('says that the database is away, and works again when it is back', async () => {
  await using sql = await open()
  await sql.transaction(session => session.execute(query('create table t (n int)')))
  const killed = sql.transaction(async session => {
    await session.execute(query('select pg_terminate_backend(pg_backend_pid())'))
  })
  await expect(killed).rejects.toMatchObject({ code: 'SQL_FAILED' })
  await sql.transaction(session => session.execute(query('insert into t values (1)')))
  expect(await sql.db.selectFrom('t').selectAll().execute()).toEqual([{ n: 1 }])
})

it('refuses a bad address', async () => {
  await expect(openPostgres({ url: 'mysql://x' })).rejects.toThrow(/url must begin with postgres/)
  const nobody = openPostgres({ url: 'postgres://a:b@127.0.0.1:1/x', settings })
  await expect(nobody).rejects.toMatchObject({ code: 'SQL_FAILED' })
})
