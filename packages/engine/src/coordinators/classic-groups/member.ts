/** A member of a classic group, and the answers it waits for. */

import type { Timer } from '@millrace/base'
import type { JoinRequest, JoinResponse, SyncResponse } from '@millrace/log'

/** An assignment protocol that a member offers, and its opaque metadata. */
export type MemberProtocol = { readonly name: string; readonly metadata: Buffer }

/** Takes an answer; what it is given reaches the caller once the records before it are durable. */
export type Answer<Response> = (response: Response) => void

const NOTHING = Buffer.alloc(0)

/** One member; its group changes it. */
export type Member = {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocols: readonly MemberProtocol[]
  assignment: Buffer
  /** From the first join until its answer: such a member cannot heartbeat yet. */
  isNew: boolean
  awaitingJoin: Answer<JoinResponse> | null
  awaitingSync: Answer<SyncResponse> | null
  session: Timer | null
  /** What it is counted with; its group's. */
  bytes: number
}

/** Copies of a join's protocols: the request's buffers pin whole network frames. */
export function copyProtocols(protocols: readonly MemberProtocol[]): MemberProtocol[] {
  return protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }))
}

/** A member as a join makes it. */
export function joiningMember(request: JoinRequest, memberId: string): Member {
  return {
    memberId,
    groupInstanceId: request.groupInstanceId,
    clientId: request.clientId,
    clientHost: request.clientHost,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    protocols: copyProtocols(request.protocols),
    assignment: NOTHING,
    isNew: true,
    awaitingJoin: null,
    awaitingSync: null,
    session: null,
    bytes: 0,
  }
}

/** The member's metadata for a protocol; empty where it does not offer it. */
export function metadataOf(member: Member, protocolName: string | null): Buffer {
  return member.protocols.find(({ name }) => name === protocolName)?.metadata ?? NOTHING
}

/** Whether a join brings the same protocols with the same metadata in the same order. */
export function offersSame(member: Member, protocols: readonly MemberProtocol[]): boolean {
  return (
    member.protocols.length === protocols.length &&
    member.protocols.every(({ name, metadata }, at) => {
      const other = protocols[at]
      return other !== undefined && other.name === name && other.metadata.equals(metadata)
    })
  )
}
