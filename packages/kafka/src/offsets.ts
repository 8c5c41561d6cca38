/**
 * Places in partitions: ListOffsets and DeleteRecords, each answered by the partition's leader.
 */
import type {
  DeleteRecordsOutcome,
  Isolation,
  LogError,
  Offset,
  OffsetAnswer,
  OffsetPlace,
  OffsetQuery,
  TopicPartition,
} from '@millrace/log'
import {
  deleteRecords,
  ISOLATION_LEVEL,
  LIST_OFFSETS_TIMESTAMP,
  listOffsets,
} from '@millrace/protocol'
import { askLeaders, byTopic, inOrder } from './by-leader.ts'
import type { Cluster } from './cluster.ts'
import { errorOf, failure } from './errors.ts'

const NOTHING = -1
/** First versions of ListOffsets that know isolation, leader epochs, the highest timestamp. */
const ISOLATION_MIN = 2
const EPOCH_MIN = 4
const MAX_TIMESTAMP_MIN = 7

/** What a place is on the wire. */
function timestampOf(place: OffsetPlace): number {
  return typeof place === 'number' ? place : LIST_OFFSETS_TIMESTAMP[place]
}

function versionFor(queries: readonly OffsetQuery[], isolation: Isolation): number {
  if (queries.some(({ place }) => place === 'maxTimestamp')) return MAX_TIMESTAMP_MIN
  if (queries.some(({ leaderEpoch = NOTHING }) => leaderEpoch !== NOTHING)) return EPOCH_MIN
  return isolation === 'read_committed' ? ISOLATION_MIN : 0
}

/** See {@link import('@millrace/log').Log.listOffsets}. */
export function askOffsets(
  cluster: Cluster,
  queries: readonly OffsetQuery[],
  isolation: Isolation = 'read_uncommitted',
): Promise<readonly OffsetAnswer[]> {
  const failed = ({ topic, partition }: OffsetQuery, error: LogError): OffsetAnswer => ({
    topic,
    partition,
    error,
    offset: NOTHING,
    timestamp: NOTHING,
    leaderEpoch: NOTHING,
  })
  return askLeaders(cluster, queries, {
    ask: async (broker, asked) => {
      const { topics } = await broker.lane('control').call(
        listOffsets,
        {
          isolationLevel:
            isolation === 'read_committed'
              ? ISOLATION_LEVEL.readCommitted
              : ISOLATION_LEVEL.readUncommitted,
          topics: byTopic(asked).map(([name, list]) => ({
            name,
            partitions: list.map(query => ({
              partitionIndex: query.partition,
              currentLeaderEpoch: query.leaderEpoch ?? NOTHING,
              timestamp: timestampOf(query.place),
            })),
          })),
        },
        { versions: { min: versionFor(asked, isolation) } },
      )
      const told = topics.flatMap(({ name, partitions }) =>
        partitions.map(each => [name, each.partitionIndex, each] as const),
      )
      return inOrder(
        asked,
        told,
        ({ topic, partition }, { errorCode, offset, timestamp, leaderEpoch }) => ({
          topic,
          partition,
          ...failure(errorOf(errorCode)),
          offset,
          timestamp,
          leaderEpoch,
        }),
        failed,
      )
    },
    failed,
    errorIn: ({ error }) => error,
    repeat: true,
  })
}

/** See {@link import('@millrace/log').Log.deleteRecords}. */
export function askToDeleteRecords(
  cluster: Cluster,
  targets: readonly (TopicPartition & { readonly offset: Offset })[],
): Promise<readonly DeleteRecordsOutcome[]> {
  const timeoutMs = cluster.settings['request.timeout.ms']
  const failed = ({ topic, partition }: TopicPartition, error: LogError): DeleteRecordsOutcome => ({
    topic,
    partition,
    error,
    lowWatermark: NOTHING,
  })
  return askLeaders(cluster, targets, {
    ask: async (broker, asked) => {
      const { topics } = await broker.lane('control').call(
        deleteRecords,
        {
          topics: byTopic(asked).map(([name, list]) => ({
            name,
            partitions: list.map(({ partition, offset }) => ({
              partitionIndex: partition,
              offset,
            })),
          })),
          timeoutMs,
        },
        { waitMs: timeoutMs },
      )
      const told = topics.flatMap(({ name, partitions }) =>
        partitions.map(each => [name, each.partitionIndex, each] as const),
      )
      return inOrder(
        asked,
        told,
        ({ topic, partition }, { errorCode, lowWatermark }) => ({
          topic,
          partition,
          ...failure(errorOf(errorCode)),
          lowWatermark,
        }),
        failed,
      )
    },
    failed,
    errorIn: ({ error }) => error,
    // Deleting up to an offset twice is deleting once.
    repeat: true,
  })
}
