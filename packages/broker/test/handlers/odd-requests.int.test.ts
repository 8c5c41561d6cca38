// Requests at the edge of the protocol, answered as Apache Kafka 4.3.1 answered the same ones beside
// this node: clients decide by the code whether they try again, look for another topic, or give up.
import { connect } from 'node:net'
import {
  alterConfigs,
  alterReplicaLogDirs,
  deleteGroups,
  describeGroups,
  ERROR_CODES,
  fetch,
  incrementalAlterConfigs,
  offsetCommit,
  produce,
  syncGroup,
  ZERO_UUID,
} from '@millrace/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { batchOf } from '../support/batches.ts'
import { type EngineNode, startEngineNode } from '../support/engine-node.ts'
import { Peer } from '../support/harness.ts'

const { NONE, CORRUPT_MESSAGE, INVALID_RECORD, INVALID_REQUEST } = ERROR_CODES
const { UNKNOWN_TOPIC_ID, OFFSET_OUT_OF_RANGE, INVALID_TOPIC_EXCEPTION } = ERROR_CODES

let node: EngineNode
let peer: Peer

beforeAll(async () => {
  node = await startEngineNode()
  await node.engine.createTopics([{ name: 't', partitions: 2 }])
  await node.engine.append([{ topic: 't', partition: 0, batch: batchOf(10, 3) }])
  peer = new Peer(connect(node.listener.address.port, '127.0.0.1'))
  await peer.connected
})

afterAll(async () => {
  peer.socket.destroy()
  await node.stop()
})

async function produced(records: Buffer | null): Promise<number | undefined> {
  const { responses } = await peer.call(produce, 8, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1_000,
    topicData: [{ name: 't', partitionData: [{ index: 1, records }] }],
  })
  return responses[0]?.partitionResponses[0]?.errorCode
}

/** A batch with some bytes overwritten; its checksum stays as it was. */
function changed(at: number, bytes: readonly number[]): Buffer {
  const batch = Buffer.from(batchOf(10, 3))
  Buffer.from(bytes).copy(batch, at)
  return batch
}

test('a batch that is cut off anywhere is no record: sending it again would not help', async () => {
  const whole = batchOf(10, 3)
  expect(await produced(null)).toBe(INVALID_RECORD)
  for (let length = 0; length < whole.length; length += 1) {
    expect(await produced(whole.subarray(0, length)), `${length} bytes`).toBe(INVALID_RECORD)
  }
  expect(await produced(changed(8, [0, 0, 4, 0])), 'longer than it is').toBe(INVALID_RECORD)
  expect(await produced(Buffer.concat([whole, whole])), 'two batches').toBe(INVALID_RECORD)
  expect(await produced(whole)).toBe(NONE)
})

test('a length or version that no batch has is damage on the way, an older version is not', async () => {
  for (const length of [-1, 0, 13, 14, 48]) {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(length)
    expect(await produced(changed(8, [...bytes])), `length ${length}`).toBe(CORRUPT_MESSAGE)
  }
  for (const magic of [3, 127, 255]) {
    expect(await produced(changed(16, [magic])), `version ${magic}`).toBe(CORRUPT_MESSAGE)
  }
  for (const magic of [0, 1]) expect(await produced(changed(16, [magic]))).toBe(INVALID_RECORD)
  expect(await produced(changed(60, [255])), 'checksum').toBe(CORRUPT_MESSAGE)
})

test('the offsets of a batch are the log’s to give: one that begins anywhere else is refused', async () => {
  expect(await produced(changed(0, [0, 0, 0, 0, 0, 0, 0, 7]))).toBe(INVALID_RECORD)
  expect(await produced(changed(0, new Array<number>(8).fill(255)))).toBe(INVALID_RECORD)
})

test('an id of zeros is one that no topic has, where topics have no names in the request', async () => {
  const records = batchOf(10)
  const { responses } = await peer.call(produce, 13, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1_000,
    topicData: [{ topicId: ZERO_UUID, partitionData: [{ index: 0, records }] }],
  })
  expect(responses[0]?.partitionResponses[0]?.errorCode).toBe(UNKNOWN_TOPIC_ID)
  expect((await fetched(13, { fetchOffset: 0 }, { topicId: ZERO_UUID }))?.errorCode).toBe(
    UNKNOWN_TOPIC_ID,
  )
  const { topics } = await peer.call(offsetCommit, 10, {
    groupId: 'g',
    generationIdOrMemberEpoch: -1,
    memberId: '',
    topics: [
      {
        topicId: ZERO_UUID,
        partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }],
      },
    ],
  })
  expect(topics[0]?.partitions[0]?.errorCode).toBe(UNKNOWN_TOPIC_ID)
})

const LIMITS = { maxWaitMs: 0, minBytes: 0, maxBytes: 1_000, isolationLevel: 0 }

type Position = { fetchOffset: number; lastFetchedEpoch?: number; currentLeaderEpoch?: number }

async function fetched(
  version: number,
  position: Position,
  topic: { topic?: string; topicId?: string } = { topic: 't' },
) {
  const { responses } = await peer.call(fetch, version, {
    ...LIMITS,
    topics: [{ ...topic, partitions: [{ partition: 0, partitionMaxBytes: 1_000, ...position }] }],
  })
  return responses[0]?.partitions[0]
}

test('a reader whose epoch is not known here, or ended before its offset, is told so', async () => {
  const { leaderEpoch = 0 } = node.engine.topic('t')?.partitions[0] ?? {}
  expect(await fetched(12, { fetchOffset: 3, lastFetchedEpoch: leaderEpoch })).toMatchObject({
    errorCode: NONE,
    divergingEpoch: { epoch: -1, endOffset: -1 },
  })
  expect(await fetched(12, { fetchOffset: 4, lastFetchedEpoch: leaderEpoch })).toMatchObject({
    errorCode: NONE,
    divergingEpoch: { epoch: leaderEpoch, endOffset: 3 },
  })
  expect(await fetched(12, { fetchOffset: 0, lastFetchedEpoch: leaderEpoch + 5 })).toMatchObject({
    errorCode: OFFSET_OUT_OF_RANGE,
  })
})

test('beside an error a fetched partition has no watermarks', async () => {
  for (const position of [{ fetchOffset: 99 }, { fetchOffset: 0, currentLeaderEpoch: 99 }]) {
    const partition = await fetched(12, position)
    expect(partition?.errorCode).not.toBe(NONE)
    expect(partition).toMatchObject({ highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 })
  }
})

test('a session that nobody began is not found, whatever its number', async () => {
  for (const sessionId of [0, 7]) {
    const answer = await peer.call(fetch, 12, {
      ...LIMITS,
      sessionId,
      sessionEpoch: 5,
      topics: [
        { topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }] },
      ],
    })
    expect(answer).toMatchObject({
      errorCode: ERROR_CODES.FETCH_SESSION_ID_NOT_FOUND,
      responses: [],
    })
  }
})

test('a member that does not say which protocol it means is refused before it is looked for', async () => {
  const sync = { groupId: 'absent', generationId: 1, memberId: 'm', assignments: [] }
  const refused = { errorCode: ERROR_CODES.INCONSISTENT_GROUP_PROTOCOL }
  expect(await peer.call(syncGroup, 5, sync)).toMatchObject(refused)
  const named = { ...sync, protocolType: 'consumer', protocolName: 'range' }
  expect(await peer.call(syncGroup, 5, named)).toMatchObject({
    errorCode: ERROR_CODES.UNKNOWN_MEMBER_ID,
  })
})

test('a group that is to be deleted twice is deleted once, and may be configured', async () => {
  await node.engine.groups.commit({
    groupId: 'g',
    generationId: -1,
    memberId: '',
    groupInstanceId: null,
    offsets: [{ topic: 't', partition: 0, offset: 1, leaderEpoch: -1, metadata: null }],
  })
  const { groups } = await peer.call(describeGroups, 5, {
    groups: ['g'],
    includeAuthorizedOperations: true,
  })
  expect(groups[0]?.authorizedOperations).toBe(3400)
  const { results } = await peer.call(deleteGroups, 2, { groupsNames: ['g', 'g'] })
  expect(results).toEqual([{ groupId: 'g', errorCode: NONE }])
})

const remove = { configOperation: 1, value: null }
const set = { configOperation: 0, value: '2' }

async function altered(
  resourceType: number,
  resourceName: string,
  configs: readonly { name: string; configOperation: number; value: string | null }[],
): Promise<number | undefined> {
  const { responses } = await peer.call(incrementalAlterConfigs, 1, {
    resources: [{ resourceType, resourceName, configs }],
    validateOnly: false,
  })
  return responses[0]?.errorCode
}

test('of the node nothing can be set, so whatever is taken back is gone already', async () => {
  const rate = 'leader.replication.throttled.rate'
  for (const name of ['1', '']) {
    expect(await altered(4, name, [{ name: rate, ...remove }])).toBe(NONE)
    expect(await altered(4, name, [])).toBe(NONE)
    expect(await altered(4, name, [{ name: rate, ...set }])).toBe(INVALID_REQUEST)
  }
  expect(await altered(4, '9', [{ name: rate, ...remove }])).toBe(INVALID_REQUEST)
  const whole = async (configs: readonly { name: string; value: string }[]) => {
    const resources = [{ resourceType: 4, resourceName: '1', configs }]
    const { responses } = await peer.call(alterConfigs, 2, { resources, validateOnly: false })
    return responses[0]?.errorCode
  }
  expect(await whole([])).toBe(NONE)
  expect(await whole([{ name: rate, value: '2' }])).toBe(INVALID_REQUEST)
})

test('a topic that cannot be is told apart from one that is not there', async () => {
  const configs = [{ name: 'retention.ms', ...set }]
  expect(await altered(2, '', configs)).toBe(INVALID_REQUEST)
  expect(await altered(2, 'not legal', configs)).toBe(INVALID_TOPIC_EXCEPTION)
  expect(await altered(2, 'absent', configs)).toBe(ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION)
})

test('a partition lies in the one folder already, and cannot be moved to another', async () => {
  const moved = async (
    dirs: readonly (readonly [path: string, partitions: readonly number[]])[],
  ) => {
    const { results } = await peer.call(alterReplicaLogDirs, 2, {
      dirs: dirs.map(([path, partitions]) => ({ path, topics: [{ name: 't', partitions }] })),
    })
    return results.flatMap(({ partitions }) =>
      partitions.map(({ partitionIndex, errorCode }) => [partitionIndex, errorCode]),
    )
  }
  const { folder } = node.engine.storage()
  const { LOG_DIR_NOT_FOUND, UNKNOWN_TOPIC_OR_PARTITION } = ERROR_CODES
  expect(await moved([[folder, [0, 1, 9, -1]]])).toEqual([
    [0, NONE],
    [1, NONE],
    [9, UNKNOWN_TOPIC_OR_PARTITION],
    [-1, UNKNOWN_TOPIC_OR_PARTITION],
  ])
  expect(await moved([['/elsewhere', [0, 9]]])).toEqual([
    [0, LOG_DIR_NOT_FOUND],
    [9, LOG_DIR_NOT_FOUND],
  ])
  expect(
    await moved([
      [folder, [0]],
      [`${folder}/`, [0]],
    ]),
    'the last counts',
  ).toEqual([[0, LOG_DIR_NOT_FOUND]])
  expect(await moved([])).toEqual([])
})
