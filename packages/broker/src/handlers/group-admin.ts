/** DescribeGroups, ListGroups, DeleteGroups, OffsetDelete: groups as operators see them. */
import type { LogError } from '@millrace/log'
import {
  type DeleteGroupsRequest,
  type DeleteGroupsResponse,
  type DescribeGroupsRequest,
  type DescribeGroupsResponse,
  deleteGroups,
  describeGroups,
  ERROR_CODES,
  type ListGroupsRequest,
  type ListGroupsResponse,
  listGroups,
  NO_AUTHORIZED_OPERATIONS,
  type OffsetDeleteRequest,
  type OffsetDeleteResponse,
  offsetDelete,
} from '@millrace/protocol'
import { groupOperations } from './authorized-operations.ts'
import { codeOf, messageOf, partitionCodeOf, shortened } from './error-mapping.ts'
import type { Handler } from './handler.ts'
import { distinct, flatten, nest } from './nested.ts'

/** The type of every group here, as version 5 of ListGroups names it. */
const CLASSIC = 'classic'

/** The handler of DescribeGroups. */
export const describeGroupsHandler: Handler<DescribeGroupsRequest, DescribeGroupsResponse> = {
  api: describeGroups,

  handle: async (request, { version }, { engine }) => {
    const operations = groupOperations(request.includeAuthorizedOperations)
    const groups = await engine.groups.describe(distinct(request.groups, groupId => groupId))
    return {
      groups: groups.map(({ error, groupId, state, protocolType, protocolName, members }) => ({
        ...absence(version, groupId, state, error),
        groupId,
        groupState: state,
        protocolType,
        protocolData: protocolName,
        members: members.map(member => ({
          memberId: member.memberId,
          groupInstanceId: member.groupInstanceId,
          clientId: member.clientId,
          clientHost: member.clientHost,
          memberMetadata: member.metadata,
          memberAssignment: member.assignment,
        })),
        authorizedOperations: error === undefined ? operations : NO_AUTHORIZED_OPERATIONS,
      })),
    }
  },

  failure: ({ groups }, { code }) => ({
    groups: groups.map(groupId => ({
      errorCode: code,
      groupId,
      groupState: '',
      protocolType: '',
      protocolData: '',
      members: [],
    })),
  }),
}

/** First version that says of a group that is not there that it is not there (KIP-1043). */
const NOT_FOUND_VERSION_MIN = 6

function absence(
  version: number,
  groupId: string,
  state: string,
  error: LogError | undefined,
): { readonly errorCode: number; readonly errorMessage: string | null } {
  if (error === undefined && state === 'Dead' && version >= NOT_FOUND_VERSION_MIN) {
    return {
      errorCode: ERROR_CODES.GROUP_ID_NOT_FOUND,
      errorMessage: shortened(`there is no group ${groupId}`),
    }
  }
  return { errorCode: codeOf(error), errorMessage: messageOf(error) }
}

/** The handler of ListGroups. */
export const listGroupsHandler: Handler<ListGroupsRequest, ListGroupsResponse> = {
  api: listGroups,

  handle: async ({ statesFilter, typesFilter }, _call, { engine }) => {
    const classic =
      typesFilter.length === 0 || typesFilter.some(type => type.toLowerCase() === CLASSIC)
    const filter = statesFilter.length === 0 ? {} : { states: statesFilter }
    const groups = classic ? await engine.groups.list(filter) : []
    return {
      errorCode: ERROR_CODES.NONE,
      groups: groups.map(({ groupId, protocolType, state }) => ({
        groupId,
        protocolType,
        groupState: state,
        groupType: CLASSIC,
      })),
    }
  },

  failure: (_request, { code }) => ({ errorCode: code, groups: [] }),
}

/** The handler of DeleteGroups. */
export const deleteGroupsHandler: Handler<DeleteGroupsRequest, DeleteGroupsResponse> = {
  api: deleteGroups,

  handle: async ({ groupsNames }, _call, { engine }) => {
    const outcomes = await engine.groups.delete([...new Set(groupsNames)])
    const results = outcomes.map(({ groupId, error }) => ({ groupId, errorCode: codeOf(error) }))
    return { throttleTimeMs: 0, results }
  },

  failure: ({ groupsNames }, { code: errorCode }) => ({
    throttleTimeMs: 0,
    results: groupsNames.map(groupId => ({ groupId, errorCode })),
  }),
}

/** The handler of OffsetDelete. */
export const offsetDeleteHandler: Handler<OffsetDeleteRequest, OffsetDeleteResponse> = {
  api: offsetDelete,

  handle: async ({ groupId, topics }, _call, { engine }) => {
    const targets = flatten(
      topics,
      topic => topic.partitions,
      (topic, { partitionIndex }) => ({ topic: topic.name, partition: partitionIndex }),
    )
    const outcomes = await engine.groups.deleteOffsets(groupId, targets)
    return {
      errorCode: ERROR_CODES.NONE,
      throttleTimeMs: 0,
      topics: nest(
        topics,
        topic => topic.partitions,
        outcomes,
        ({ partitionIndex }, { error }) => ({ partitionIndex, errorCode: partitionCodeOf(error) }),
        ({ name }, partitions) => ({ name, partitions }),
      ),
    }
  },

  failure: (_request, { code }) => ({ errorCode: code, throttleTimeMs: 0, topics: [] }),
}
