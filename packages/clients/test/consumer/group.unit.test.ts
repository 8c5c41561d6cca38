import { LogError } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import type { Consumer, RebalanceListener } from '../../src/consumer/consumer.ts'
import type { ConsumerOptions } from '../../src/consumer/options.ts'
import { type Bench, bench, consumerOn, Loop, numbers, store } from '../support/clients.ts'

const GROUP: ConsumerOptions = { groupId: 'g', commitIntervalMs: 1_000 }
const EAGER: ConsumerOptions = { ...GROUP, assignors: ['range'] }

function join(b: Bench, options: ConsumerOptions = GROUP, listener: RebalanceListener = {}): Loop {
  const consumer = consumerOn(b, options)
  consumer.subscribe(['t'], listener)
  return new Loop(consumer, b.outside)
}

const held = (...loops: Loop[]) =>
  loops.map(({ consumer }) =>
    consumer
      .assignment()
      .map(({ partition }) => partition)
      .toSorted((a, b) => a - b),
  )

async function end(b: Bench, ...loops: Loop[]): Promise<void> {
  await b.outside.until(Promise.all(loops.map(({ consumer }) => consumer.close())))
  await b.outside.until(Promise.all(loops.map(({ done }) => done)))
  for (const { error } of loops) expect(error).toBeNull()
  expect(b.outside.pendingTimers, 'no timer is left').toBe(0)
}

function fill(b: Bench, partitions: number, count: number): string[] {
  const all: string[] = []
  for (let partition = 0; partition < partitions; partition += 1)
    for (let index = 0; index < count; index += 1) {
      const value = `${partition}:${index}`
      store(b.log, [value], partition)
      all.push(value)
    }
  return all
}

describe.each([
  ['cooperative', GROUP],
  ['eager', EAGER],
])('%s members', (_, options) => {
  test('one has all partitions; three share them', async () => {
    const b = await bench(6)
    const a = join(b, options)
    await b.outside.pass(5_000)
    expect(held(a)).toEqual([[0, 1, 2, 3, 4, 5]])
    const others = [join(b, options), join(b, options)]
    await b.outside.pass(20_000)
    const parts = held(a, ...others)
    expect(parts.map(p => p.length)).toEqual([2, 2, 2])
    expect(parts.flat().toSorted()).toEqual([0, 1, 2, 3, 4, 5])
    await end(b, a, ...others)
  })

  test('what a leaving member had goes to the others, and nothing is lost or done twice', async () => {
    const b = await bench(6)
    const expected = fill(b, 6, 20)
    const loops = [join(b, options), join(b, options), join(b, options)]
    for (const loop of loops) loop.workMs = 50
    await b.outside.pass(12_000)
    const [first, ...rest] = loops
    await b.outside.until(first?.consumer.close() ?? Promise.resolve())
    expected.push(...fill(b, 6, 20))
    await b.outside.pass(20_000)
    expect(held(...rest).flat()).toHaveLength(6)
    await end(b, ...rest)
    expect(loops.flatMap(({ seen }) => seen).toSorted()).toEqual(expected.toSorted())
  })

  test('what a dead member had goes to the others after its session', async () => {
    const b = await bench(4)
    const a = join(b, { ...options, sessionTimeoutMs: 10_000 })
    const c = join(b, { ...options, sessionTimeoutMs: 10_000 })
    await b.outside.pass(15_000)
    const dead = [...b.log.groups.group('g').members.keys()].at(-1) ?? ''
    b.log.groups.expel('g', dead)
    await b.outside.pass(30_000)
    expect(
      held(a, c).map(p => p.length),
      'the expelled one joins again',
    ).toEqual([2, 2])
    await end(b, a, c)
  })

  test('finish the batch in hand and commit it before partitions go', async () => {
    const b = await bench(2)
    store(b.log, numbers(3), 0)
    store(b.log, numbers(3, 10), 1)
    const events: string[] = []
    const listener: RebalanceListener = {
      onRevoked: async partitions => {
        events.push(`revoked ${partitions.map(p => p.partition)} while ${[...a.working]}`)
        await b.outside.sleep(500)
        events.push('listener done')
      },
    }
    const a = join(b, { ...options, prefetchBytesMax: 1 }, listener)
    a.workMs = 4_000
    await b.outside.pass(1_000)
    expect(a.working.size).toBe(1)
    const c = join(b, options)
    await b.outside.pass(40_000)
    expect(held(a, c).map(p => p.length)).toEqual([1, 1])
    expect(events[1]).toBe('listener done')
    await end(b, a, c)
    const seen = [...a.seen, ...c.seen].toSorted()
    expect(seen, 'nothing twice').toEqual([...numbers(3), ...numbers(3, 10)].toSorted())
  })

  test('go on where the group left off', async () => {
    const b = await bench(2)
    store(b.log, numbers(3), 0)
    const a = join(b, options)
    await b.outside.pass(8_000)
    await end(b, a)
    store(b.log, numbers(3, 3), 0)
    const c = join(b, options)
    await b.outside.pass(8_000)
    await end(b, c)
    expect([a.seen, c.seen]).toEqual([numbers(3), numbers(3, 3)])
  })

  test('notice new partitions', async () => {
    const b = await bench(2)
    const a = join(b, { ...options, metadataMaxAgeMs: 5_000 })
    await b.outside.pass(5_000)
    await b.log.createPartitions([{ name: 't', partitions: 4 }])
    await b.outside.pass(15_000)
    expect(held(a)).toEqual([[0, 1, 2, 3]])
    await end(b, a)
  })
})

describe('cooperative members', () => {
  test('keep reading what they keep while others join', async () => {
    const b = await bench(4)
    const revoked: number[] = []
    const listener: RebalanceListener = {
      onRevoked: partitions => void revoked.push(...partitions.map(p => p.partition)),
    }
    const a = join(b, GROUP, listener)
    await b.outside.pass(5_000)
    const c = join(b)
    await b.outside.pass(15_000)
    expect(revoked, 'only what moves is given up').toHaveLength(2)
    expect(held(a, c).map(p => p.length)).toEqual([2, 2])
    await end(b, a, c)
  })
})

describe('a member', () => {
  test('that is too slow loses its partitions, and comes back when it asks again', async () => {
    const b = await bench(2)
    const lost: number[] = []
    const listener: RebalanceListener = { onLost: p => void lost.push(p.length) }
    store(b.log, numbers(2), 0)
    const slow = join(b, { ...GROUP, processingMsMax: 10_000 }, listener)
    slow.workMs = 30_000
    const other = join(b)
    await b.outside.pass(25_000)
    expect(lost).toEqual([1])
    expect(held(slow, other)).toEqual([[], [0, 1]])
    await b.outside.pass(60_000)
    expect(held(slow, other).map(p => p.length)).toEqual([1, 1])
    await end(b, slow, other)
  })

  test('whose heartbeats fail for a session counts itself out, then joins again', async () => {
    const b = await bench(2)
    const lost: number[] = []
    const listener: RebalanceListener = { onLost: p => void lost.push(p.length) }
    const a = join(b, { ...GROUP, sessionTimeoutMs: 10_000 }, listener)
    await b.outside.pass(5_000)
    b.log.groups.fault = () => new LogError('NETWORK_EXCEPTION')
    await b.outside.pass(20_000)
    expect(lost).toEqual([2])
    b.log.groups.fault = () => null
    await b.outside.pass(20_000)
    expect(held(a)).toEqual([[0, 1]])
    await end(b, a)
  })

  test('with an instance id keeps its place over a restart, and fences its twin', async () => {
    const b = await bench(2)
    const options = { ...GROUP, groupInstanceId: 'i1' }
    const a = join(b, options)
    await b.outside.pass(5_000)
    const twin = join(b, options)
    await b.outside.pass(20_000)
    expect(a.error).toMatchObject({ code: 'FENCED_INSTANCE_ID' })
    expect(held(a, twin)).toEqual([[], [0, 1]])
    await b.outside.until(a.consumer.close())
    await b.outside.until(twin.consumer.close())
    expect(b.log.groups.calls, 'static members do not leave').not.toContain('leave')
  })

  test('reads the topics that match its pattern, also new ones', async () => {
    const b = await bench(1)
    const consumer = consumerOn(b, { ...GROUP, metadataMaxAgeMs: 5_000 })
    consumer.subscribe(/^t/)
    const loop = new Loop(consumer, b.outside)
    await b.outside.pass(3_000)
    await b.log.createTopics([{ name: 'two' }, { name: 'other' }])
    await b.outside.pass(15_000)
    expect(
      consumer
        .assignment()
        .map(({ topic }) => topic)
        .toSorted(),
    ).toEqual(['t', 'two'])
    await end(b, loop)
  })

  test('may change its subscription', async () => {
    const b = await bench(1)
    await b.log.createTopics([{ name: 'u' }])
    const a = join(b)
    await b.outside.pass(5_000)
    a.consumer.subscribe(['u'])
    await b.outside.pass(10_000)
    expect(a.consumer.assignment()).toEqual([{ topic: 'u', partition: 0 }])
    await end(b, a)
  })

  test('is told that no assignor is shared', async () => {
    const b = await bench(1)
    b.log.groups.fault = call =>
      call === 'join' ? new LogError('INCONSISTENT_GROUP_PROTOCOL') : null
    const a = join(b)
    await b.outside.until(a.done)
    expect(a.error).toMatchObject({ code: 'INCONSISTENT_GROUP_PROTOCOL' })
    await b.outside.until(a.consumer.close())
  })

  test('whose listener throws hears of it in its loop', async () => {
    const b = await bench(1)
    const listener = { onAssigned: () => Promise.reject(new Error('no room')) }
    const a = join(b, GROUP, listener)
    await b.outside.until(a.done)
    expect(a.error).toMatchObject({ message: expect.stringContaining('no room') })
    await b.outside.until(a.consumer.close())
  })

  test('can place itself when it is assigned', async () => {
    const b = await bench(1)
    store(b.log, numbers(5))
    const consumer: Consumer = consumerOn(b, GROUP)
    consumer.subscribe(['t'], {
      onAssigned: partitions => {
        for (const each of partitions) consumer.seek(each, 3)
      },
    })
    const loop = new Loop(consumer, b.outside)
    await b.outside.pass(5_000)
    expect(loop.seen).toEqual(['3', '4'])
    await end(b, loop)
  })

  test('that ends in the middle of joining leaves nothing behind', async () => {
    const b = await bench(1)
    const a = join(b)
    await b.outside.pass(2)
    await end(b, a)
    expect(b.log.groups.group('g').members.size).toBe(0)
  })
})
