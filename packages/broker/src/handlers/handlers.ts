/** All handlers by API key: one for every API that is advertised. */
import { createAclsHandler, deleteAclsHandler, describeAclsHandler } from './acls.ts'
import { alterConfigsHandler, incrementalAlterConfigsHandler } from './alter-configs.ts'
import { alterReplicaLogDirsHandler } from './alter-replica-log-dirs.ts'
import { apiVersionsHandler } from './api-versions.ts'
import { createTopicsHandler } from './create-topics.ts'
import { describeClusterHandler } from './describe-cluster.ts'
import { describeConfigsHandler } from './describe-configs.ts'
import { describeLogDirsHandler } from './describe-log-dirs.ts'
import { describeProducersHandler } from './describe-producers.ts'
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
import { type AnyHandler, type Handler, inParts } from './handler.ts'
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
import { eitherParts, listParts, topicParts } from './parts.ts'
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

type Numbered = { readonly partition: number }
type ById = { readonly name: string | null; readonly topicId: string }
type Leaving = { readonly memberId: string; readonly groupInstanceId: string | null }
type Resource = { readonly resourceType: number; readonly resourceName: string }

/** Elements of a part where each is a look into a map or two. */
const MANY = 256
/** Elements of a part where each makes records, or a long answer. */
const FEW = 16

const itself = (element: never): string | number => element
const byIndex = ({ index }: { readonly index: number }): number => index

/** The names that most requests about partitions have. */
const TOPICS = {
  ...{ list: 'topics', topic: 'name', partitions: 'partitions', answers: 'topics' },
  partitionAnswers: 'partitions',
  partitionKey: ({ partitionIndex }: { readonly partitionIndex: number }): number => partitionIndex,
}

const names = (list: string, answers: string, size: number): ReturnType<typeof listParts> =>
  listParts({ list, answers, size, repeats: 'last', key: itself })

const topicsByName = (list: string, answers: string, size: number): ReturnType<typeof listParts> =>
  listParts({
    ...{ list, answers, size, repeats: 'two' },
    key: ({ name }: { readonly name: string }) => name,
  })

const resources = (answers: string): ReturnType<typeof listParts> =>
  listParts({
    ...{ list: 'resources', answers, size: FEW, repeats: 'two' },
    key: ({ resourceType, resourceName }: Resource) => `${resourceType}/${resourceName}`,
  })

/** The handlers by API key. */
export const HANDLERS: ReadonlyMap<number, AnyHandler> = new Map(
  [
    any(
      inParts(
        produceHandler,
        topicParts({
          ...{ list: 'topicData', topic: 'name', partitions: 'partitionData' },
          ...{ answers: 'responses', partitionAnswers: 'partitionResponses' },
          ...{ partitionKey: byIndex, size: MANY, repeats: 'two' },
        }),
      ),
    ),
    any(fetchHandler),
    any(inParts(listOffsetsHandler, topicParts({ ...TOPICS, size: MANY, repeats: 'two' }))),
    any(
      inParts(
        metadataHandler,
        listParts({
          ...{ list: 'topics', answers: 'topics', size: MANY, repeats: 'last' },
          key: ({ name, topicId }: ById) => `${name}/${topicId}`,
        }),
      ),
    ),
    any(inParts(offsetCommitHandler, topicParts({ ...TOPICS, size: MANY, repeats: 'last' }))),
    any(
      inParts(
        offsetFetchHandler,
        eitherParts(
          listParts({
            ...{ list: 'groups', answers: 'groups', size: FEW, repeats: 'last' },
            key: ({ groupId }: { groupId: string }) => groupId,
          }),
          topicParts({
            ...{ ...TOPICS, partitions: 'partitionIndexes', partitionKey: itself },
            ...{ size: MANY, repeats: 'last' },
          }),
        ),
      ),
    ),
    any(inParts(findCoordinatorHandler, names('coordinatorKeys', 'coordinators', MANY))),
    any(joinGroupHandler),
    any(heartbeatHandler),
    any(
      inParts(
        leaveGroupHandler,
        listParts({
          ...{ list: 'members', answers: 'members', size: MANY, repeats: 'last' },
          key: ({ memberId, groupInstanceId }: Leaving) => `${memberId}/${groupInstanceId}`,
        }),
      ),
    ),
    any(syncGroupHandler),
    any(inParts(describeGroupsHandler, names('groups', 'groups', FEW))),
    any(listGroupsHandler),
    any(apiVersionsHandler),
    any(inParts(createTopicsHandler, topicsByName('topics', 'topics', FEW))),
    any(
      inParts(
        deleteTopicsHandler,
        eitherParts(
          listParts({
            ...{ list: 'topics', answers: 'responses', size: FEW, repeats: 'two' },
            key: ({ name, topicId }: ById) => `${name}/${topicId}`,
          }),
          names('topicNames', 'responses', FEW),
        ),
      ),
    ),
    any(inParts(deleteRecordsHandler, topicParts({ ...TOPICS, size: FEW, repeats: 'last' }))),
    any(initProducerIdHandler),
    any(
      inParts(
        offsetForLeaderEpochHandler,
        topicParts({
          ...{ ...TOPICS, topic: 'topic', partitionKey: ({ partition }: Numbered) => partition },
          ...{ size: MANY, repeats: 'last' },
        }),
      ),
    ),
    any(inParts(describeConfigsHandler, resources('results'))),
    any(inParts(alterConfigsHandler, resources('responses'))),
    any(alterReplicaLogDirsHandler),
    any(describeLogDirsHandler),
    any(inParts(createPartitionsHandler, topicsByName('topics', 'results', FEW))),
    any(inParts(deleteGroupsHandler, names('groupsNames', 'results', FEW))),
    any(inParts(incrementalAlterConfigsHandler, resources('responses'))),
    any(inParts(offsetDeleteHandler, topicParts({ ...TOPICS, size: MANY, repeats: 'last' }))),
    any(describeClusterHandler),
    any(describeAclsHandler),
    any(createAclsHandler),
    any(deleteAclsHandler),
    any(
      inParts(
        electLeadersHandler,
        topicParts({
          ...{ list: 'topicPartitions', topic: 'topic', partitions: 'partitions' },
          ...{ answers: 'replicaElectionResults', partitionAnswers: 'partitionResult' },
          ...{ partitionKey: itself, size: MANY, repeats: 'last' },
        }),
      ),
    ),
    any(
      inParts(
        alterPartitionReassignmentsHandler,
        topicParts({ ...TOPICS, answers: 'responses', size: MANY, repeats: 'last' }),
      ),
    ),
    any(listPartitionReassignmentsHandler),
    any(
      inParts(
        describeQuorumHandler,
        topicParts({ ...TOPICS, topic: 'topicName', size: MANY, repeats: 'last' }),
      ),
    ),
    any(
      inParts(
        describeProducersHandler,
        topicParts({
          ...{ ...TOPICS, partitions: 'partitionIndexes', partitionKey: itself },
          ...{ size: FEW, repeats: 'last' },
        }),
      ),
    ),
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
