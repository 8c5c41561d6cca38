/**
 * KafkaJS 2.2.4 as an independent implementation, of the old window of versions: what it encodes we
 * decode to the values that went in, and what we encode it decodes to the values that went in.
 */
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { APIS, decodeRequest, encodeResponseFrame, frameBytes, speaks } from '../../src/index.ts'
import { differences, distinctMessage } from './distinct-message.ts'

type Values = Readonly<Record<string, unknown>>
type Elements = readonly Values[]
type Exchange = {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly encode: () => Promise<{ readonly buffer: Buffer }>
  }
  readonly response: { readonly decode: (payload: Buffer) => Promise<unknown> }
}
type Definition = {
  readonly versions: readonly string[]
  readonly protocol: (options: { readonly version: string }) => (values: unknown) => Exchange
}

const require = createRequire(import.meta.url)
const { requests } = require('kafkajs/src/protocol/requests/index.js') as {
  readonly requests: Readonly<Record<string, Definition>>
}
const apiKeys = require('kafkajs/src/protocol/requests/apiKeys.js') as Readonly<
  Record<string, number>
>

/** Its names for our fields, wherever they are. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  assignment: ['memberAssignment'],
  brokerIds: ['replicas'],
  committedMetadata: ['metadata'],
  committedOffset: ['offset'],
  configurationKeys: ['configNames'],
  configs: ['configEntries'],
  forgottenTopicsData: ['forgottenTopics'],
  generationId: ['groupGenerationId'],
  generationIdOrMemberEpoch: ['groupGenerationId'],
  groups: ['groupIds'],
  key: ['groupId'],
  keyType: ['coordinatorType'],
  maxWaitMs: ['maxWaitTime'],
  name: ['topic'],
  partitionData: ['partitions'],
  index: ['partition'],
  partitionIndex: ['partition'],
  partitionMaxBytes: ['maxBytes'],
  protocols: ['groupProtocols'],
  rebalanceTimeoutMs: ['rebalanceTimeout'],
  resourceName: ['name'],
  resourceType: ['type'],
  retentionTimeMs: ['retentionTime'],
  sessionTimeoutMs: ['sessionTimeout'],
  timeoutMs: ['timeout'],
  topicNames: ['topics'],
  transactionTimeoutMs: ['transactionTimeout'],
}

function renamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(renamed)
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) =>
      [name, ...(ALIASES[name] ?? [])].map(alias => [alias, renamed(inner)]),
    ),
  )
}

/** A filter of access rules by its names. */
const asFilter = (filter: Values): Values => ({
  ...filter,
  resourceType: filter['resourceTypeFilter'],
  resourceName: filter['resourceNameFilter'],
  resourcePatternType: filter['patternTypeFilter'],
  principal: filter['principalFilter'],
  host: filter['hostFilter'],
})

/** What it wants where another name is not enough. */
const ARGUMENTS: Readonly<Record<string, (values: Values) => unknown>> = {
  AlterPartitionReassignments: ({ topics, ...rest }) => ({
    ...rest,
    topics: (topics as Elements).map(topic => ({
      ...topic,
      partitionAssignment: topic['partitions'],
    })),
  }),
  CreatePartitions: ({ topics, ...rest }) => ({
    ...rest,
    topicPartitions: (topics as Elements).map(topic => ({
      ...topic,
      assignments: (topic['assignments'] as Elements).map(({ brokerIds }) => brokerIds),
    })),
  }),
  CreateTopics: ({ topics, ...rest }) => ({
    ...rest,
    topics: (topics as Elements).map(topic => ({
      ...topic,
      replicaAssignment: topic['assignments'],
    })),
  }),
  DeleteGroups: ({ groupsNames }) => groupsNames,
  DeleteAcls: ({ filters }) => ({ filters: (filters as Elements).map(asFilter) }),
  DescribeAcls: asFilter,
  LeaveGroup: ({ members, ...rest }) => ({ ...rest, ...(members as Elements)?.[0] }),
  ListPartitionReassignments: ({ topics, ...rest }) => ({
    ...rest,
    topics: (topics as Elements).map(topic => ({
      ...topic,
      partitions: topic['partitionIndexes'],
    })),
  }),
  Metadata: ({ topics, ...rest }) => ({
    ...rest,
    topics: (topics as Elements).map(({ name }) => name),
  }),
  OffsetFetch: ({ topics, ...rest }) => ({
    ...rest,
    topics: (topics as Elements).map(({ topic, partitionIndexes }) => ({
      topic,
      partitions: (partitionIndexes as readonly number[]).map(partition => ({ partition })),
    })),
  }),
  Produce: ({ topicData, ...rest }) => ({
    ...rest,
    topicData: (topicData as readonly { readonly partitions: Elements }[]).map(topic => ({
      ...topic,
      partitions: topic.partitions.map(partition => ({
        ...partition,
        messages: [{ key: 'key', value: 'value' }],
      })),
    })),
  }),
  SyncGroup: values => ({ ...values, groupAssignment: values['assignments'] }),
}

/** Fields that it does not send by what it is told, or (LeaveGroup) of which it sends one only. */
const CONSTANTS: Readonly<Record<string, Values>> = {
  LeaveGroup: { members: [{ memberId: 'member', groupInstanceId: 'instance' }] },
}

/** Fields of responses that it skips. */
const UNREAD: Readonly<Record<string, Values>> = {
  AlterPartitionReassignments: { errorMessage: null },
  ListPartitionReassignments: { errorMessage: null },
}

let exchanges = 0

for (const [name, definition] of Object.entries(requests)) {
  const api = APIS.get(apiKeys[name] ?? -1)
  for (const version of definition.versions) {
    const build = definition.protocol({ version })
    if (api === undefined || !speaks(api, Number(version))) continue
    exchanges += 1
    const ours = (): Values =>
      distinctMessage(api.request.fields, Number(version), { fixed: CONSTANTS[api.name] ?? {} })
    const theirs = (message: Values): Exchange => {
      const values = renamed(message) as Values
      return build(ARGUMENTS[api.name]?.(values) ?? values)
    }

    test(`${api.name} v${version}: we read its request`, async () => {
      const message = ours()
      const { request } = theirs(message)
      expect(request).toMatchObject({ apiKey: api.key, apiVersion: Number(version) })
      const { buffer } = await request.encode()
      // It counts the tags of the header to the body.
      const bodyAt = Number(version) >= api.flexibleFrom ? 1 : 0
      expect(differences(message, decodeRequest(api, Number(version), buffer, bodyAt))).toEqual([])
    })

    test(`${api.name} v${version}: it reads our response`, async () => {
      const fixed = { errorCode: 0, ...UNREAD[api.name] }
      const response = distinctMessage(api.response.fields, Number(version), { fixed })
      const bytes = frameBytes(encodeResponseFrame(api, Number(version), 1, response))
      const decoded = await theirs(ours()).response.decode(bytes.subarray(8))
      expect(differences(response, decoded)).toEqual([])
    })
  }
}

test('it speaks enough to be a witness', () => {
  expect(exchanges).toBeGreaterThan(60)
})
