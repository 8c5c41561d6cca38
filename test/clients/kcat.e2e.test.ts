// kcat (librdkafka) as Debian ships it, against a node: metadata, produce with every codec, consume
// by offset, partition, time and group.
import { describe, expect, it } from 'vitest'
import { runWell } from '../../scripts/peers/command.ts'
import { fetchKcat } from '../../scripts/peers/kcat.ts'
import { uniqueName, useBroker } from '../support/broker.ts'
import { usePeer } from '../support/peers.ts'
import { createTopic } from '../support/topics.ts'

usePeer(await fetchKcat())
const broker = useBroker()

const kcat = async (args: readonly string[], input = ''): Promise<string> => {
  const { stdout } = await runWell('kcat', ['-b', broker.bootstrap, ...args], {
    input,
    timeoutMs: 60_000,
  })
  return stdout
}

const linesOf = (text: string): string[] => text.split('\n').filter(line => line !== '')

const numbered = (count: number, from = 0): string[] =>
  Array.from(
    { length: count },
    (_, i) => `key-${(from + i) % 7}|value ${from + i} ${'x'.repeat(100)}`,
  )

const produce = (topic: string, lines: readonly string[], ...args: string[]): Promise<string> =>
  kcat(['-P', '-t', topic, '-K', '|', ...args], `${lines.join('\n')}\n`)

/** Everything in a topic, as the lines that were produced. */
const readAll = async (topic: string, ...args: string[]): Promise<string[]> =>
  linesOf(await kcat(['-C', '-t', topic, '-e', '-q', '-f', '%k|%s\n', ...args]))

describe('kcat', () => {
  it('lists the topics and partitions that exist', async () => {
    const topic = await createTopic(broker.bootstrap, uniqueName('kcat-list'), 3)
    const listing = JSON.parse(await kcat(['-L', '-J'])) as {
      brokers: { name: string }[]
      topics: { topic: string; partitions: { partition: number; leader: number }[] }[]
    }
    expect(listing.brokers.map(each => each.name)).toEqual([broker.bootstrap])
    const found = listing.topics.find(each => each.topic === topic)
    expect(found?.partitions.map(each => each.partition).sort()).toEqual([0, 1, 2])
    expect(new Set(found?.partitions.map(each => each.leader)).size).toBe(1)
  })

  it('creates a topic by producing to it', async () => {
    const topic = uniqueName('kcat-auto')
    await produce(topic, ['k|first'])
    expect(await readAll(topic)).toEqual(['k|first'])
  })

  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    it(`reads back what it wrote with compression ${codec}, in order per key`, async () => {
      const topic = await createTopic(broker.bootstrap, uniqueName(`kcat-${codec}`), 4)
      const lines = numbered(2000)
      await produce(topic, lines, '-z', codec)
      const back = await readAll(topic)
      expect([...back].sort()).toEqual([...lines].sort())
      for (let key = 0; key < 7; key++) {
        const mine = (line: string): boolean => line.startsWith(`key-${key}|`)
        expect(back.filter(mine)).toEqual(lines.filter(mine))
      }
    })
  }

  it('writes as an idempotent producer', async () => {
    const topic = await createTopic(broker.bootstrap, uniqueName('kcat-idempotent'), 2)
    const lines = numbered(3000)
    await produce(topic, lines, '-X', 'enable.idempotence=true', '-X', 'batch.num.messages=50')
    expect((await readAll(topic)).sort()).toEqual([...lines].sort())
  })

  for (const acks of ['0', '1', 'all']) {
    it(`stores what it writes with acks=${acks}`, async () => {
      const topic = await createTopic(broker.bootstrap, uniqueName('kcat-acks'), 1)
      const lines = numbered(300)
      await produce(topic, lines, '-X', `acks=${acks}`)
      // With acks=0 nobody waits for the write, so the reader waits for the records instead.
      const back = linesOf(
        await kcat(['-C', '-t', topic, '-c', '300', '-q', '-o', 'beginning', '-f', '%k|%s\n']),
      )
      expect(back).toEqual(lines)
    })
  }

  it('keeps headers, empty values and tombstones apart', async () => {
    const topic = await createTopic(broker.bootstrap, uniqueName('kcat-headers'), 1)
    await produce(topic, ['a|with headers'], '-H', 'trace=42', '-H', 'empty=')
    await kcat(['-P', '-t', topic, '-K', '|', '-Z'], 'b|\n')
    await produce(topic, ['c|'])
    const records = linesOf(await kcat(['-C', '-t', topic, '-e', '-q', '-J'])).map(
      line =>
        JSON.parse(line) as { key: string; payload: string | null; headers?: string[]; ts: number },
    )
    expect(records.map(each => [each.key, each.payload])).toEqual([
      ['a', 'with headers'],
      ['b', null],
      ['c', ''],
    ])
    expect(records[0]?.headers).toEqual(['trace', '42', 'empty', ''])
    expect(Math.abs((records[0]?.ts ?? 0) - Date.now())).toBeLessThan(60_000)
  })

  it('reads from an offset, the end, a number before the end, and a time', async () => {
    const topic = await createTopic(broker.bootstrap, uniqueName('kcat-offset'), 1)
    await produce(topic, numbered(10), '-X', 'batch.num.messages=3')
    await new Promise(done => setTimeout(done, 50))
    const middle = Date.now()
    await new Promise(done => setTimeout(done, 50))
    await produce(topic, numbered(10, 10))
    const read = async (...args: string[]): Promise<string[]> =>
      linesOf(await kcat(['-C', '-t', topic, '-p', '0', '-e', '-q', '-f', '%o\n', ...args]))
    const offsets = (from: number, to: number): string[] =>
      Array.from({ length: to - from }, (_, i) => String(from + i))
    expect(await read('-o', 'beginning')).toEqual(offsets(0, 20))
    expect(await read('-o', '13')).toEqual(offsets(13, 20))
    expect(await read('-o', '4', '-c', '3')).toEqual(offsets(4, 7))
    expect(await read('-o', '-5')).toEqual(offsets(15, 20))
    expect(await read('-o', 'end')).toEqual([])
    expect(await read('-o', `s@${middle}`)).toEqual(offsets(10, 20))
    expect(await read('-o', `s@0`, '-o', `e@${middle}`)).toEqual(offsets(0, 10))
  })

  it('reads one partition only, and the partition that it wrote to', async () => {
    const topic = await createTopic(broker.bootstrap, uniqueName('kcat-partition'), 3)
    for (const partition of ['0', '1', '2']) {
      await kcat(['-P', '-t', topic, '-p', partition], `only ${partition}\n`)
    }
    for (const partition of ['0', '1', '2']) {
      const read = await kcat(['-C', '-t', topic, '-p', partition, '-e', '-q', '-f', '%p %o %s\n'])
      expect(read).toBe(`${partition} 0 only ${partition}\n`)
    }
  })

  it('finds offsets by time', async () => {
    const topic = await createTopic(broker.bootstrap, uniqueName('kcat-query'), 1)
    await produce(topic, numbered(5))
    expect(await kcat(['-Q', '-t', `${topic}:0:-1`])).toContain(`${topic} [0] offset 5`)
    expect(await kcat(['-Q', '-t', `${topic}:0:-2`])).toContain(`${topic} [0] offset 0`)
    expect(await kcat(['-Q', '-t', `${topic}:0:1`])).toContain(`${topic} [0] offset 0`)
  })

  it('goes on in a group where the last member stopped', async () => {
    const topic = await createTopic(broker.bootstrap, uniqueName('kcat-group'), 4)
    const group = uniqueName('group')
    const readAsGroup = async (): Promise<string[]> =>
      linesOf(
        await kcat([
          ...['-G', group, '-e', '-q', '-f', '%k|%s\n'],
          ...['-X', 'auto.offset.reset=earliest', topic],
        ]),
      )
    const first = numbered(200)
    await produce(topic, first)
    expect((await readAsGroup()).sort()).toEqual([...first].sort())
    const second = numbered(100, 200)
    await produce(topic, second)
    expect((await readAsGroup()).sort()).toEqual([...second].sort())
    expect(await readAsGroup()).toEqual([])
  })

  it('reads records that are larger than a fetch', async () => {
    const topic = await createTopic(broker.bootstrap, uniqueName('kcat-large'), 1)
    const value = 'v'.repeat(900_000)
    await kcat(['-P', '-t', topic, '-D', '\t'], `${value}\t${value}`)
    const limits = ['-X', 'fetch.message.max.bytes=1000', '-X', 'fetch.max.bytes=1000000']
    const read = await kcat(['-C', '-t', topic, '-e', '-q', '-f', '%S\n', ...limits])
    expect(linesOf(read)).toEqual(['900000', '900000'])
  })
})
