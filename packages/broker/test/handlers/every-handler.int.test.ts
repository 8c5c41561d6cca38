/** What holds for all handlers alike: every API, every version, and an engine that fails. */
import { LOG_ERRORS, LogError } from '@millrace/log'
import { APIS, ERROR_CODES } from '@millrace/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { KAFKA_CODE_OF } from '../../src/handlers/error-mapping.ts'
import { HANDLERS } from '../../src/handlers/handlers.ts'
import { type Harness, startHarness } from '../support/harness.ts'
import { REQUESTS } from '../support/requests.ts'

let harness: Harness

afterEach(() => harness.stop())

/** Errors that a good request may meet all the same. */
const EXPECTED: Readonly<Record<string, readonly number[]>> = {
  CreateAcls: [ERROR_CODES.SECURITY_DISABLED],
  DeleteAcls: [ERROR_CODES.SECURITY_DISABLED],
  DeleteGroups: [ERROR_CODES.GROUP_ID_NOT_FOUND],
  DescribeAcls: [ERROR_CODES.SECURITY_DISABLED],
  DescribeGroups: [ERROR_CODES.NONE, ERROR_CODES.GROUP_ID_NOT_FOUND],
  ElectLeaders: [ERROR_CODES.NONE, ERROR_CODES.ELECTION_NOT_NEEDED],
  DeleteTopics: [ERROR_CODES.NONE, ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION],
}

const everyVersion = [...APIS.values()].flatMap(api =>
  Array.from({ length: api.versions[1] - api.versions[0] + 1 }, (_, index) => ({
    api,
    name: api.name,
    version: api.versions[0] + index,
  })),
)

test('every API that is advertised has a handler, and none has one that is not', async () => {
  harness = await startHarness()
  expect([...HANDLERS.keys()].sort()).toEqual([...APIS.keys()].sort())
  for (const [key, handler] of HANDLERS) expect(handler.api).toBe(APIS.get(key))
})

test('every error of the log has the number that the protocol gives its name', async () => {
  harness = await startHarness()
  for (const name of Object.keys(LOG_ERRORS) as (keyof typeof LOG_ERRORS)[]) {
    if (name === 'LOG_CLOSED') continue
    expect(KAFKA_CODE_OF[name], name).toBe(ERROR_CODES[name])
  }
})

describe('in every version', () => {
  test('a good request is answered without an error', async () => {
    harness = await startHarness()
    harness.fake.addTopic('t')
    harness.fake.addTopic('other')
    const peer = await harness.connect()
    for (const { api, name, version } of everyVersion) {
      const response = await peer.call(api, version, REQUESTS[name] ?? {})
      const refused = name === 'Produce' && version < 3
      const allowed = refused ? [ERROR_CODES.UNSUPPORTED_VERSION] : (EXPECTED[name] ?? [0])
      for (const code of codesIn(response)) expect(allowed, `${name} v${version}`).toContain(code)
    }
    expect(harness.lines).toEqual([])
  })

  test('a log that fails is told by its code, and nothing is written to the log about it', async () => {
    harness = await startHarness()
    breakEngine(harness, () => new LogError('KAFKA_STORAGE_ERROR', 'the journal is fenced'))
    const peer = await harness.connect()
    for (const { api, name, version } of everyVersion) {
      if (UNBREAKABLE.has(name) || (name === 'Produce' && version < 3)) continue
      const response = await peer.call(api, version, REQUESTS[name] ?? {})
      expect(codesIn(response), `${name} v${version}`).toContain(ERROR_CODES.KAFKA_STORAGE_ERROR)
    }
    expect(harness.lines).toEqual([])
  })

  test('a fault of the program is told as UNKNOWN_SERVER_ERROR, without its text', async () => {
    harness = await startHarness()
    breakEngine(harness, () => new TypeError('a secret of the program'))
    const peer = await harness.connect()
    for (const { api, name, version } of everyVersion) {
      // The newest version of each: more would be more lines than the listener writes at once.
      if (version < api.versions[1]) continue
      if (UNBREAKABLE.has(name) || (name === 'Produce' && version < 3)) continue
      const response = await peer.call(api, version, REQUESTS[name] ?? {})
      expect(codesIn(response), `${name} v${version}`).toContain(-1)
      expect(JSON.stringify(response)).not.toContain('secret')
      expect(JSON.stringify(harness.lines.pop()), `${name} v${version}`).toContain('secret')
    }
  })
})

/** Those that ask the engine nothing that can fail. */
const UNBREAKABLE: ReadonlySet<string> = new Set([
  'AlterPartitionReassignments',
  'ApiVersions',
  'CreateAcls',
  'DeleteAcls',
  'DescribeAcls',
  'DescribeQuorum',
  'DescribeTopicPartitions',
  'ElectLeaders',
  'FindCoordinator',
  'ListConfigResources',
  'ListPartitionReassignments',
  'DescribeCluster',
  'Metadata',
])

/** Makes every method of the engine throw, once the topics are there. */
function breakEngine({ fake }: Harness, error: () => Error): void {
  fake.addTopic('t')
  fake.addTopic('other')
  const kept = new Set(['topic', 'topicById', 'allTopics', 'addTopic'])
  const broken = (): never => {
    throw error()
  }
  for (const key of Object.keys(fake)) {
    const holder = fake as unknown as Record<string, unknown>
    if (typeof holder[key] === 'function' && !kept.has(key)) holder[key] = broken
  }
  const groups = fake.groups as unknown as Record<string, unknown>
  for (const key of Object.keys(groups)) groups[key] = async () => broken()
}

/** All error codes of an answer, wherever they stand. */
function codesIn(value: unknown): number[] {
  if (Buffer.isBuffer(value) || typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap(codesIn)
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'errorCode' && typeof inner === 'number' ? [inner] : codesIn(inner),
  )
}
