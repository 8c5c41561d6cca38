/**
 * The Kafka protocol's messages: what `@millrace/protocol` exports.
 */

export {
  type AnyApi,
  type Api,
  type ApiSpec,
  type Codec,
  type Message,
  speaks,
} from './codec/api.ts'
export {
  CONFIG_OPERATION,
  CONFIG_RESOURCE_TYPE,
  CONFIG_SOURCE,
  CONFIG_TYPE,
  COORDINATOR_TYPE,
  ELECTION_TYPE,
  ISOLATION_LEVEL,
  LIST_OFFSETS_TIMESTAMP,
  NO_AUTHORIZED_OPERATIONS,
} from './codec/enums.ts'
export {
  ERROR_CODES,
  type ErrorName,
  errorName,
  isRetriable,
} from './codec/error-codes.ts'
export {
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequestFrame,
  encodeResponseFrame,
  encodeResponseInSteps,
  frameBytes,
  type RequestHeader,
  type RequestHeaderFields,
  type ResponseOf,
} from './codec/frame.ts'
export { FrameAssembler, type FrameMemory } from './codec/frame-assembler.ts'
export {
  type Field,
  type FieldType,
  inRange,
  type PrimitiveName,
  parseGrammar,
  type VersionRange,
} from './codec/grammar.ts'
export {
  type MessageLimits,
  REQUEST_LIMITS,
  RESPONSE_LIMITS,
  STRING_BYTES_MAX,
  UNKNOWN_TAGS_MAX,
} from './codec/reader.ts'
export {
  type Decoded,
  type External,
  type Frame,
  type Records,
  type Tagged,
  type UnknownTag,
  ZERO_UUID,
} from './codec/types.ts'
export { COPY_BELOW_BYTES } from './codec/writer.ts'
export { PROTOCOL_ERRORS, ProtocolError, type ProtocolErrorCode } from './errors.ts'
export {
  type AlterConfigsEntry,
  type AlterConfigsRequest,
  type AlterConfigsResource,
  type AlterConfigsResponse,
  type AlterConfigsResult,
  alterConfigs,
} from './messages/alter-configs.ts'
export {
  type AlterPartitionReassignmentsRequest,
  type AlterPartitionReassignmentsResponse,
  alterPartitionReassignments,
  type ReassignablePartition,
  type ReassignablePartitionResponse,
  type ReassignableTopic,
  type ReassignableTopicResponse,
} from './messages/alter-partition-reassignments.ts'
export {
  type AlterReplicaLogDir,
  type AlterReplicaLogDirPartitionResult,
  type AlterReplicaLogDirsRequest,
  type AlterReplicaLogDirsResponse,
  type AlterReplicaLogDirTopic,
  type AlterReplicaLogDirTopicResult,
  alterReplicaLogDirs,
} from './messages/alter-replica-log-dirs.ts'
export {
  type ApiVersionsFinalizedFeature,
  type ApiVersionsRange,
  type ApiVersionsRequest,
  type ApiVersionsResponse,
  type ApiVersionsSupportedFeature,
  apiVersions,
} from './messages/api-versions.ts'
export { APIS, apiVersionsList } from './messages/apis.ts'
export {
  type AclCreation,
  type AclCreationResult,
  type CreateAclsRequest,
  type CreateAclsResponse,
  createAcls,
} from './messages/create-acls.ts'
export {
  type CreatePartitionsAssignment,
  type CreatePartitionsRequest,
  type CreatePartitionsResponse,
  type CreatePartitionsResult,
  type CreatePartitionsTopic,
  createPartitions,
} from './messages/create-partitions.ts'
export {
  type CreateTopicsAssignment,
  type CreateTopicsConfig,
  type CreateTopicsRequest,
  type CreateTopicsResponse,
  type CreateTopicsResult,
  type CreateTopicsResultConfig,
  type CreateTopicsTopic,
  createTopics,
} from './messages/create-topics.ts'
export {
  type DeleteAclsFilter,
  type DeleteAclsFilterResult,
  type DeleteAclsRequest,
  type DeleteAclsResponse,
  type DeletedAcl,
  deleteAcls,
} from './messages/delete-acls.ts'
export {
  type DeleteGroupsRequest,
  type DeleteGroupsResponse,
  type DeleteGroupsResult,
  deleteGroups,
} from './messages/delete-groups.ts'
export {
  type DeleteRecordsPartition,
  type DeleteRecordsPartitionResponse,
  type DeleteRecordsRequest,
  type DeleteRecordsResponse,
  type DeleteRecordsTopic,
  type DeleteRecordsTopicResponse,
  deleteRecords,
} from './messages/delete-records.ts'
export {
  type DeleteTopicsRequest,
  type DeleteTopicsResponse,
  type DeleteTopicsResult,
  type DeleteTopicsTopic,
  deleteTopics,
} from './messages/delete-topics.ts'
export {
  type DescribeAclsRequest,
  type DescribeAclsResponse,
  type DescribedAcl,
  type DescribedAclResource,
  describeAcls,
} from './messages/describe-acls.ts'
export {
  type DescribeClusterBroker,
  type DescribeClusterRequest,
  type DescribeClusterResponse,
  describeCluster,
} from './messages/describe-cluster.ts'
export {
  type DescribeConfigsEntry,
  type DescribeConfigsRequest,
  type DescribeConfigsResource,
  type DescribeConfigsResponse,
  type DescribeConfigsResult,
  type DescribeConfigsSynonym,
  describeConfigs,
} from './messages/describe-configs.ts'
export {
  type DescribedGroup,
  type DescribedGroupMember,
  type DescribeGroupsRequest,
  type DescribeGroupsResponse,
  describeGroups,
} from './messages/describe-groups.ts'
export {
  type DescribeLogDirsPartition,
  type DescribeLogDirsRequest,
  type DescribeLogDirsResponse,
  type DescribeLogDirsResult,
  type DescribeLogDirsTopic,
  type DescribeLogDirsTopicResponse,
  describeLogDirs,
} from './messages/describe-log-dirs.ts'
export {
  type DescribedProducer,
  type DescribeProducersPartitionResponse,
  type DescribeProducersRequest,
  type DescribeProducersResponse,
  type DescribeProducersTopic,
  type DescribeProducersTopicResponse,
  describeProducers,
} from './messages/describe-producers.ts'
export {
  type DescribeQuorumPartition,
  type DescribeQuorumPartitionResponse,
  type DescribeQuorumRequest,
  type DescribeQuorumResponse,
  type DescribeQuorumTopic,
  type DescribeQuorumTopicResponse,
  describeQuorum,
  type QuorumListener,
  type QuorumNode,
  type QuorumReplica,
} from './messages/describe-quorum.ts'
export {
  type DescribedPartition,
  type DescribedTopic,
  type DescribeTopicPartitionsRequest,
  type DescribeTopicPartitionsResponse,
  type DescribeTopicPartitionsTopic,
  describeTopicPartitions,
  type TopicPartitionCursor,
} from './messages/describe-topic-partitions.ts'
export {
  type ElectLeadersPartitionResult,
  type ElectLeadersRequest,
  type ElectLeadersResponse,
  type ElectLeadersTopic,
  type ElectLeadersTopicResult,
  electLeaders,
} from './messages/elect-leaders.ts'
export {
  type FetchAbortedTransaction,
  type FetchDivergingEpoch,
  type FetchForgottenTopic,
  type FetchLeader,
  type FetchNodeEndpoint,
  type FetchPartition,
  type FetchPartitionResponse,
  type FetchReplicaState,
  type FetchRequest,
  type FetchResponse,
  type FetchSnapshotId,
  type FetchTopic,
  type FetchTopicResponse,
  fetch,
} from './messages/fetch.ts'
export {
  type FindCoordinatorRequest,
  type FindCoordinatorResponse,
  type FindCoordinatorResult,
  findCoordinator,
} from './messages/find-coordinator.ts'
export {
  type HeartbeatRequest,
  type HeartbeatResponse,
  heartbeat,
} from './messages/heartbeat.ts'
export {
  type IncrementalAlterConfigsEntry,
  type IncrementalAlterConfigsRequest,
  type IncrementalAlterConfigsResource,
  type IncrementalAlterConfigsResponse,
  type IncrementalAlterConfigsResult,
  incrementalAlterConfigs,
} from './messages/incremental-alter-configs.ts'
export {
  type InitProducerIdRequest,
  type InitProducerIdResponse,
  initProducerId,
} from './messages/init-producer-id.ts'
export {
  type JoinGroupMember,
  type JoinGroupProtocol,
  type JoinGroupRequest,
  type JoinGroupResponse,
  joinGroup,
} from './messages/join-group.ts'
export {
  type LeaveGroupMember,
  type LeaveGroupMemberResponse,
  type LeaveGroupRequest,
  type LeaveGroupResponse,
  leaveGroup,
} from './messages/leave-group.ts'
export {
  type ListConfigResourcesRequest,
  type ListConfigResourcesResponse,
  type ListedConfigResource,
  listConfigResources,
} from './messages/list-config-resources.ts'
export {
  type ListedGroup,
  type ListGroupsRequest,
  type ListGroupsResponse,
  listGroups,
} from './messages/list-groups.ts'
export {
  type ListOffsetsPartition,
  type ListOffsetsPartitionResponse,
  type ListOffsetsRequest,
  type ListOffsetsResponse,
  type ListOffsetsTopic,
  type ListOffsetsTopicResponse,
  listOffsets,
} from './messages/list-offsets.ts'
export {
  type ListPartitionReassignmentsRequest,
  type ListPartitionReassignmentsResponse,
  type ListPartitionReassignmentsTopic,
  listPartitionReassignments,
  type OngoingPartitionReassignment,
  type OngoingTopicReassignment,
} from './messages/list-partition-reassignments.ts'
export {
  type MetadataBroker,
  type MetadataPartition,
  type MetadataRequest,
  type MetadataResponse,
  type MetadataTopic,
  type MetadataTopicResponse,
  metadata,
} from './messages/metadata.ts'
export {
  type OffsetCommitPartition,
  type OffsetCommitPartitionResponse,
  type OffsetCommitRequest,
  type OffsetCommitResponse,
  type OffsetCommitTopic,
  type OffsetCommitTopicResponse,
  offsetCommit,
} from './messages/offset-commit.ts'
export {
  type OffsetDeletePartition,
  type OffsetDeletePartitionResponse,
  type OffsetDeleteRequest,
  type OffsetDeleteResponse,
  type OffsetDeleteTopic,
  type OffsetDeleteTopicResponse,
  offsetDelete,
} from './messages/offset-delete.ts'
export {
  type OffsetFetchGroup,
  type OffsetFetchGroupPartition,
  type OffsetFetchGroupResponse,
  type OffsetFetchGroupTopic,
  type OffsetFetchGroupTopicResponse,
  type OffsetFetchPartition,
  type OffsetFetchRequest,
  type OffsetFetchResponse,
  type OffsetFetchTopic,
  type OffsetFetchTopicResponse,
  offsetFetch,
} from './messages/offset-fetch.ts'
export {
  type OffsetForLeaderEpochRequest,
  type OffsetForLeaderEpochResponse,
  type OffsetForLeaderPartition,
  type OffsetForLeaderPartitionResponse,
  type OffsetForLeaderTopic,
  type OffsetForLeaderTopicResponse,
  offsetForLeaderEpoch,
} from './messages/offset-for-leader-epoch.ts'
export {
  type ProduceLeader,
  type ProduceNodeEndpoint,
  type ProducePartition,
  type ProducePartitionResponse,
  type ProduceRecordError,
  type ProduceRequest,
  type ProduceResponse,
  type ProduceTopic,
  type ProduceTopicResponse,
  produce,
} from './messages/produce.ts'
export {
  type SyncGroupAssignment,
  type SyncGroupRequest,
  type SyncGroupResponse,
  syncGroup,
} from './messages/sync-group.ts'
