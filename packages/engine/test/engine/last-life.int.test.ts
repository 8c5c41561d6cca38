// Members of groups over a kill: those that were in the engine's own process are gone with it, those
// that came over a connection may come back.
import { IN_PROCESS_HOST, type JoinRequest } from '@millrace/log'
import { expect, test } from 'vitest'
import type { Engine } from '../../src/index.ts'
import { killed, open, temporaryFolder } from './support.ts'

const JOIN: JoinRequest = {
  groupId: 'g',
  memberId: '',
  groupInstanceId: null,
  clientId: 'c',
  clientHost: IN_PROCESS_HOST,
  sessionTimeoutMs: 45_000,
  rebalanceTimeoutMs: 45_000,
  protocolType: 'consumer',
  protocols: [{ name: 'p', metadata: Buffer.alloc(0) }],
  requireKnownMemberId: false,
  supportsSkippingAssignment: true,
}

/** Joins, and takes part in the generation alone. */
async function member(engine: Engine, join: Partial<JoinRequest> = {}): Promise<string> {
  const { error, memberId, generationId } = await engine.groups.join({ ...JOIN, ...join })
  if (error !== undefined) throw error
  await engine.groups.sync({
    groupId: JOIN.groupId,
    ...{ generationId, memberId, groupInstanceId: join.groupInstanceId ?? null },
    ...{ protocolType: 'consumer', protocolName: 'p' },
    assignments: [{ memberId, assignment: Buffer.from('all') }],
  })
  return memberId
}

const membersOf = async (engine: Engine): Promise<readonly string[]> =>
  ((await engine.groups.describe(['g']))[0]?.members ?? []).map(({ memberId }) => memberId)

test('a member of the last life in the same process is gone, and the next has the group at once', async () => {
  const folder = temporaryFolder()
  const before = await open({ folder, settings: {} })
  await member(before)
  const after = await open({ folder: killed(folder) })
  expect(await membersOf(after)).toEqual([])
  const next = await member(after)
  expect(await membersOf(after)).toEqual([next])
})

test('a member over a connection, and a static one, are waited for', async () => {
  for (const join of [{ clientHost: '/127.0.0.1' }, { groupInstanceId: 'i' }]) {
    const folder = temporaryFolder()
    const before = await open({ folder })
    const known = await member(before, join)
    expect(await membersOf(await open({ folder: killed(folder) }))).toEqual([known])
  }
})

test('a group of both that is larger than it may be now does not keep the engine from opening', async () => {
  const folder = temporaryFolder()
  const before = await open({ folder })
  const hosts = ['', '/127.0.0.1', '/127.0.0.2', '/127.0.0.3']
  const joined = await Promise.all(
    hosts.map(clientHost => before.groups.join({ ...JOIN, clientHost })),
  )
  const all = joined.map(({ memberId }) => ({ memberId, assignment: Buffer.from('a') }))
  await Promise.all(
    joined.map(({ memberId, generationId, leader }) =>
      before.groups.sync({
        ...{ groupId: JOIN.groupId, generationId, memberId, groupInstanceId: null },
        ...{ protocolType: 'consumer', protocolName: 'p' },
        assignments: memberId === leader ? all : [],
      }),
    ),
  )
  const after = await open({ folder: killed(folder), groupSettings: { 'group.max.size': 2 } })
  expect(await membersOf(after)).toHaveLength(3)
})
