// Projections on SQLite: the promises that hold on any database.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import { afterEach, describe } from 'vitest'
import { openSqlite } from '../../src/sql/index.ts'
import { followingCases } from './support/following-cases.ts'
import { parkingCases } from './support/parking-cases.ts'
import { publishingCases } from './support/publishing-cases.ts'
import { rebuildCases } from './support/rebuild-cases.ts'

const folders: string[] = []

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-sqlite-'))
  folders.push(folder)
  return folder
}

const open = async () => openSqlite({ file: join(await newFolder(), 'views.db') })

const openLog = async () =>
  openEngine({ folder: await newFolder(), settings: { 'disk.reserve.bytes': 0 } })

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

describe('following', () => followingCases(open))
describe('parking', () => parkingCases(open))
describe('versions and rebuilds', () => rebuildCases(open))
describe('publishing', () => publishingCases(open, openLog))
