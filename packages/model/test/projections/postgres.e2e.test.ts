// Projections on PostgreSQL: the promises that hold on any database.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import {
  fetchPostgres,
  type Postgres,
  psql,
  startPostgres,
} from '../../../../scripts/peers/postgresql.ts'
import { usePeer } from '../../../../test/support/peers.ts'
import { openPostgres } from '../../src/sql/index.ts'
import { keyValueCases } from '../views/support/key-value-cases.ts'
import { followingCases } from './support/following-cases.ts'
import { parkingCases } from './support/parking-cases.ts'
import { publishingCases } from './support/publishing-cases.ts'
import { rebuildCases } from './support/rebuild-cases.ts'

/** A new database a step costs a tenth of a second: every seventh step. */
const STRIDE = 7

const peer = await fetchPostgres()
usePeer(peer)

const folders: string[] = []
let server: Postgres | undefined
let serverFolder = ''
let databases = 0

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-postgres-views-'))
  folders.push(folder)
  return folder
}

beforeAll(async () => {
  if (!peer.available) return
  // The data is thrown away, and no test cuts the power: no need to wait for the disk.
  const settings = { fsync: 'off', max_connections: 200 }
  serverFolder = await mkdtemp(join(tmpdir(), 'millrace-postgres-'))
  server = await startPostgres({ folder: serverFolder, settings })
})

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

afterAll(async () => {
  await server?.stop()
  if (serverFolder !== '') await rm(serverFolder, { recursive: true, force: true })
})

async function open() {
  const url = new URL(server?.url ?? '')
  databases += 1
  await psql(url.href, `create database views_${databases}`)
  url.pathname = `/views_${databases}`
  return openPostgres({ url: url.href, settings: { 'sql.connections.max': 4 } })
}

const openLog = async () =>
  openEngine({ folder: await newFolder(), settings: { 'disk.reserve.bytes': 0 } })

describe('following', () => followingCases(open, STRIDE))
describe('parking', () => parkingCases(open, STRIDE))
describe('versions and rebuilds', () => rebuildCases(open))
describe('publishing', () => publishingCases(open, openLog, STRIDE))
describe('key-value views', () => keyValueCases(open))
