/** Last version of OffsetCommit and OffsetFetch that names topics by their names. */
const BY_NAME_MAX = 9

/**
 * Committed offsets: OffsetCommit, OffsetFetch, OffsetDelete at the coordinator of the group.
 *
 * A coordinator that is moving answers each partition; the whole call is made again then, which
 * commits the same offsets.
 */
import {
  type CommitRequest,
  type FetchedOffset,
  type LogError,
  NO_GENERATION,
  type PartitionOutcome,
  type TopicPartition,
} from '@millrace/log'
import { offsetCommit, offsetDelete, offsetFetch } from '@millrace/protocol'
import { byTopic, inOrder } from './by-leader.ts'
import type { Cluster } from './cluster.ts'
import { coordinatorMoved, errorOf, failure } from './errors.ts'

const NOTHING = -1
const COMMIT_INSTANCE_ID_MIN = 7
const FETCH_STABLE_MIN = 7
/** First version of OffsetFetch that can be asked for all partitions. */
const FETCH_ALL_MIN = 2

/** The first outcome that says that the coordinator has moved. */
const movedIn = (
  outcomes: readonly { readonly error?: LogError | undefined }[],
): LogError | undefined =>
  outcomes.find(({ error }) => error !== undefined && coordinatorMoved(error))?.error

/** See {@link import('@millrace/log').Groups.commit}. */
export function askToCommit(
  cluster: Cluster,
  request: CommitRequest,
): Promise<readonly PartitionOutcome[]> {
  const { groupId, generationId, memberId, groupInstanceId, offsets } = request
  if (offsets.length === 0) return Promise.resolve([])
  return cluster.atCoordinator(
    groupId,
    async broker => {
      const { topics } = await broker.lane('groups').call(
        offsetCommit,
        {
          groupId,
          generationIdOrMemberEpoch: generationId,
          memberId,
          groupInstanceId,
          topics: byTopic(offsets).map(([name, list]) => ({
            name,
            partitions: list.map(each => ({
              partitionIndex: each.partition,
              committedOffset: each.offset,
              committedLeaderEpoch: each.leaderEpoch,
              committedMetadata: each.metadata,
            })),
          })),
        },
        {
          versions: {
            max: BY_NAME_MAX,
            min:
              groupInstanceId === null || generationId === NO_GENERATION
                ? 0
                : COMMIT_INSTANCE_ID_MIN,
          },
        },
      )
      const told = topics.flatMap(({ name, partitions }) =>
        partitions.map(each => [name, each.partitionIndex, each.errorCode] as const),
      )
      return inOrder(offsets, told, outcome, failed)
    },
    movedIn,
  )
}

/** See {@link import('@millrace/log').Groups.fetchOffsets}. Throws the error of the whole group. */
export async function askToFetchOffsets(
  cluster: Cluster,
  groupId: string,
  partitions: readonly TopicPartition[] | undefined,
  requireStable: boolean,
): Promise<readonly FetchedOffset[]> {
  if (partitions?.length === 0) return []
  const topics =
    partitions === undefined
      ? null
      : byTopic(partitions).map(([name, list]) => ({
          name,
          partitionIndexes: [...new Set(list.map(({ partition }) => partition))],
        }))
  const min = requireStable ? FETCH_STABLE_MIN : topics === null ? FETCH_ALL_MIN : 0
  const response = await cluster.atCoordinator(
    groupId,
    broker =>
      broker
        .lane('groups')
        .call(
          offsetFetch,
          { groupId, topics, groups: [{ groupId, topics }], requireStable },
          { versions: { min, max: BY_NAME_MAX } },
        ),
    answer => errorOf((answer.groups[0] ?? answer).errorCode),
    { repeat: true },
  )
  // From version 8 on the answer is in a list of groups, before it is the message itself.
  const group = response.groups[0] ?? response
  const error = errorOf(group.errorCode)
  if (error !== undefined) throw error
  const told = group.topics.flatMap(({ name, partitions: list }) =>
    list.map(each => [name, each.partitionIndex, each] as const),
  )
  const asked = partitions ?? told.map(([topic, partition]) => ({ topic, partition }))
  return inOrder(
    asked,
    told,
    ({ topic, partition }, each) => ({
      topic,
      partition,
      ...failure(errorOf(each.errorCode)),
      offset: each.committedOffset,
      leaderEpoch: each.committedLeaderEpoch,
      metadata: each.metadata,
    }),
    (question, missing) => ({
      ...failed(question, missing),
      offset: NOTHING,
      leaderEpoch: NOTHING,
      metadata: null,
    }),
  )
}

/** See {@link import('@millrace/log').Groups.deleteOffsets}. */
export async function askToDeleteOffsets(
  cluster: Cluster,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<readonly PartitionOutcome[]> {
  const response = await cluster.atCoordinator(
    groupId,
    broker =>
      broker.lane('groups').call(offsetDelete, {
        groupId,
        topics: byTopic(partitions).map(([name, list]) => ({
          name,
          partitions: list.map(({ partition }) => ({ partitionIndex: partition })),
        })),
      }),
    answer => errorOf(answer.errorCode),
  )
  const error = errorOf(response.errorCode)
  if (error !== undefined) throw error
  const told = response.topics.flatMap(({ name, partitions: list }) =>
    list.map(each => [name, each.partitionIndex, each.errorCode] as const),
  )
  return inOrder(partitions, told, outcome, failed)
}

const outcome = ({ topic, partition }: TopicPartition, errorCode: number): PartitionOutcome => ({
  topic,
  partition,
  ...failure(errorOf(errorCode)),
})

const failed = ({ topic, partition }: TopicPartition, error: LogError): PartitionOutcome => ({
  topic,
  partition,
  error,
})
