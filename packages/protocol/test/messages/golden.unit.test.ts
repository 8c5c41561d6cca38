/**
 * Frames written by hand from the protocol's grammar: spaces part the fields, so that a reader can
 * follow them with the grammar of the message beside.
 */
import assert from 'node:assert/strict'
import { describe, expect, test } from 'vitest'
import {
  type AnyApi,
  APIS,
  type Api,
  apiVersions,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  describeProducers,
  describeQuorum,
  describeTopicPartitions,
  electLeaders,
  encodeRequestFrame,
  encodeResponseFrame,
  fetch,
  frameBytes,
  joinGroup,
  leaveGroup,
  listConfigResources,
  listOffsets,
  metadata,
  offsetFetch,
  produce,
} from '../../src/index.ts'

const bytesOf = (text: string): Buffer => Buffer.from(text.replace(/\s+/g, ''), 'hex')
const HEADER = { correlationId: 7, clientId: 'me' }

/** Our bytes of the request are these, and these decode to the request. */
function request<Request extends object>(
  api: Api<Request, object>,
  version: number,
  message: Request,
  hex: string,
): void {
  const expected = bytesOf(hex)
  const frame = frameBytes(encodeRequestFrame(api, version, HEADER, message))
  expect(frame.subarray(4).toString('hex')).toBe(expected.toString('hex'))
  const header = decodeRequestHeader(expected, APIS)
  expect(header).toMatchObject({ apiKey: api.key, apiVersion: version, ...HEADER })
  expect(decodeRequest(api, version, expected, header.bodyAt)).toMatchObject(message)
}

function response<Response extends object>(
  api: Api<object, Response>,
  version: number,
  message: Response,
  hex: string,
): void {
  const expected = bytesOf(hex)
  const frame = frameBytes(encodeResponseFrame(api, version, 7, message))
  expect(frame.subarray(4).toString('hex')).toBe(expected.toString('hex'))
  const decoded = decodeResponse(api, version, expected)
  expect(decoded.correlationId).toBe(7)
  expect(decoded.response).toMatchObject(message)
}

const head = (api: AnyApi, version: number): string =>
  [api.key, version].map(value => value.toString(16).padStart(4, '0')).join(' ') +
  ` 00000007 0002 6d65${version >= api.flexibleFrom ? ' 00' : ''} `

describe('ApiVersions', () => {
  test('request v0 has no body, v3 names the client', () => {
    request(apiVersions, 0, {}, head(apiVersions, 0))
    const named = { clientSoftwareName: 'lib', clientSoftwareVersion: '1' }
    request(apiVersions, 3, named, `${head(apiVersions, 3)} 04 6c6962 02 31 00`)
  })

  test('response v4 has no tags in its header, and features in tags of its body', () => {
    response(
      apiVersions,
      4,
      {
        errorCode: 0,
        apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }],
        throttleTimeMs: 1,
        supportedFeatures: [{ name: 'f', minVersion: 0, maxVersion: 2 }],
        finalizedFeaturesEpoch: 5,
      },
      `00000007 0000 02 0012 0000 0004 00 00000001
       02 00 08 02 02 66 0000 0002 00 01 08 0000000000000005`,
    )
  })

  test('response v0, the answer to an unknown version', () => {
    const range = { apiKey: 18, minVersion: 0, maxVersion: 4 }
    const message = { errorCode: 35, apiKeys: [range] }
    response(apiVersions, 0, message, '00000007 0023 00000001 0012 0000 0004')
  })
})

describe('Metadata', () => {
  test('request v0, v1 for all, v9, v12 by id', () => {
    const body = '00000001 0001 74'
    request(metadata, 0, { topics: [{ name: 't' }] }, `${head(metadata, 0)} ${body}`)
    request(metadata, 1, { topics: null }, `${head(metadata, 1)} ffffffff`)
    const t = { topics: [{ name: 't' }] }
    request(metadata, 9, t, `${head(metadata, 9)} 02 02 74 00 01 00 00 00`)
    const topicId = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex').toString('base64url')
    request(
      metadata,
      12,
      { topics: [{ topicId, name: null }], allowAutoTopicCreation: false },
      `${head(metadata, 12)} 02 000102030405060708090a0b0c0d0e0f 00 00 00 00 00`,
    )
  })

  test('response v1 and v12', () => {
    const broker = { nodeId: 1, host: 'h', port: 9092, rack: null }
    const partition = {
      errorCode: 0,
      partitionIndex: 3,
      leaderId: 1,
      replicaNodes: [1],
      isrNodes: [1],
    }
    const topic = { errorCode: 0, name: 't', isInternal: false, partitions: [partition] }
    response(
      metadata,
      1,
      { brokers: [broker], controllerId: 1, topics: [topic] },
      `00000007 00000001 00000001 0001 68 00002384 ffff 00000001
       00000001 0000 0001 74 00 00000001 0000 00000003 00000001 00000001 00000001 00000001 00000001`,
    )
    response(
      metadata,
      12,
      {
        throttleTimeMs: 0,
        brokers: [broker],
        clusterId: 'c',
        controllerId: 1,
        topics: [{ ...topic, partitions: [{ ...partition, leaderEpoch: 2 }] }],
      },
      `00000007 00 00000000 02 00000001 02 68 00002384 00 00 02 63 00000001
       02 0000 02 74 00000000000000000000000000000000 00
          02 0000 00000003 00000001 00000002 02 00000001 02 00000001 01 00 80000000 00 00`,
    )
  })
})

describe('Produce', () => {
  const message = {
    acks: -1,
    timeoutMs: 30_000,
    topicData: [{ name: 't', partitionData: [{ index: 0, records: bytesOf('abcd') }] }],
  }

  test('request v0 has no transactional id, v3 and v9 have', () => {
    const body = 'ffff 00007530 00000001 0001 74 00000001 00000000 00000002 abcd'
    request(produce, 0, message, `${head(produce, 0)} ${body}`)
    request(produce, 3, { transactionalId: null, ...message }, `${head(produce, 3)} ffff ${body}`)
    const transactional = { transactionalId: 'x', ...message }
    request(
      produce,
      9,
      transactional,
      `${head(produce, 9)} 02 78 ffff 00007530 02 02 74 02 00000000 03 abcd 00 00 00`,
    )
  })

  test('response v2 and v10', () => {
    const partition = { index: 0, errorCode: 6, baseOffset: -1, logAppendTimeMs: -1 }
    response(
      produce,
      2,
      { responses: [{ name: 't', partitionResponses: [partition] }], throttleTimeMs: 0 },
      `00000007 00000001 0001 74 00000001 00000000 0006 ffffffffffffffff ffffffffffffffff 00000000`,
    )
    const currentLeader = { leaderId: 2, leaderEpoch: 3 }
    response(
      produce,
      10,
      {
        responses: [{ name: 't', partitionResponses: [{ ...partition, currentLeader }] }],
        throttleTimeMs: 0,
        nodeEndpoints: [{ nodeId: 2, host: 'h', port: 9092, rack: null }],
      },
      `00000007 00 02 02 74 02 00000000 0006 ffffffffffffffff ffffffffffffffff ffffffffffffffff 01 00
         01 00 09 00000002 00000003 00 00 00000000 01 00 0d 02 00000002 02 68 00002384 00 00`,
    )
  })
})

describe('Fetch', () => {
  test('request v4 and v12', () => {
    const partition = { partition: 1, fetchOffset: 4_294_967_297, partitionMaxBytes: 1_048_576 }
    const message = {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 52_428_800,
      isolationLevel: 1,
      topics: [{ topic: 't', partitions: [partition] }],
    }
    request(
      fetch,
      4,
      message,
      `${head(fetch, 4)} ffffffff 000001f4 00000001 03200000 01
       00000001 0001 74 00000001 00000001 0000000100000001 00100000`,
    )
    request(
      fetch,
      12,
      message,
      `${head(fetch, 12)} ffffffff 000001f4 00000001 03200000 01 00000000 ffffffff
       02 02 74 02 00000001 ffffffff 0000000100000001 ffffffff ffffffffffffffff 00100000 00 00
       01 01 00`,
    )
  })

  test('response v4 and v12', () => {
    const partition = {
      partitionIndex: 0,
      errorCode: 0,
      highWatermark: 5,
      lastStableOffset: 5,
      abortedTransactions: null,
      records: bytesOf('abcd'),
    }
    response(
      fetch,
      4,
      { throttleTimeMs: 0, responses: [{ topic: 't', partitions: [partition] }] },
      `00000007 00000000 00000001 0001 74 00000001
       00000000 0000 0000000000000005 0000000000000005 ffffffff 00000002 abcd`,
    )
    const abortedTransactions = [{ producerId: 1, firstOffset: 2 }]
    const divergingEpoch = { epoch: 1, endOffset: 9 }
    const partitions = [{ ...partition, records: null, abortedTransactions, divergingEpoch }]
    response(
      fetch,
      12,
      { throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [{ topic: 't', partitions }] },
      `00000007 00 00000000 0000 00000000 02 02 74 02
       00000000 0000 0000000000000005 0000000000000005 ffffffffffffffff
       02 0000000000000001 0000000000000002 00 ffffffff 00
       01 00 0d 00000001 0000000000000009 00 00 00`,
    )
  })
})

describe('groups', () => {
  test('JoinGroup request v0, v5 and v6', () => {
    const message = {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: bytesOf('00') }],
    }
    const type = '636f6e73756d6572'
    const range = '72616e6765'
    request(
      joinGroup,
      0,
      message,
      `${head(joinGroup, 0)} 0001 67 00002710 0000 0008 ${type} 00000001 0005 ${range} 00000001 00`,
    )
    const later = { ...message, rebalanceTimeoutMs: 60_000, groupInstanceId: 'i' }
    request(
      joinGroup,
      5,
      later,
      `${head(joinGroup, 5)} 0001 67 00002710 0000ea60 0000 0001 69 0008 ${type}
       00000001 0005 ${range} 00000001 00`,
    )
    request(
      joinGroup,
      6,
      later,
      `${head(joinGroup, 6)} 02 67 00002710 0000ea60 01 02 69 09 ${type} 02 06 ${range} 02 00 00 00`,
    )
  })

  test('LeaveGroup request v2 and v5', () => {
    const one = `${head(leaveGroup, 2)} 0001 67 0001 6d`
    request(leaveGroup, 2, { groupId: 'g', memberId: 'm' }, one)
    const members = [{ memberId: 'm', groupInstanceId: null, reason: 'r' }]
    const list = `${head(leaveGroup, 5)} 02 67 02 02 6d 00 02 72 00 00`
    request(leaveGroup, 5, { groupId: 'g', members }, list)
  })

  test('OffsetFetch request v1 and v8', () => {
    const topics = [{ name: 't', partitionIndexes: [1] }]
    const one = `${head(offsetFetch, 1)} 0001 67 00000001 0001 74 00000001 00000001`
    request(offsetFetch, 1, { groupId: 'g', topics }, one)
    const groups = [
      { groupId: 'g', topics },
      { groupId: 'h', topics: null },
    ]
    const several = `${head(offsetFetch, 8)} 03 02 67 02 02 74 02 00000001 00 00 02 68 00 00 01 00`
    request(offsetFetch, 8, { groups, requireStable: true }, several)
  })
})

describe('Topic ids', () => {
  const topicId = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex').toString('base64url')
  const id = '000102030405060708090a0b0c0d0e0f'

  test('Fetch request v13, and v18 without a replica', () => {
    const message = {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 1024,
      isolationLevel: 0,
      topics: [
        { topicId, partitions: [{ partition: 1, fetchOffset: 2, partitionMaxBytes: 1024 }] },
      ],
    }
    const body = `000001f4 00000001 00000400 00 00000000 ffffffff
       02 ${id} 02 00000001 ffffffff 0000000000000002 ffffffff ffffffffffffffff 00000400 00 00
       01 01 00`
    request(fetch, 13, message, `${head(fetch, 13)} ffffffff ${body}`)
    request(fetch, 18, message, `${head(fetch, 18)} ${body}`)
  })

  test('Produce request v13 and response', () => {
    const message = {
      transactionalId: null,
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ topicId, partitionData: [{ index: 0, records: bytesOf('abcd') }] }],
    }
    request(
      produce,
      13,
      message,
      `${head(produce, 13)} 00 ffff 00007530 02 ${id} 02 00000000 03 abcd 00 00 00`,
    )
    const partition = { index: 0, errorCode: 100, baseOffset: -1 }
    response(
      produce,
      13,
      { responses: [{ topicId, partitionResponses: [partition] }] },
      `00000007 00 02 ${id} 02 00000000 0064 ffffffffffffffff ffffffffffffffff ffffffffffffffff
         01 00 00 00 00000000 00`,
    )
  })

  test('OffsetFetch request v10', () => {
    const groups = [
      {
        groupId: 'g',
        memberId: null,
        memberEpoch: -1,
        topics: [{ topicId, partitionIndexes: [1] }],
      },
    ]
    const body = `02 02 67 00 ffffffff 02 ${id} 02 00000001 00 00 00 00`
    request(offsetFetch, 10, { groups, requireStable: false }, `${head(offsetFetch, 10)} ${body}`)
  })
})

describe('Administration', () => {
  test('DescribeQuorum response v2 has addresses with ports beyond 32,767', () => {
    const replica = {
      replicaId: 1,
      logEndOffset: 9,
      lastFetchTimestamp: 5,
      lastCaughtUpTimestamp: 6,
    }
    const message = {
      errorCode: 0,
      errorMessage: null,
      topics: [
        {
          topicName: 't',
          partitions: [
            {
              partitionIndex: 0,
              errorCode: 0,
              errorMessage: null,
              leaderId: 1,
              leaderEpoch: 3,
              highWatermark: 9,
              currentVoters: [replica],
              observers: [],
            },
          ],
        },
      ],
      nodes: [{ nodeId: 1, listeners: [{ name: 'P', host: 'h', port: 40_000 }] }],
    }
    response(
      describeQuorum,
      2,
      message,
      `00000007 00 0000 00 02 02 74 02 00000000 0000 00 00000001 00000003 0000000000000009
         02 00000001 00000000000000000000000000000000 0000000000000009
            0000000000000005 0000000000000006 00 01 00 00
         02 00000001 02 02 50 02 68 9c40 00 00 00`,
    )
  })

  test('ElectLeaders request v0 has no type, v2 for all', () => {
    const topicPartitions = [{ topic: 't', partitions: [1] }]
    const one = `${head(electLeaders, 0)} 00000001 0001 74 00000001 00000001 0000ea60`
    request(electLeaders, 0, { topicPartitions, timeoutMs: 60_000 }, one)
    const all = { electionType: 1, topicPartitions: null, timeoutMs: 60_000 }
    request(electLeaders, 2, all, `${head(electLeaders, 2)} 01 00 0000ea60 00`)
  })

  test('DescribeTopicPartitions goes on at a cursor', () => {
    const topics = [{ name: 't' }]
    const first = `${head(describeTopicPartitions, 0)} 02 02 74 00 000007d0 ff 00`
    request(describeTopicPartitions, 0, { topics, cursor: null }, first)
    const cursor = { topicName: 't', partitionIndex: 2 }
    const next = `${head(describeTopicPartitions, 0)} 02 02 74 00 000007d0 01 02 74 00000002 00 00`
    request(describeTopicPartitions, 0, { topics, cursor }, next)
  })

  test('DescribeProducers response has the defaults of a producer without transactions', () => {
    const producer = {
      ...{ producerId: 7, producerEpoch: 2, lastSequence: 6 },
      ...{ lastTimestamp: 1_700_000_000_000, coordinatorEpoch: -1 },
    }
    const partition = {
      ...{ partitionIndex: 1, errorCode: 0, errorMessage: null },
      activeProducers: [producer],
    }
    const message = { throttleTimeMs: 0, topics: [{ name: 't', partitions: [partition] }] }
    const bytes =
      '00000007 00 00000000 02 02 74 02 00000001 0000 00 02 0000000000000007 00000002 00000006 ' +
      '0000018bcfe56800 ffffffff ffffffffffffffff 00 00 00 00'
    response(describeProducers, 0, message, bytes)
  })

  test('ListConfigResources response v0 has names alone, v1 types', () => {
    const message = {
      throttleTimeMs: 0,
      errorCode: 0,
      configResources: [{ resourceName: 'm' }],
    }
    response(listConfigResources, 0, message, '00000007 00 00000000 0000 02 02 6d 00 00')
    response(listConfigResources, 1, message, '00000007 00 00000000 0000 02 02 6d 10 00 00')
  })

  test('ListOffsets request v11 says how long its answer may take', () => {
    const topics = [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -6 }] }]
    request(
      listOffsets,
      11,
      { topics, timeoutMs: 30_000 },
      `${head(listOffsets, 11)} ffffffff 00 02 02 74 02 00000000 ffffffff fffffffffffffffa 00 00
       00007530 00`,
    )
  })
})

test('a tag that nobody knows is kept beside those that are known, in order', () => {
  const bytes = bytesOf(`00000007 00 00000000 0000 00000000 01  01 20 02 abcd`)
  const { response: decoded } = decodeResponse(fetch, 12, bytes)
  expect(decoded.unknownTags).toEqual([{ tag: 32, data: bytesOf('abcd') }])
  const again = frameBytes(encodeResponseFrame(fetch, 12, 7, decoded))
  assert.deepStrictEqual(again.subarray(4), bytes)
})
