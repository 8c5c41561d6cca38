// The Java client and Kafka's own command-line tools (4.3.1) against a node. Each command is a JVM
// of its own, so a test asks for as much as one command can tell.
import { describe, expect, it } from 'vitest'
import {
  fetchApacheKafka,
  runTool,
  startTool,
  type Tool,
} from '../../scripts/peers/apache-kafka.ts'
import { uniqueName, useBroker } from '../support/broker.ts'
import { usePeer } from '../support/peers.ts'
import { createTopic, withAdmin } from '../support/topics.ts'
import { until } from '../support/wait.ts'

usePeer(await fetchApacheKafka())
const broker = useBroker()

const tool = async (name: Tool, args: readonly string[], input = ''): Promise<string> => {
  const finished = await runTool(name, ['--bootstrap-server', broker.bootstrap, ...args], {
    input,
    timeoutMs: 60_000,
  })
  if (finished.code === 0) return finished.stdout
  throw new Error(`${name} ended with ${finished.code}:\n${finished.stdout}\n${finished.stderr}`)
}

const refused = async (name: Tool, args: readonly string[]): Promise<string> => {
  const finished = await runTool(name, ['--bootstrap-server', broker.bootstrap, ...args])
  expect(finished.code).not.toBe(0)
  return finished.stdout + finished.stderr
}

const newTopic = (partitions: number): Promise<string> =>
  createTopic(broker.bootstrap, uniqueName('java'), partitions)

const linesOf = (text: string): string[] => text.split('\n').filter(line => line !== '')

const numbered = (count: number, from = 0): string[] =>
  Array.from(
    { length: count },
    (_, i) => `key-${(from + i) % 7}\tvalue ${from + i} ${'x'.repeat(100)}`,
  )

const produce = (topic: string, lines: readonly string[], ...args: string[]): Promise<string> =>
  tool(
    'kafka-console-producer',
    ['--topic', topic, '--reader-property', 'parse.key=true', ...args],
    `${lines.join('\n')}\n`,
  )

const consume = async (topic: string, count: number, ...args: string[]): Promise<string[]> =>
  linesOf(
    await tool('kafka-console-consumer', [
      ...['--topic', topic, '--max-messages', String(count), '--timeout-ms', '30000'],
      ...['--formatter-property', 'print.key=true', ...args],
    ]),
  )

/** The rows of a command's table, as objects by the words of its heading. */
const table = (text: string): Record<string, string>[] => {
  const rows = linesOf(text).map(line => line.trim().split(/\s+/))
  const at = rows.findIndex(row => row[0] === 'GROUP')
  const heads = rows[at] ?? []
  return rows
    .slice(at + 1)
    .map(row => Object.fromEntries(heads.map((head, i) => [head, row[i] ?? ''])))
}

describe('Kafka console producer and consumer', () => {
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    it(`read back what they wrote with compression ${codec}, in order per key`, async () => {
      const topic = await newTopic(3)
      const lines = numbered(1000)
      await produce(topic, lines, '--compression-codec', codec)
      const back = await consume(topic, 1000, '--from-beginning')
      expect([...back].sort()).toEqual([...lines].sort())
      const ofKey = (list: readonly string[]): string[] =>
        list.filter(line => line.startsWith('key-3\t'))
      expect(ofKey(back)).toEqual(ofKey(lines))
    })
  }

  it('go on in a group where the last member stopped', async () => {
    const topic = await newTopic(2)
    const group = ['--group', uniqueName('group')]
    const first = numbered(50)
    await produce(topic, first)
    expect((await consume(topic, 50, '--from-beginning', ...group)).sort()).toEqual(
      [...first].sort(),
    )
    const second = numbered(30, 50)
    await produce(topic, second)
    expect((await consume(topic, 30, ...group)).sort()).toEqual([...second].sort())
  })

  it('read one partition from an offset, with headers and time', async () => {
    const topic = await newTopic(1)
    await tool(
      'kafka-console-producer',
      [
        ...['--topic', topic, '--reader-property', 'parse.key=true'],
        ...['--reader-property', 'parse.headers=true'],
      ],
      'trace:42,b:2\tk\tone\nc:3\tk\ttwo\n',
    )
    const back = await consume(
      topic,
      1,
      ...['--partition', '0', '--offset', '1'],
      ...['--formatter-property', 'print.headers=true'],
      ...['--formatter-property', 'print.offset=true'],
      ...['--formatter-property', 'print.timestamp=true'],
    )
    expect(back[0]).toMatch(/^CreateTime:\d{13}\tOffset:1\tc:3\tk\ttwo$/)
  })

  it('stop short of what an idempotent producer would write twice', async () => {
    // The Java producer is idempotent unless told otherwise; small batches make many sequences.
    const topic = await newTopic(1)
    const lines = numbered(2000)
    await produce(topic, lines, '--command-property', 'batch.size=500')
    expect(await consume(topic, 2000, '--from-beginning')).toEqual(lines)
    const offsets = await tool('kafka-get-offsets', ['--topic', topic])
    expect(linesOf(offsets)).toEqual([`${topic}:0:2000`])
  })
})

describe("Kafka's command-line tools", () => {
  it('create, list, describe, extend and delete topics', async () => {
    const topic = uniqueName('java-topics')
    const settings = ['--config', 'retention.ms=3600000', '--partitions', '3']
    await tool('kafka-topics', ['--create', '--topic', topic, ...settings])
    expect(linesOf(await tool('kafka-topics', ['--list']))).toContain(topic)
    await tool('kafka-topics', ['--alter', '--topic', topic, '--partitions', '5'])
    const described = await tool('kafka-topics', ['--describe', '--topic', topic])
    expect(described).toMatch(/TopicId: [\w-]{22}/)
    expect(described).toContain('PartitionCount: 5')
    expect(described).toContain('retention.ms=3600000')
    expect(described.match(/Leader: \d+/g)?.length).toBe(5)
    expect(
      await refused('kafka-topics', ['--create', '--topic', topic, '--partitions', '1']),
    ).toContain('TopicExistsException')
    await tool('kafka-topics', ['--delete', '--topic', topic])
    expect(linesOf(await tool('kafka-topics', ['--list']))).not.toContain(topic)
  })

  it('describe and change configurations', async () => {
    const topic = await newTopic(1)
    const about = ['--entity-type', 'topics', '--entity-name', topic]
    await tool('kafka-configs', [
      ...['--alter', ...about],
      ...['--add-config', 'retention.bytes=1048576,segment.bytes=16777216'],
    ])
    const changed = await tool('kafka-configs', ['--describe', ...about])
    expect(changed).toContain('retention.bytes=1048576')
    expect(changed).toContain('segment.bytes=16777216')
    await tool('kafka-configs', ['--alter', ...about, '--delete-config', 'retention.bytes'])
    const after = await tool('kafka-configs', ['--describe', ...about])
    expect(after).not.toContain('retention.bytes')
    expect(after).toContain('segment.bytes=16777216')
    const all = await tool('kafka-configs', ['--describe', '--all', ...about])
    expect(all).toContain('cleanup.policy=delete')
    expect(
      await refused('kafka-configs', ['--alter', ...about, '--add-config', 'retention.ms=soon']),
    ).toMatch(/Invalid value soon|InvalidConfigurationException/)
  })

  it('list, describe, reset and delete groups', async () => {
    const topic = await newTopic(2)
    const group = uniqueName('java-group')
    await produce(topic, numbered(100))
    const consumer = startTool('kafka-console-consumer', [
      ...['--bootstrap-server', broker.bootstrap, '--topic', topic, '--group', group],
      ...['--from-beginning', '--consumer-property', 'auto.commit.interval.ms=200'],
    ])
    try {
      const groups = (...args: string[]): Promise<string> => tool('kafka-consumer-groups', args)
      await until('the group has committed all', () =>
        withAdmin(broker.bootstrap, async admin => {
          const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
          const sum = found?.partitions.reduce((all, each) => all + Number(each.offset), 0)
          return sum === 100
        }),
      )
      expect(linesOf(await groups('--list'))).toContain(group)
      const live = table(await groups('--describe', '--group', group))
      expect(live.map(row => [row['TOPIC'], row['LAG']])).toEqual([
        [topic, '0'],
        [topic, '0'],
      ])
      expect(new Set(live.map(row => row['CONSUMER-ID'])).size).toBe(1)
      expect(live[0]?.['HOST']).toBe('/127.0.0.1')
      const state = table(await groups('--describe', '--group', group, '--state'))
      expect(JSON.stringify(state)).toContain('Stable')
      const members = table(await groups('--describe', '--group', group, '--members'))
      expect(members.length).toBe(1)

      await consumer.stop('SIGTERM')
      const reset = ['--reset-offsets', '--group', group, '--topic', topic]
      const dry = await groups(...reset, '--to-earliest', '--dry-run')
      expect(table(dry).map(row => row['NEW-OFFSET'])).toEqual(['0', '0'])
      const kept = table(await groups('--describe', '--group', group))
      expect(kept.reduce((sum, row) => sum + Number(row['CURRENT-OFFSET']), 0)).toBe(100)
      await groups(...reset, '--shift-by', '-5', '--execute')
      const shifted = table(await groups('--describe', '--group', group))
      expect(shifted.map(row => row['LAG'])).toEqual(['5', '5'])
      await groups(...reset, '--to-datetime', '2020-01-01T00:00:00.000', '--execute')
      const restarted = table(await groups('--describe', '--group', group))
      expect(restarted.map(row => row['CURRENT-OFFSET'])).toEqual(['0', '0'])

      await groups('--delete-offsets', '--group', group, '--topic', `${topic}:1`)
      const one = table(await groups('--describe', '--group', group))
      expect(one.map(row => row['PARTITION'])).toEqual(['0'])
      await groups('--delete', '--group', group)
      expect(linesOf(await groups('--list'))).not.toContain(group)
    } finally {
      await consumer.stop('SIGKILL')
    }
  })

  it('find offsets by place and by time', async () => {
    const topic = await newTopic(2)
    await produce(topic, numbered(70))
    const offsets = async (time: string): Promise<number[]> => {
      const text = await tool('kafka-get-offsets', ['--topic', topic, '--time', time])
      return linesOf(text).map(line => Number(line.split(':')[2]))
    }
    const latest = await offsets('latest')
    expect(latest.reduce((sum, n) => sum + n, 0)).toBe(70)
    expect(await offsets('earliest')).toEqual([0, 0])
    expect(await offsets('1000')).toEqual([0, 0])
    for (const [i, offset] of (await offsets('max-timestamp')).entries()) {
      expect(offset).toBeGreaterThanOrEqual(0)
      expect(offset).toBeLessThan(latest[i] ?? 0)
    }
  })

  it('delete records below an offset', async () => {
    const topic = await newTopic(1)
    await produce(topic, numbered(20))
    const { mkdtemp, rm, writeFile } = await import('node:fs/promises')
    const { tmpdir } = await import('node:os')
    const { join } = await import('node:path')
    const folder = await mkdtemp(join(tmpdir(), 'millrace-java-'))
    try {
      const file = join(folder, 'offsets.json')
      const partitions = [{ topic, partition: 0, offset: 15 }]
      await writeFile(file, JSON.stringify({ version: 1, partitions }))
      const text = await tool('kafka-delete-records', ['--offset-json-file', file])
      expect(text).toContain('low_watermark: 15')
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
    expect(await consume(topic, 5, '--from-beginning')).toEqual(numbered(20).slice(15))
  })

  it('describe log directories', async () => {
    const topic = await newTopic(2)
    await produce(topic, numbered(10))
    const text = await tool('kafka-log-dirs', ['--describe', '--topic-list', topic])
    const found = JSON.parse(linesOf(text).find(line => line.startsWith('{')) ?? '{}') as {
      brokers: {
        logDirs: { error: string | null; partitions: { partition: string; size: number }[] }[]
      }[]
    }
    const partitions = found.brokers.flatMap(each => each.logDirs.flatMap(dir => dir.partitions))
    expect(partitions.map(each => each.partition).sort()).toEqual([`${topic}-0`, `${topic}-1`])
    expect(partitions.reduce((sum, each) => sum + each.size, 0)).toBeGreaterThan(500)
  })

  it('see the versions that the node speaks', async () => {
    const text = await tool('kafka-broker-api-versions', [])
    for (const name of ['Produce(0)', 'Fetch(1)', 'JoinGroup(11)', 'ApiVersions(18)']) {
      expect(text).toContain(`${name}: `)
      expect(text).not.toContain(`${name}: UNSUPPORTED`)
    }
  })
})
