/**
 * Group members for cases: a member joins, takes its part, and keeps what it was told.
 */
import assert from 'node:assert/strict'
import type {
  GroupState,
  JoinRequest,
  JoinResponse,
  MemberIdentity,
  SyncResponse,
} from '@millrace/log'
import { type LogScene, noError, only } from './scene.ts'

/** What a joined member knows of itself. */
export type Member = MemberIdentity & { readonly join: JoinResponse }

/** A subscription as consumers encode it: version 0, topics, no user data. */
export function subscription(...topics: readonly string[]): Buffer {
  const parts = [Buffer.from([0, 0]), int32(topics.length)]
  for (const topic of topics) {
    const name = Buffer.from(topic)
    parts.push(Buffer.from([name.length >> 8, name.length & 0xff]), name)
  }
  return Buffer.concat([...parts, int32(-1)])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** A join of a consumer with sensible times; cases change what they are about. */
export function joinRequest(
  scene: LogScene,
  groupId: string,
  changes: Partial<JoinRequest> = {},
): JoinRequest {
  return {
    groupId,
    memberId: '',
    groupInstanceId: null,
    clientId: 'conformance',
    clientHost: '/127.0.0.1',
    sessionTimeoutMs: Math.max(scene.features.sessionTimeoutMsMin, 30_000),
    rebalanceTimeoutMs: 20_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription('topic') }],
    requireKnownMemberId: false,
    supportsSkippingAssignment: false,
    ...changes,
  }
}

/** Joins and must succeed, through the two steps of KIP-394 if it is asked to. */
export async function join(
  scene: LogScene,
  groupId: string,
  changes: Partial<JoinRequest> = {},
): Promise<Member> {
  const request = joinRequest(scene, groupId, changes)
  let response = await scene.log.groups.join(request)
  if (response.error?.code === 'MEMBER_ID_REQUIRED') {
    response = await scene.log.groups.join({ ...request, memberId: response.memberId })
  }
  noError(response.error)
  const { generationId, memberId } = response
  const groupInstanceId = request.groupInstanceId
  return { groupId, generationId, memberId, groupInstanceId, join: response }
}

/** The identity alone, as requests want it. */
export const identity = (member: MemberIdentity): MemberIdentity => ({
  groupId: member.groupId,
  generationId: member.generationId,
  memberId: member.memberId,
  groupInstanceId: member.groupInstanceId,
})

/** What a leader hands out: each member's own id and a word. */
export const part = (memberId: string, word = 'part'): Buffer => Buffer.from(`${word} ${memberId}`)

/** Syncs; as leader with a part for every member of its list. */
export function sync(scene: LogScene, member: Member, word = 'part'): Promise<SyncResponse> {
  const assignments = member.join.members.map(({ memberId }) => ({
    memberId,
    assignment: part(memberId, word),
  }))
  return scene.log.groups.sync({
    ...identity(member),
    protocolType: member.join.protocolType,
    protocolName: member.join.protocolName,
    assignments,
  })
}

/** A group of one member, in state Stable. */
export async function single(
  scene: LogScene,
  groupId: string,
  changes: Partial<JoinRequest> = {},
): Promise<Member> {
  const member = await join(scene, groupId, changes)
  noError((await sync(scene, member)).error)
  return member
}

/** A second member comes, the first joins again: both of the next generation, not synced yet. */
export async function second(
  scene: LogScene,
  first: Member,
  changes: { readonly first?: Partial<JoinRequest>; readonly second?: Partial<JoinRequest> } = {},
): Promise<[Member, Member]> {
  const coming = join(scene, first.groupId, changes.second)
  // A refusal must not stay unheard while the first member waits for it.
  coming.catch(() => undefined)
  await rebalancing(scene, first)
  const { memberId, groupInstanceId } = first
  const again = join(scene, first.groupId, { memberId, groupInstanceId, ...changes.first })
  return Promise.all([again, coming])
}

/** Waits until a member's heartbeat is told to join again. */
export async function rebalancing(scene: LogScene, member: MemberIdentity): Promise<void> {
  await scene.eventually(async () => {
    const { error } = await scene.log.groups.heartbeat(identity(member))
    assert.equal(error?.code, 'REBALANCE_IN_PROGRESS')
  })
}

/** Two members, both with their part, in state Stable. */
export async function pair(scene: LogScene, groupId: string): Promise<[Member, Member]> {
  const members = await second(scene, await single(scene, groupId))
  for (const { error } of await Promise.all(members.map(member => sync(scene, member)))) {
    noError(error)
  }
  return members
}

export const stateOf = async (scene: LogScene, groupId: string): Promise<GroupState> =>
  only(await scene.log.groups.describe([groupId])).state

/** Takes a member out and must succeed. */
export async function leave(scene: LogScene, member: MemberIdentity): Promise<void> {
  const { groupId, memberId, groupInstanceId } = member
  const response = await scene.log.groups.leave({
    groupId,
    members: [{ memberId, groupInstanceId }],
  })
  noError(response.error)
  noError(only(response.members).error)
}
