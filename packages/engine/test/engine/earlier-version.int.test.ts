// Data folders that version 0.1 has written are opened with all that is in them.
//
// The fixture is what the last commit of 0.1 left behind, twice: as a kill leaves it, with groups that
// no checkpoint covers, and after a clean stop. Its topics: one in three partitions, a compacted one,
// one of the journal's tail alone, and one that was deleted.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type Outside, systemOutside } from '@millrace/base'
import {
  type CommittedOffset,
  decodeBatches,
  encodeBatch,
  type ProducerIdentity,
  type TopicPartition,
} from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { type Engine, nodeDisk, verifyFolder } from '../../src/index.ts'
import { fetchAt, open, store, temporaryFolder, valuesOf } from './support.ts'

type StoredRecord = readonly [
  offset: number,
  key: string | null,
  value: string,
  timestamp: number,
  headers: readonly (readonly [key: string, value: string])[],
]

/** Paths and their bytes, in base 64. */
type Files = Readonly<Record<string, string>>

type Fixture = {
  readonly version: string
  /** When it was written, ms since the epoch: what is kept for a time was fresh then. */
  readonly writtenAt: number
  readonly killed: Files
  readonly stopped: Files
  readonly expected: {
    readonly logId: string
    readonly topics: readonly { name: string; topicId: string; partitions: number }[]
    /** Those that are not defaults. */
    readonly configs: Readonly<Record<string, Readonly<Record<string, string>>>>
    readonly offsets: readonly (TopicPartition & CommittedOffset)[]
    readonly producer: ProducerIdentity
    /** By topic and partition, `orders-0`. */
    readonly records: Readonly<Record<string, readonly StoredRecord[]>>
  }
}

const ARCHIVE = new URL('../fixtures/data-folder-0.1.json.gz', import.meta.url)
const fixture = JSON.parse(gunzipSync(readFileSync(ARCHIVE)).toString()) as Fixture
const { expected } = fixture

/** The group whose offsets are committed. */
const GROUP = 'readers'

/** The real surroundings at the time at which the folder was written. */
function outsideOfThen(): Outside {
  const late = Date.now() - fixture.writtenAt
  const { clock, ...others } = systemOutside({ keepAlive: false })
  return {
    ...others,
    clock: { now: () => Date.now() - late, monotonic: () => clock.monotonic() },
  }
}

function unpacked(files: Files): string {
  const folder = temporaryFolder()
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), Buffer.from(bytes, 'base64'))
  }
  return folder
}

async function recordsOf(engine: Engine, topic: string, partition: number) {
  const records: StoredRecord[] = []
  for (let offset = 0; ; ) {
    const result = await fetchAt(engine, topic, offset, partition)
    if (result.error !== undefined) throw result.error
    if (result.records.length === 0) return records
    for (const batch of decodeBatches(result.records)) {
      for (const { offset: at, key, value, timestamp, headers } of batch.records()) {
        const said = [...headers].map(header => [header.key, String(header.value)] as const)
        records.push([at, key && String(key), String(value), Number(timestamp), said])
      }
      offset = batch.lastOffset + 1
    }
  }
}

/** What was set of a topic's configuration. */
async function configOf(engine: Engine, topic: string): Promise<Record<string, string | null>> {
  const entries = await engine.describeConfig(topic)
  const set = entries.filter(({ source }) => source !== 'default')
  return Object.fromEntries(set.map(({ name, value }) => [name, value]))
}

async function expectAll(engine: Engine): Promise<void> {
  expect(engine.health()).toMatchObject({ state: 'ready', partitions: [] })
  expect(engine.id).toBe(expected.logId)
  const topics = (await engine.describeTopics()).filter(({ internal }) => !internal)
  expect(
    topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.length,
    })),
  ).toEqual(expected.topics)
  for (const { name, partitions } of expected.topics) {
    expect(await configOf(engine, name)).toEqual(expected.configs[name])
    for (let partition = 0; partition < partitions; partition += 1) {
      expect(await recordsOf(engine, name, partition)).toEqual(
        expected.records[`${name}-${partition}`],
      )
    }
  }
  const offsets = await engine.groups.fetchOffsets(GROUP)
  const byPartition = (a: TopicPartition, b: TopicPartition): number => a.partition - b.partition
  expect([...offsets].sort(byPartition)).toEqual([...expected.offsets].sort(byPartition))
}

describe.each(['killed', 'stopped'] as const)('a folder of version 0.1, %s,', how => {
  test('is whole to the verification', async () => {
    const { findings } = await verifyFolder(nodeDisk(unpacked(fixture[how])))
    expect(findings.filter(({ severity }) => severity === 'damage')).toEqual([])
  })

  test('is opened with every record, offset and configuration', async () => {
    const engine = await open({ folder: unpacked(fixture[how]), outside: outsideOfThen() })
    // Only a kill leaves groups that no checkpoint covers: else half of this would test nothing.
    const recovered = engine.metrics()['recovered_groups'] ?? 0
    if (how === 'killed') expect(recovered).toBeGreaterThan(10)
    else expect(recovered).toBe(0)
    await expectAll(engine)
  })

  test('goes on: records follow, a repeated batch gets its first answer, and all stays', async () => {
    const folder = unpacked(fixture[how])
    const first = await open({ folder, outside: outsideOfThen() })
    const { producer, records } = expected
    const again = encodeBatch({
      records: [{ key: 'p', value: 'idempotent 3' }],
      producer,
      baseSequence: 3,
    })
    const repeated = records['orders-0']?.find(([, , value]) => value === 'idempotent 3')?.[0]
    const [answer] = await first.append([{ topic: 'orders', partition: 0, batch: again }])
    expect(answer).toMatchObject({ baseOffset: repeated })
    await expectAll(first)
    // By the clock of then: a record of today would lie in the future.
    const next = { partition: 1, timestamp: fixture.writtenAt }
    expect(await store(first, 'orders', ['of today'], next)).toBe(records['orders-1']?.length)
    await first.close()
    const second = await open({ folder, outside: outsideOfThen() })
    const values = (records['orders-1'] ?? []).map(([, , value]) => value)
    expect(await valuesOf(second, 'orders', 1)).toEqual([...values, 'of today'])
    expect(await recordsOf(second, 'orders', 0)).toEqual(records['orders-0'])
    expect(await recordsOf(second, 'state', 0)).toEqual(records['state-0'])
  })
})
