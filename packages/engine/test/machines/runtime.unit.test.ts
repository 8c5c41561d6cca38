// Commits of machines: whole or not at all, in one group, refused before anything has changed.
import { decodeBatches } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import {
  copiedSnapshot,
  type InternalPartition,
  type Machine,
  type MachineRecord,
} from '../../src/machines/machine.ts'
import { MachineRegistry } from '../../src/machines/registry.ts'
import { type CommitPort, CommitRefused, MachineRuntime } from '../../src/machines/runtime.ts'

const partitionOf = (id: number): InternalPartition => ({
  id,
  topic: `__${id}`,
  topicId: `${id}`,
  partition: 0,
})

class Echo implements Machine {
  readonly name: string
  readonly partition: InternalPartition
  readonly replayed: string[] = []
  readonly #prefix: string

  constructor(name: string, partition: InternalPartition, prefix = '') {
    this.name = name
    this.partition = partition
    this.#prefix = prefix
  }

  owns(key: Buffer): boolean {
    return key.toString().startsWith(this.#prefix)
  }
  replay({ key }: MachineRecord): void {
    this.replayed.push(key.toString())
  }
  snapshot() {
    return copiedSnapshot(this.replayed.map(record))
  }
  restore(records: Iterable<MachineRecord>): void {
    for (const one of records) this.replay(one)
  }
}

const record = (key: string): MachineRecord => ({ key: Buffer.from(key), value: Buffer.alloc(10) })

class Port implements CommitPort {
  fencedBy: string | undefined
  completedGroup = 0
  openGroup = 1
  groupBytes = 1000
  groupBytesMax = 1000
  openBytes = 0
  readonly entered: { group: number; partitionId: number; records: number; bytes: number }[] = []
  #waiting: { group: number; resolve: () => void }[] = []

  now(): number {
    return 1
  }
  fitsGroup(_batches: number, bytes: number): boolean {
    return bytes <= this.groupBytes
  }
  fitsNow(_batches: number, bytes: number): boolean {
    return this.openBytes + bytes <= this.groupBytes
  }
  enter(partitionId: number, batch: Buffer, records: number): void {
    this.openBytes += batch.length
    this.entered.push({ group: this.openGroup, partitionId, records, bytes: batch.length })
    expect([...decodeBatches(batch)].flatMap(one => [...one.records()])).toHaveLength(records)
  }
  wait(group: number): Promise<void> {
    return new Promise(resolve => this.#waiting.push({ group, resolve }))
  }
  complete(): void {
    this.completedGroup = this.openGroup
    this.openGroup += 1
    this.openBytes = 0
    for (const { group, resolve } of this.#waiting) if (group <= this.completedGroup) resolve()
  }
}

describe('a commit', () => {
  test('of several machines and partitions enters one group, a batch for each partition', async () => {
    const port = new Port()
    const runtime = new MachineRuntime(port)
    const shared = partitionOf(2)
    const [a, b, c] = [new Echo('a', partitionOf(1)), new Echo('b', shared), new Echo('c', shared)]
    const durable = runtime.commit([
      { machine: a, records: [record('1'), record('2')] },
      { machine: b, records: [record('3')] },
      { machine: c, records: [record('4')] },
    ])
    expect(
      port.entered.map(({ group, partitionId, records }) => [group, partitionId, records]),
    ).toEqual([
      [1, 1, 2],
      [1, 2, 2],
    ])
    expect([a.replayed, b.replayed, c.replayed]).toEqual([['1', '2'], ['3'], ['4']])
    port.complete()
    await durable
  })

  test('that does not fit now, or never will, or that nothing takes, changes nothing', () => {
    const port = new Port()
    const runtime = new MachineRuntime(port)
    const [a, b] = [new Echo('a', partitionOf(1)), new Echo('b', partitionOf(2))]
    const commit = (count: number) =>
      runtime.commit([
        { machine: a, records: [record('small')] },
        { machine: b, records: Array.from({ length: count }, (_, i) => record(`${i}`)) },
      ])
    const reasonOf = (work: () => unknown): string => {
      try {
        work()
      } catch (cause) {
        return cause instanceof CommitRefused ? cause.reason : String(cause)
      }
      return 'none'
    }
    expect(reasonOf(() => commit(100))).toBe('too-large')
    port.openBytes = 900
    expect(reasonOf(() => commit(1))).toBe('no-room')
    port.fencedBy = 'it failed'
    expect(reasonOf(() => commit(1))).toBe('fenced')
    expect([port.entered, a.replayed, b.replayed]).toEqual([[], [], []])
    port.fencedBy = undefined
    port.complete()
    void commit(1)
    expect([a.replayed, b.replayed]).toEqual([['small'], ['0']])
  })

  test('of a record that its machine would not know again is a defect', () => {
    const machine = new Echo('a', partitionOf(1), 'a:')
    const runtime = new MachineRuntime(new Port())
    expect(() => runtime.commit([{ machine, records: [record('b:1')] }])).toThrow(/does not own/)
  })

  test('is what every answer behind it waits for, and nothing else is', async () => {
    const port = new Port()
    const runtime = new MachineRuntime(port)
    await runtime.settled()
    void runtime.commit([{ machine: new Echo('a', partitionOf(1)), records: [record('1')] }])
    let settled = false
    const waiting = runtime.settled().then(() => {
      settled = true
    })
    await new Promise(resolve => setImmediate(resolve))
    expect(settled).toBe(false)
    port.complete()
    await waiting
    await runtime.settled()
  })
})

describe('the registry', () => {
  test('gives each record to the machine that owns it, also where two share a partition', () => {
    const shared = partitionOf(2)
    const [a, b] = [new Echo('a', shared, 'a:'), new Echo('b', shared, 'b:')]
    const registry = new MachineRegistry(new Echo('first', partitionOf(1)), [a, b])
    expect(registry.replay(2, record('b:1'))).toBe(true)
    expect(registry.replay(2, record('c:1'))).toBe(false)
    expect([a.replayed, b.replayed]).toEqual([[], ['b:1']])
    expect(registry.partitions.map(({ id }) => id)).toEqual([1, 2])
  })

  test('refuses machines that cannot be told apart', () => {
    const first = new Echo('first', partitionOf(1))
    const make = (...others: Echo[]) => new MachineRegistry(first, others)
    expect(() => make(new Echo('first', partitionOf(2)))).toThrow(/two machines/)
    expect(() => make(new Echo('a', partitionOf(16)))).toThrow(/belongs to clients/)
    expect(() => make(new Echo('a', partitionOf(2)), new Echo('b', partitionOf(2)))).toThrow(
      /another partition/,
    )
    expect(() => make(new Echo('a', first.partition))).toThrow(/shares its partition/)
  })

  test('restores the first machine first and names the parts that nobody takes', () => {
    const order: string[] = []
    class Ordered extends Echo {
      override restore(records: Iterable<MachineRecord>): void {
        order.push(this.name)
        super.restore(records)
      }
    }
    const registry = new MachineRegistry(new Ordered('first', partitionOf(1)), [
      new Ordered('a', partitionOf(2)),
    ])
    const parts = new Map(['a', 'gone', 'first'].map(name => [name, [record(name)]]))
    expect(registry.restore(parts)).toEqual(['gone'])
    expect(order).toEqual(['first', 'a'])
  })
})
