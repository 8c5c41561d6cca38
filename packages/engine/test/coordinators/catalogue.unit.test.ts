// The catalogue: what it decides, and that replaying its records gives the same catalogue.
import { LogError } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { Catalogue, type CatalogueEvents } from '../../src/coordinators/catalogue/catalogue.ts'
import type { MachineRecord } from '../../src/machines/machine.ts'

/** A catalogue, what it told, and every record that was replayed. */
class CatalogueBench implements CatalogueEvents {
  readonly told: string[] = []
  readonly records: MachineRecord[] = []
  readonly catalogue: Catalogue

  constructor(limits: Partial<{ topicsMax: number; partitionsMax: number }> = {}) {
    this.catalogue = new Catalogue(this, {
      topicsMax: 100,
      partitionsMax: 1000,
      internalTopics: ['__catalogue', '__consumer_offsets'],
      ...limits,
    })
  }

  topicConfigured({ name }: { name: string }): void {
    this.told.push(`configured ${name}`)
  }
  partitionAdded({ name }: { name: string }, partition: number, id: number): void {
    this.told.push(`added ${name}-${partition} as ${id}`)
  }
  topicDeleted({ name }: { name: string }): void {
    this.told.push(`deleted ${name}`)
  }
  logStartMoved(id: number, offset: number): void {
    this.told.push(`start ${id} at ${offset}`)
  }

  apply(records: readonly MachineRecord[]): void {
    for (const record of records) {
      this.records.push(record)
      this.catalogue.replay(record)
    }
  }

  create(name: string, partitions = 1, configs: Record<string, string> = {}): void {
    this.apply(this.catalogue.decideCreate({ name, topicId: `id-${name}`, partitions, configs }))
  }

  ids(name: string): readonly number[] {
    return this.catalogue.topics.get(name)?.partitionIds ?? []
  }

  producerId(): number {
    const { records, producerId } = this.catalogue.decideProducerId()
    this.catalogue.takeProducerId(producerId)
    this.apply(records)
    return producerId
  }
}

const recordsIn = (catalogue: Catalogue): readonly MachineRecord[] => [
  ...catalogue.snapshot().records(),
]

const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (cause) {
    return cause instanceof LogError ? cause.code : String(cause)
  }
  return 'none'
}

const stateOf = ({ catalogue }: CatalogueBench) => ({
  topics: [...catalogue.topics.values()],
  starts: [...catalogue.logStarts],
})

describe('the catalogue', () => {
  test.each(['a', 'A-b_c.9', '__mine', '...', 'x'.repeat(249)])('takes the name %s', name => {
    expect(codeOf(() => new CatalogueBench().create(name))).toBe('none')
  })

  test.each(['', '.', '..', 'a b', 'ä', 'a/b', 'a\n', 'x'.repeat(250)])(
    'refuses the name %j',
    name => {
      expect(codeOf(() => new CatalogueBench().create(name))).toBe('INVALID_TOPIC_EXCEPTION')
    },
  )

  test('refuses a name that exists, and those of its own topics', () => {
    const bench = new CatalogueBench()
    bench.create('orders')
    for (const name of ['orders', '__catalogue', '__consumer_offsets']) {
      expect(codeOf(() => bench.create(name))).toBe('TOPIC_ALREADY_EXISTS')
    }
  })

  test('refuses names that differ only in "." and "_", also those of its own topics', () => {
    const bench = new CatalogueBench()
    bench.create('a.b')
    expect(codeOf(() => bench.create('a_b'))).toBe('INVALID_TOPIC_EXCEPTION')
    bench.create('c_d')
    expect(codeOf(() => bench.create('c.d'))).toBe('INVALID_TOPIC_EXCEPTION')
    expect(codeOf(() => bench.create('ab'))).toBe('none')
    expect(codeOf(() => bench.create('__consumer.offsets'))).toBe('INVALID_TOPIC_EXCEPTION')
  })

  test('takes topics.max topics and not one more; a deleted one makes room', () => {
    const bench = new CatalogueBench({ topicsMax: 2 })
    bench.create('a')
    bench.create('b')
    expect(codeOf(() => bench.create('c'))).toBe('THROTTLING_QUOTA_EXCEEDED')
    bench.apply(bench.catalogue.decideDelete('a'))
    expect(codeOf(() => bench.create('c'))).toBe('none')
  })

  test('takes partitions.max partitions over all topics and not one more', () => {
    const bench = new CatalogueBench({ partitionsMax: 10 })
    bench.create('a', 6)
    expect(codeOf(() => bench.create('b', 5))).toBe('INVALID_PARTITIONS')
    bench.create('b', 4)
    expect(codeOf(() => bench.create('c', 1))).toBe('INVALID_PARTITIONS')
    expect(codeOf(() => bench.catalogue.decideAddPartitions('b', 5))).toBe('INVALID_PARTITIONS')
    bench.apply(bench.catalogue.decideDelete('a'))
    expect(codeOf(() => bench.catalogue.decideAddPartitions('b', 10))).toBe('none')
    expect(codeOf(() => bench.catalogue.decideAddPartitions('b', 11))).toBe('INVALID_PARTITIONS')
  })

  test.each([0, -2, 1.5, Number.NaN])('refuses %d partitions', count => {
    expect(codeOf(() => new CatalogueBench().create('a', count))).toBe('INVALID_PARTITIONS')
  })

  test('adds partitions, never takes one away, and keeps the ids of those that exist', () => {
    const bench = new CatalogueBench()
    bench.create('a', 2)
    const before = bench.ids('a')
    for (const count of [2, 1, 0]) {
      expect(codeOf(() => bench.catalogue.decideAddPartitions('a', count))).toBe(
        'INVALID_PARTITIONS',
      )
    }
    bench.apply(bench.catalogue.decideAddPartitions('a', 4))
    expect(bench.ids('a').slice(0, 2)).toEqual(before)
    expect(new Set(bench.ids('a')).size).toBe(4)
  })

  test('never uses a partition id again, also after deletion, restart and snapshot', () => {
    let bench = new CatalogueBench()
    const seen: number[] = []
    for (let round = 0; round < 6; round += 1) {
      bench.create('a', 3)
      bench.apply(bench.catalogue.decideAddPartitions('a', 5))
      seen.push(...bench.ids('a'))
      bench.apply(bench.catalogue.decideDelete('a'))
      const next = new CatalogueBench()
      next.apply(round % 2 === 0 ? recordsIn(bench.catalogue) : bench.records)
      next.catalogue.start()
      bench = next
    }
    expect(new Set(seen).size).toBe(seen.length)
  })

  test('decides without changing anything', () => {
    const bench = new CatalogueBench()
    bench.create('a')
    const before = JSON.stringify(stateOf(bench))
    bench.catalogue.decideCreate({ name: 'b', topicId: 'x', partitions: 3, configs: {} })
    bench.catalogue.decideAddPartitions('a', 9)
    bench.catalogue.decideDelete('a')
    bench.catalogue.decideConfigs('a', { 'retention.ms': '1' })
    bench.catalogue.decideProducerId()
    expect(JSON.stringify(stateOf(bench))).toBe(before)
  })

  test('tells of every partition, configuration and deletion once', () => {
    const bench = new CatalogueBench()
    bench.create('a', 2)
    const [first, second] = bench.ids('a')
    bench.apply(bench.catalogue.decideConfigs('a', { 'retention.ms': '5' }))
    bench.apply(bench.catalogue.decideLogStarts(new Map([[first ?? 0, 7]])))
    bench.apply(bench.catalogue.decideDelete('a'))
    expect(bench.told).toEqual([
      `added a-0 as ${first}`,
      `added a-1 as ${second}`,
      'configured a',
      `start ${first} at 7`,
      'deleted a',
    ])
    expect(bench.catalogue.logStarts.size).toBe(0)
  })

  test('refuses to change what does not exist', () => {
    const { catalogue } = new CatalogueBench()
    for (const work of [
      () => catalogue.decideDelete('a'),
      () => catalogue.decideConfigs('a', {}),
      () => catalogue.decideAddPartitions('a', 2),
    ]) {
      expect(codeOf(work)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    }
  })

  test('gives no producer id twice, over blocks and restarts, whatever reached the disk', () => {
    let bench = new CatalogueBench()
    const seen: number[] = []
    for (let run = 0; run < 5; run += 1) {
      for (let i = 0; i < 700; i += 1) seen.push(bench.producerId())
      const next = new CatalogueBench()
      next.apply(run % 2 === 0 ? bench.records : recordsIn(bench.catalogue))
      next.catalogue.start()
      bench = next
    }
    expect(new Set(seen).size).toBe(3500)
  })

  test('is the same after its records, and after its snapshot', () => {
    const bench = new CatalogueBench()
    bench.create('a', 3, { 'retention.ms': '9' })
    bench.create('b')
    bench.apply(bench.catalogue.decideConfigs('b', { 'segment.bytes': '4096' }))
    bench.apply(bench.catalogue.decideAddPartitions('a', 4))
    bench.apply(bench.catalogue.decideLogStarts(new Map([[bench.ids('a')[1] ?? 0, 40]])))
    bench.create('gone', 2)
    bench.apply(bench.catalogue.decideDelete('gone'))
    bench.producerId()
    const replayed = new CatalogueBench()
    replayed.apply(bench.records)
    const restored = new CatalogueBench()
    restored.apply(recordsIn(bench.catalogue))
    expect(stateOf(replayed)).toEqual(stateOf(bench))
    expect(stateOf(restored)).toEqual(stateOf(bench))
    const text = ({ catalogue }: CatalogueBench) =>
      recordsIn(catalogue).map(({ key, value }) => `${key} ${value}`)
    expect(text(restored)).toEqual(text(bench))
  })

  test('passes over records of kinds that it does not know', () => {
    const bench = new CatalogueBench()
    for (const key of ['future:thing', 'ids2', '', ':']) {
      bench.catalogue.replay({ key: Buffer.from(key), value: Buffer.from('{}') })
    }
    bench.catalogue.replay({ key: Buffer.from('topic:unknown'), value: null })
    expect(stateOf(bench)).toEqual({ topics: [], starts: [] })
  })
})
