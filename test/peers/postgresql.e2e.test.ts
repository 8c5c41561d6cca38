// The PostgreSQL server that tests and benchmarks start for themselves: what they rely on.
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import {
  fetchPostgres,
  type Postgres,
  psql,
  startPostgres,
  withPostgres,
} from '../../scripts/peers/postgresql.ts'
import { usePeer } from '../support/peers.ts'

usePeer(await fetchPostgres())

const listens = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = createConnection({ host: '127.0.0.1', port })
    const settle = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })

it('is durable, and lets nobody in without its password', async () => {
  await withPostgres(async ({ url }) => {
    expect(await psql(url, 'show fsync', 'show synchronous_commit')).toEqual(['on', 'on'])
    const other = new URL(url)
    other.password = 'guessed'
    await expect(psql(other.href, 'select 1')).rejects.toThrow(/password authentication failed/)
  })
})

it('keeps what was committed over a SIGKILL, in its folder and under the same url', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-postgres-test-'))
  let server: Postgres | undefined
  try {
    server = await startPostgres({ folder })
    const { url, port } = server
    await psql(url, 'create table kept (n int)', 'insert into kept values (42)')
    await server.stop('SIGKILL')
    expect(await listens(port)).toBe(false)
    server = await startPostgres({ folder, port })
    expect(server.url).toBe(url)
    expect(await psql(url, 'select n from kept')).toEqual(['42'])
  } finally {
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  }
})

it('is gone with its folder when the work ends, also when the work fails', async () => {
  let seen: { readonly port: number; readonly data: string } | undefined
  const failing = withPostgres(async ({ url, port }) => {
    const [data = ''] = await psql(url, 'show data_directory')
    seen = { port, data }
    throw new Error('the work failed')
  })
  await expect(failing).rejects.toThrow('the work failed')
  expect(await listens(seen?.port ?? 0)).toBe(false)
  expect(seen?.data).toMatch(/millrace-postgres-/)
  expect(existsSync(seen?.data ?? '/')).toBe(false)
})

it('says what its server said when a start fails', async () => {
  const start = withPostgres(async () => {}, { settings: { shared_buffers: 'none' } })
  await expect(start).rejects.toThrow(/shared_buffers/)
})
