/** All handlers by API key: one for every API that is advertised. */
import { createAclsHandler, deleteAclsHandler, describeAclsHandler } from './acls.ts'
import { alterConfigsHandler, incrementalAlterConfigsHandler } from './alter-configs.ts'
import { apiVersionsHandler } from './api-versions.ts'
import { createTopicsHandler } from './create-topics.ts'
import { describeClusterHandler } from './describe-cluster.ts'
import { describeConfigsHandler } from './describe-configs.ts'
import { describeLogDirsHandler } from './describe-log-dirs.ts'
import { describeQuorumHandler } from './describe-quorum.ts'
import { describeTopicPartitionsHandler } from './describe-topic-partitions.ts'
import { electLeadersHandler } from './elect-leaders.ts'
import { fetchHandler } from './fetch.ts'
import { findCoordinatorHandler } from './find-coordinator.ts'
import {
  deleteGroupsHandler,
  describeGroupsHandler,
  listGroupsHandler,
  offsetDeleteHandler,
} from './group-admin.ts'
import type { AnyHandler, Handler } from './handler.ts'
import { initProducerIdHandler } from './init-producer-id.ts'
import { listConfigResourcesHandler } from './list-config-resources.ts'
import { listOffsetsHandler } from './list-offsets.ts'
import {
  heartbeatHandler,
  joinGroupHandler,
  leaveGroupHandler,
  syncGroupHandler,
} from './membership.ts'
import { metadataHandler } from './metadata.ts'
import { offsetCommitHandler } from './offset-commit.ts'
import { offsetFetchHandler } from './offset-fetch.ts'
import { offsetForLeaderEpochHandler } from './offset-for-leader-epoch.ts'
import { produceHandler } from './produce.ts'
import {
  alterPartitionReassignmentsHandler,
  listPartitionReassignmentsHandler,
} from './reassignments.ts'
import {
  createPartitionsHandler,
  deleteRecordsHandler,
  deleteTopicsHandler,
} from './topic-admin.ts'

/** The handlers by API key. */
export const HANDLERS: ReadonlyMap<number, AnyHandler> = new Map(
  [
    any(produceHandler),
    any(fetchHandler),
    any(listOffsetsHandler),
    any(metadataHandler),
    any(offsetCommitHandler),
    any(offsetFetchHandler),
    any(findCoordinatorHandler),
    any(joinGroupHandler),
    any(heartbeatHandler),
    any(leaveGroupHandler),
    any(syncGroupHandler),
    any(describeGroupsHandler),
    any(listGroupsHandler),
    any(apiVersionsHandler),
    any(createTopicsHandler),
    any(deleteTopicsHandler),
    any(deleteRecordsHandler),
    any(initProducerIdHandler),
    any(offsetForLeaderEpochHandler),
    any(describeConfigsHandler),
    any(alterConfigsHandler),
    any(describeLogDirsHandler),
    any(createPartitionsHandler),
    any(deleteGroupsHandler),
    any(incrementalAlterConfigsHandler),
    any(offsetDeleteHandler),
    any(describeClusterHandler),
    any(describeAclsHandler),
    any(createAclsHandler),
    any(deleteAclsHandler),
    any(electLeadersHandler),
    any(alterPartitionReassignmentsHandler),
    any(listPartitionReassignmentsHandler),
    any(describeQuorumHandler),
    any(listConfigResourcesHandler),
    any(describeTopicPartitionsHandler),
  ].map(handler => [handler.api.key, handler]),
)

/** A handler is only ever given what the codec of its own API has decoded. */
function any<Request extends object, Response extends object>(
  handler: Handler<Request, Response>,
): AnyHandler {
  return handler as unknown as AnyHandler
}
