/**
 * @platformatic/kafka as an independent implementation: what it encodes we decode to the values
 * that went in, and what we encode it decodes to the values that went in.
 */
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  type AnyApi,
  APIS,
  apiVersions,
  decodeRequest,
  encodeResponseFrame,
  frameBytes,
  speaks,
  ZERO_UUID,
} from '../../src/index.ts'
import { differences, distinctMessage } from './distinct-message.ts'

type PeerWriter = { readonly buffer: Buffer }
type Peer = {
  readonly api: { readonly key: number; readonly version: number }
  readonly createRequest: (...args: unknown[]) => PeerWriter
  readonly parseResponse: (
    correlationId: number,
    apiKey: number,
    apiVersion: number,
    reader: unknown,
  ) => unknown
}

const DIST = new URL('./', import.meta.resolve('@platformatic/kafka'))
const FOLDERS = ['admin', 'consumer', 'metadata', 'producer'] as const

const { Reader: PeerReader } = (await import(new URL('protocol/reader.js', DIST).href)) as {
  readonly Reader: { readonly from: (buffer: Buffer) => unknown }
}

async function peers(): Promise<readonly (readonly [AnyApi, Peer])[]> {
  const found: (readonly [AnyApi, Peer])[] = []
  for (const folder of FOLDERS) {
    const url = new URL(`apis/${folder}/`, DIST)
    for (const file of readdirSync(url).filter(name => /-v\d+\.js$/.test(name))) {
      const peer = (await import(new URL(file, url).href)) as Peer
      const api = APIS.get(peer.api?.key)
      if (api !== undefined && speaks(api, peer.api.version)) found.push([api, peer])
    }
  }
  return found
}

/** A UUID in the text form that it takes. */
function dashed(uuid: string): string {
  const hex = Buffer.from(uuid, 'base64url').toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

type Values = Readonly<Record<string, unknown>>
type Elements = readonly Values[]

/** What it calls the id of a topic: up to some version its name. */
const nameOrId = ({ topic, topicId }: Values): unknown => topic ?? dashed(topicId as string)

/** A filter of access rules by its names. */
const asFilter = (filter: Values): Values => ({
  ...filter,
  resourceType: filter['resourceTypeFilter'],
  resourceName: filter['resourceNameFilter'],
  resourcePatternType: filter['patternTypeFilter'],
  principal: filter['principalFilter'],
  host: filter['hostFilter'],
})

/** Its parameters, where they are not simply our fields by the same name. */
const PARAMETERS: Readonly<Record<string, (message: Values) => Values>> = {
  DeleteAcls: ({ filters }) => ({ filters: (filters as Elements).map(asFilter) }),
  DescribeAcls: message => ({ filter: asFilter(message) }),
  DeleteTopics: ({ topics, topicNames }) => ({
    topics:
      topics === undefined
        ? (topicNames as readonly string[]).map(name => ({ name }))
        : (topics as Elements).map(({ topicId }) => ({ topicId: dashed(topicId as string) })),
  }),
  DescribeLogDirs: ({ topics }) => ({
    topics: (topics as Elements).map(topic => ({ ...topic, name: topic['topic'] })),
  }),
  Fetch: ({ topics, forgottenTopicsData }) => ({
    topics: (topics as Elements).map(topic => ({ ...topic, topicId: nameOrId(topic) })),
    forgottenTopicsData: (forgottenTopicsData as Elements)?.map(topic => ({
      ...topic,
      topicId: nameOrId(topic),
    })),
  }),
  FindCoordinator: ({ key, coordinatorKeys }) => ({ coordinatorKeys: coordinatorKeys ?? [key] }),
  LeaveGroup: ({ memberId, members }) => ({ members: members ?? [{ memberId }] }),
  ListOffsets: ({ replicaId }) => ({ replica: replicaId }),
  OffsetCommit: ({ generationIdOrMemberEpoch }) => ({ generationId: generationIdOrMemberEpoch }),
  Metadata: ({ topics }) => ({ topics: (topics as Elements).map(({ name }) => name) }),
  OffsetForLeaderEpoch: ({ topics }) => ({
    topics: (topics as Elements).map(({ topic, partitions }) => ({
      name: topic,
      partitions: (partitions as Elements).map(partition => ({
        ...partition,
        partitionIndex: partition['partition'],
      })),
    })),
  }),
  OffsetFetch: ({ groupId, topics, groups }) => ({ groups: groups ?? [{ groupId, topics }] }),
  Produce: ({ timeoutMs, transactionalId, topicData }) => ({
    timeout: timeoutMs,
    options: { transactionalId },
    topicData: (topicData as Elements).flatMap(({ name, partitionData }) =>
      (partitionData as Elements).map(({ index }) => ({
        topic: name,
        partition: index,
        value: Buffer.from('value'),
      })),
    ),
  }),
}

/** Fields for which it has a constant of its own. */
const CONSTANTS: Readonly<Record<string, Values>> = {
  DeleteTopics: { name: '' },
  Fetch: { replicaId: -1, logStartOffset: -1n },
  ListGroups: { typesFilter: ['classic'] },
  Metadata: { topicId: ZERO_UUID },
  OffsetCommit: { retentionTimeMs: -1n },
}

/** The names of a function's parameters, from its text. */
function parameterNames(run: (...args: never) => unknown): readonly string[] {
  const list = /\(([^)]*)\)/.exec(run.toString())?.[1] ?? ''
  return list.split(',').map(part => part.trim().replace(/^_/, '').replace(/ =.*/, ''))
}

function parsed(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    // It throws what it has parsed where the response speaks of an error.
    if (error instanceof Error && 'response' in error) return error.response
    throw error
  }
}

const all = await peers()

test('it speaks enough to be a witness', () => {
  expect(all.length).toBeGreaterThan(140)
})

for (const [api, peer] of all) {
  const { version } = peer.api
  const flexible = version >= api.flexibleFrom

  test(`${api.name} v${version}: it reads our response`, () => {
    const response = distinctMessage(api.response.fields, version, { fixed: { errorCode: 0 } })
    const bytes = frameBytes(encodeResponseFrame(api, version, 1, response))
    const bodyAt = 8 + (flexible && api.key !== apiVersions.key ? 1 : 0)
    const reader = PeerReader.from(bytes.subarray(bodyAt))
    const theirs = parsed(() => peer.parseResponse(1, api.key, version, reader))
    expect(differences(response, theirs)).toEqual([])
  })

  // What it takes for OffsetFetch v1 is "...args": the names of the next version hold.
  const names = parameterNames(peer.createRequest)
  if (names.includes('...args')) continue
  test(`${api.name} v${version}: we read its request`, () => {
    const fixed = CONSTANTS[api.name] ?? {}
    const request = distinctMessage(api.request.fields, version, { bigints: true, fixed })
    const values: Values = { ...request, ...PARAMETERS[api.name]?.(request) }
    const bytes = peer.createRequest(...names.map(name => values[name])).buffer
    expect(differences(request, decodeRequest(api, version, bytes, 0))).toEqual([])
  })
}
