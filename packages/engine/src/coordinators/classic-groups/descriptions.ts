/** A group as DescribeGroups shows it. */
import type { GroupDescription } from '@millrace/log'
import type { ClassicGroup } from './classic-group.ts'
import { metadataOf } from './member.ts'

const NOTHING = Buffer.alloc(0)

/** The group and its members; an unknown one is Dead. Metadata is shown of a stable group only. */
export function describeGroup(groupId: string, group: ClassicGroup | undefined): GroupDescription {
  if (group === undefined) {
    return { groupId, protocolType: '', state: 'Dead', protocolName: '', members: [] }
  }
  const isStable = group.state === 'Stable'
  return {
    groupId,
    protocolType: group.protocolType ?? '',
    state: group.state,
    protocolName: isStable ? (group.protocolName ?? '') : '',
    members: [...group.members.values()].map(member => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: isStable ? metadataOf(member, group.protocolName) : NOTHING,
      assignment: member.assignment,
    })),
  }
}
