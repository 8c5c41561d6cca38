/** One good request for each API. */
import { batchOf } from './batches.ts'

/** The id of the first topic that the fake engine has. */
const TOPIC_ID = Buffer.alloc(16, 1).toString('base64url')
/** A topic by its name, and in newer versions by its id. */
const T = { name: 't', topicId: TOPIC_ID }

/** A filter of access rules that matches everything. */
const FILTER = {
  resourceTypeFilter: 1,
  resourceNameFilter: null,
  principalFilter: null,
  hostFilter: null,
  operation: 1,
  permissionType: 1,
}

const PARTITION_0 = { partitionIndex: 0 }

/** A request that a healthy node can serve, for each API; what a version lacks is left out. */
export const REQUESTS: Readonly<Record<string, object>> = {
  Produce: {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1_000,
    topicData: [{ ...T, partitionData: [{ index: 0, records: batchOf(10) }] }],
  },
  Fetch: {
    maxWaitMs: 0,
    minBytes: 1,
    isolationLevel: 0,
    topics: [
      {
        topic: 't',
        topicId: TOPIC_ID,
        partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 9 }],
      },
    ],
  },
  ListOffsets: { topics: [{ name: 't', partitions: [{ ...PARTITION_0, timestamp: -1 }] }] },
  Metadata: { topics: [{ name: 't' }] },
  OffsetCommit: {
    groupId: 'g',
    memberId: '',
    topics: [
      { ...T, partitions: [{ ...PARTITION_0, committedOffset: 1, committedMetadata: 'm' }] },
    ],
  },
  OffsetFetch: {
    groupId: 'g',
    topics: [{ name: 't', partitionIndexes: [0] }],
    groups: [{ groupId: 'g', topics: [{ ...T, partitionIndexes: [0] }] }],
  },
  FindCoordinator: { key: 'g', coordinatorKeys: ['g'] },
  JoinGroup: {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    memberId: 'member-1',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('m') }],
  },
  Heartbeat: { groupId: 'g', generationId: 1, memberId: 'member-1' },
  LeaveGroup: {
    groupId: 'g',
    memberId: 'member-1',
    members: [{ memberId: 'member-1', groupInstanceId: null }],
  },
  SyncGroup: {
    groupId: 'g',
    generationId: 1,
    memberId: 'member-1',
    protocolType: 'consumer',
    protocolName: 'range',
    assignments: [],
  },
  DescribeGroups: { groups: ['g'] },
  ListGroups: {},
  ApiVersions: { clientSoftwareName: 'test', clientSoftwareVersion: '1.0' },
  CreateTopics: {
    topics: [{ name: 'new', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
    validateOnly: true,
  },
  DeleteTopics: {
    topics: [{ name: 'other', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }],
    topicNames: ['other'],
    timeoutMs: 1_000,
  },
  DeleteRecords: {
    topics: [{ name: 't', partitions: [{ ...PARTITION_0, offset: 0 }] }],
    timeoutMs: 1,
  },
  InitProducerId: { transactionalId: null, transactionTimeoutMs: 0 },
  OffsetForLeaderEpoch: {
    topics: [{ topic: 't', partitions: [{ partition: 0, leaderEpoch: 0 }] }],
  },
  DescribeConfigs: {
    resources: [{ resourceType: 2, resourceName: 't', configurationKeys: null }],
    includeSynonyms: true,
  },
  AlterConfigs: {
    resources: [
      { resourceType: 2, resourceName: 't', configs: [{ name: 'retention.ms', value: '1' }] },
    ],
    validateOnly: false,
  },
  AlterReplicaLogDirs: { dirs: [{ path: '/data', topics: [{ name: 't', partitions: [0] }] }] },
  DescribeLogDirs: { topics: null },
  CreatePartitions: {
    topics: [{ name: 't', count: 2, assignments: null }],
    timeoutMs: 1_000,
    validateOnly: true,
  },
  DeleteGroups: { groupsNames: ['absent'] },
  IncrementalAlterConfigs: {
    resources: [
      {
        resourceType: 2,
        resourceName: 't',
        configs: [{ name: 'retention.ms', configOperation: 0, value: '1' }],
      },
    ],
    validateOnly: false,
  },
  OffsetDelete: { groupId: 'g', topics: [{ name: 't', partitions: [PARTITION_0] }] },
  DescribeCluster: { includeClusterAuthorizedOperations: false },
  DescribeAcls: FILTER,
  CreateAcls: {
    creations: [
      {
        resourceType: 2,
        resourceName: 't',
        principal: 'User:a',
        host: '*',
        operation: 3,
        permissionType: 3,
      },
    ],
  },
  DeleteAcls: { filters: [FILTER] },
  ElectLeaders: { topicPartitions: [{ topic: 't', partitions: [0] }] },
  AlterPartitionReassignments: {
    topics: [{ name: 't', partitions: [{ ...PARTITION_0, replicas: [1] }] }],
  },
  ListPartitionReassignments: { topics: null },
  DescribeQuorum: { topics: [{ topicName: '__cluster_metadata', partitions: [PARTITION_0] }] },
  DescribeProducers: { topics: [{ name: 't', partitionIndexes: [0] }] },
  ListConfigResources: {},
  DescribeTopicPartitions: { topics: [{ name: 't' }], cursor: null },
}
