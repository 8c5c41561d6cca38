/**
 * What the members of all groups hold in memory, counted so that joins can be refused before it is too
 * much: a checkpoint writes all of it, and clients decide how large it is.
 */
import type { MemberProtocol } from './member.ts'

/** Counted for a member beside its bytes: objects, maps, a timer. */
const MEMBER_OVERHEAD_BYTES = 512
/** Counted for a group beside its members. */
export const GROUP_OVERHEAD_BYTES = 512

/** The sum over all groups. */
export class GroupMemory {
  readonly maxBytes: number
  #bytes = 0

  constructor(maxBytes: number = Number.POSITIVE_INFINITY) {
    this.maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Whether so much more is not too much. */
  hasRoom(bytes: number): boolean {
    return bytes <= 0 || this.#bytes + bytes <= this.maxBytes
  }

  /** Takes bytes in, or out where negative. */
  add(bytes: number): void {
    this.#bytes += bytes
  }
}

/** What is counted of a member. */
export type MeasuredMember = {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly protocols: readonly MemberProtocol[]
  readonly assignment?: Buffer
}

/** Bytes of a member in its group's stored record, whichever protocol is chosen. */
export function storedMemberBytes(member: MeasuredMember): number {
  const { memberId, groupInstanceId, clientId, clientHost, protocols, assignment } = member
  const names = [memberId, groupInstanceId ?? '', clientId, clientHost]
  const largest = protocols.reduce((most, { metadata }) => Math.max(most, metadata.length), 0)
  const text = names.reduce((sum, name) => sum + Buffer.byteLength(name), 0)
  return text + largest + (assignment?.length ?? 0) + 32
}

/** Bytes of a member in memory: what it has told, and what is stored of it. */
export function memberBytes(member: MeasuredMember): number {
  const told = member.protocols.reduce(
    (sum, { name, metadata }) => sum + Buffer.byteLength(name) + metadata.length,
    member.assignment?.length ?? 0,
  )
  return MEMBER_OVERHEAD_BYTES + told + storedMemberBytes(member)
}
