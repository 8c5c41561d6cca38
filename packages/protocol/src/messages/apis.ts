/**
 * The APIs that this side speaks, and nothing else: what stands here is advertised.
 *
 * A listener advertises the ranges of this table, a client picks from it the highest version that
 * both sides speak. An API that is added here must have a handler that keeps its promise in every
 * version.
 */
import type { AnyApi } from '../codec/api.ts'
import { alterConfigs } from './alter-configs.ts'
import { alterPartitionReassignments } from './alter-partition-reassignments.ts'
import { alterReplicaLogDirs } from './alter-replica-log-dirs.ts'
import { apiVersions } from './api-versions.ts'
import { createAcls } from './create-acls.ts'
import { createPartitions } from './create-partitions.ts'
import { createTopics } from './create-topics.ts'
import { deleteAcls } from './delete-acls.ts'
import { deleteGroups } from './delete-groups.ts'
import { deleteRecords } from './delete-records.ts'
import { deleteTopics } from './delete-topics.ts'
import { describeAcls } from './describe-acls.ts'
import { describeCluster } from './describe-cluster.ts'
import { describeConfigs } from './describe-configs.ts'
import { describeGroups } from './describe-groups.ts'
import { describeLogDirs } from './describe-log-dirs.ts'
import { describeProducers } from './describe-producers.ts'
import { describeQuorum } from './describe-quorum.ts'
import { describeTopicPartitions } from './describe-topic-partitions.ts'
import { electLeaders } from './elect-leaders.ts'
import { fetch } from './fetch.ts'
import { findCoordinator } from './find-coordinator.ts'
import { heartbeat } from './heartbeat.ts'
import { incrementalAlterConfigs } from './incremental-alter-configs.ts'
import { initProducerId } from './init-producer-id.ts'
import { joinGroup } from './join-group.ts'
import { leaveGroup } from './leave-group.ts'
import { listConfigResources } from './list-config-resources.ts'
import { listGroups } from './list-groups.ts'
import { listOffsets } from './list-offsets.ts'
import { listPartitionReassignments } from './list-partition-reassignments.ts'
import { metadata } from './metadata.ts'
import { offsetCommit } from './offset-commit.ts'
import { offsetDelete } from './offset-delete.ts'
import { offsetFetch } from './offset-fetch.ts'
import { offsetForLeaderEpoch } from './offset-for-leader-epoch.ts'
import { produce } from './produce.ts'
import { syncGroup } from './sync-group.ts'

/** All APIs by key. */
export const APIS: ReadonlyMap<number, AnyApi> = new Map(
  [
    produce,
    fetch,
    listOffsets,
    metadata,
    offsetCommit,
    offsetFetch,
    findCoordinator,
    joinGroup,
    heartbeat,
    leaveGroup,
    syncGroup,
    describeGroups,
    listGroups,
    apiVersions,
    createTopics,
    deleteTopics,
    deleteRecords,
    initProducerId,
    offsetForLeaderEpoch,
    describeAcls,
    createAcls,
    deleteAcls,
    describeConfigs,
    alterConfigs,
    alterReplicaLogDirs,
    describeLogDirs,
    createPartitions,
    deleteGroups,
    electLeaders,
    incrementalAlterConfigs,
    alterPartitionReassignments,
    listPartitionReassignments,
    offsetDelete,
    describeQuorum,
    describeCluster,
    describeProducers,
    listConfigResources,
    describeTopicPartitions,
  ].map((api: AnyApi) => [api.key, api]),
)

/** What is advertised: one range per API, by key. */
export function apiVersionsList(): readonly {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
}[] {
  return [...APIS.values()].map(({ key, versions: [minVersion, maxVersion] }) => ({
    apiKey: key,
    minVersion,
    maxVersion,
  }))
}
