import { StoreError } from '@millrace/store'
import { afterEach, expect, test } from 'vitest'
import {
  createSubscription,
  parkedCategory,
  type Subscription,
  subscription,
} from '../../src/subscriptions/index.ts'
import { loan } from '../sagas/support/bank.ts'
import { eventually, openScene, running, type Scene } from '../sagas/support/scene.ts'

let scene: Scene
afterEach(() => scene.close())

const open = async (buckets = 3) => {
  const parked = parkedCategory('test')
  scene = await openScene({
    aggregates: [loan],
    categories: { [parked.name]: parked.options },
    buckets,
  })
}

const SETTINGS = {
  'follower.commit.interval.ms': 0,
  'follower.restart.first.ms': 1,
  'follower.session.timeout.ms': 1000,
  'follower.heartbeat.interval.ms': 20,
}
const POLICY = { 'retry.attempts.max': 2, 'retry.first.ms': 1 }
const make = (definition: Subscription) =>
  createSubscription(definition, scene.context, { settings: SETTINGS, policy: POLICY })

const offer = async (id: string, offerId: string): Promise<string> => {
  const done = await scene.context.commands.run({
    tenant: '',
    aggregate: 'loan',
    id,
    command: 'offer',
    data: { offerId },
  })
  if (!done.ok) throw new Error('refused')
  return done.checkpoint
}
const accept = (id: string, offerId: string) =>
  scene.context.commands.run({
    tenant: '',
    aggregate: 'loan',
    id,
    command: 'accept',
    data: { offerId },
  })

test('events come in batches, in the order of their stream, and it goes on where it was', async () => {
  await open()
  const seen: string[] = []
  const audit = subscription('audit', {
    from: [loan],
    batch: events => void seen.push(...events.map(e => `${e.stream}:${e.version}:${e.type}`)),
  })
  await offer('a', '1')
  await running(make(audit), async processor => {
    const last = await offer('a', '2')
    await processor.reached(last)
    expect(seen).toEqual(['a:1:loan.OfferMade', 'a:2:loan.OfferMade'])
    await eventually('it has caught up', () => processor.status().state === 'running')
    expect(processor.status()).toMatchObject({ handled: 2, lag: 0, parked: 0, restarts: 0 })
  })
  seen.length = 0
  await running(make(audit), async processor => {
    await processor.reached(await offer('a', '3'))
    expect(seen).toEqual(['a:3:loan.OfferMade'])
  })
})

test('a stream that fails is parked in order while others go on, and is redriven', async () => {
  await open()
  let broken = true
  const seen: string[] = []
  const audit = subscription('audit', {
    from: [loan],
    batch: events => {
      if (broken && events.some(e => e.stream === 'bad')) throw new Error('cannot')
      seen.push(...events.map(e => `${e.stream}:${e.version}`))
    },
  })
  await offer('bad', '1')
  await offer('good', '1')
  await running(make(audit), async processor => {
    await eventually('it is parked', () => processor.parked().length === 1)
    await offer('bad', '2')
    await processor.reached(await offer('good', '2'))
    await processor.reached(await offer('bad', '3'))
    await eventually('the good one', () => seen.includes('good:2'))
    expect(processor.parked()[0]).toMatchObject({
      category: 'loan',
      stream: 'bad',
      version: 1,
      reason: 'cannot',
    })
    expect(processor.status().parked).toBe(1)
    expect(seen.filter(each => each.startsWith('bad'))).toEqual([])
  })
  // Parked over a restart, and parked again with the same reason while it is broken.
  await running(make(audit), async processor => {
    await eventually('it is known', () => processor.parked().length === 1)
    expect(await processor.redrive({ category: 'loan', stream: 'bad' })).toEqual({
      events: 0,
      reason: 'cannot',
    })
    broken = false
    expect(await processor.redrive({ category: 'loan', stream: 'bad' })).toEqual({
      events: 3,
      reason: null,
    })
    expect(processor.parked()).toEqual([])
    await processor.reached(await offer('bad', '4'))
    expect(seen.filter(each => each.startsWith('bad'))).toEqual([
      'bad:1',
      'bad:2',
      'bad:3',
      'bad:4',
    ])
  })
})

test('two members share the buckets, and one takes over all when the other leaves', async () => {
  await open(6)
  const seen: Record<'one' | 'two', string[]> = { one: [], two: [] }
  const of = (who: 'one' | 'two') =>
    make(
      subscription('audit', {
        from: [loan],
        batch: events => void seen[who].push(...events.map(e => `${e.stream}:${e.version}`)),
      }),
    )
  const [one, two] = [of('one'), of('two')]
  await running(one, async () => {
    await running(two, async () => {
      const ids = Array.from({ length: 24 }, (_, n) => `l${n}`)
      await eventually('both have some', async () => {
        for (const id of ids) await offer(id, 'x')
        return seen.one.length > 0 && seen.two.length > 0
      })
      // From here on a stream stays with its member.
      seen.one.length = 0
      seen.two.length = 0
      for (let round = 0; round < 3; round += 1) for (const id of ids) await offer(id, 'x')
      await eventually('all have come', () => seen.one.length + seen.two.length >= 72)
      const streamsOf = (who: 'one' | 'two') => new Set(seen[who].map(each => each.split(':')[0]))
      const both = [...streamsOf('one')].filter(stream => streamsOf('two').has(stream))
      expect(both).toEqual([])
      expect(streamsOf('one').size + streamsOf('two').size).toBe(24)
    })
    const before = seen.one.length
    await one.reached(await offer('l0', 'y'))
    for (let n = 0; n < 24; n += 1) await offer(`l${n}`, 'z')
    await eventually('one has them all', () => seen.one.length >= before + 25)
  })
})

test('it is rewound by position and by time', async () => {
  await open()
  const seen: string[] = []
  const audit = subscription('audit', {
    from: [loan],
    batch: events => void seen.push(...events.map(e => `${e.stream}:${e.version}`)),
  })
  await running(make(audit), async processor => {
    await offer('a', '1')
    const middle = await scene.store.now(['loan'], null)
    scene.outside.advance(1000)
    const time = scene.outside.clock.now()
    await processor.reached(await offer('a', '2'))
    await processor.rewind('beginning')
    await eventually('all again', () => seen.length === 4)
    expect(seen).toEqual(['a:1', 'a:2', 'a:1', 'a:2'])
    await processor.rewind({ after: middle })
    await eventually('the second again', () => seen.length === 5)
    await processor.rewind({ time })
    await eventually('the second once more', () => seen.length === 6)
    expect(seen.slice(4)).toEqual(['a:2', 'a:2'])
  })
  seen.length = 0
  const stopped = make(audit)
  expect(await stopped.rewind('beginning')).toEqual([0, 1, 2])
  await running(stopped, async () => {
    await eventually('all again', () => seen.length === 2)
  })
})

test('an aggregate is delivered whole when its final event has come; late events come apart', async () => {
  await open()
  const seen: unknown[] = []
  const archive = subscription('archive', {
    from: [loan],
    until: e => e.type === 'loan.Accepted',
    whole: async ({ stream, late, from, to, all }) => {
      seen.push([stream, late, from, to, (await all()).map(e => e.type)])
    },
  })
  await running(make(archive), async processor => {
    await offer('a', '1')
    await offer('b', '1')
    await processor.reached(await offer('a', '2'))
    expect(seen).toEqual([])
    const done = await accept('a', '2')
    if (done.ok) await processor.reached(done.checkpoint)
    expect(seen).toEqual([
      ['a', false, 1, 3, ['loan.OfferMade', 'loan.OfferMade', 'loan.Accepted']],
    ])
  })
  // Another process, which has never seen the stream, knows that it has finished.
  await running(make(archive), async processor => {
    await processor.reached(await offer('a', '3'))
    expect(seen.slice(1)).toEqual([['a', true, 4, 4, ['loan.OfferMade']]])
  })
})

test('a broadcast reaches every node, from now on', async () => {
  await open()
  const seen: string[][] = [[], []]
  const of = (n: number) =>
    make(
      subscription('live', {
        from: [loan],
        broadcast: true,
        batch: events => void seen[n]?.push(...events.map(e => `${e.stream}:${e.version}`)),
      }),
    )
  await offer('a', '1')
  const [first, second] = [of(0), of(1)]
  await running(first, async () => {
    await running(second, async () => {
      const last = await offer('a', '2')
      await Promise.all([first.reached(last), second.reached(last)])
      expect(seen).toEqual([['a:2'], ['a:2']])
    })
  })
})

test('it stops when more streams are parked than it may pass over', async () => {
  await open()
  const broken = subscription('broken', {
    from: [loan],
    batch: () => {
      throw new Error('always')
    },
  })
  const processor = createSubscription(broken, scene.context, {
    settings: { ...SETTINGS, 'subscription.parked.max': 2 },
    policy: POLICY,
  })
  for (const id of ['a', 'b', 'c']) await offer(id, '1')
  await running(processor, async () => {
    await eventually('it has stopped', () => processor.status().state === 'stopped')
    expect(processor.status().reason).toContain('PARKED_EXCEEDED')
    expect(processor.parked()).toHaveLength(2)
    await expect(processor.reached(await offer('a', '2'))).rejects.toThrow('is stopped')
  })
})

test('a handler whose buckets go away is cut short, and that is no failure', async () => {
  await open()
  let attempts = 0
  const stubborn = subscription('stubborn', {
    from: [loan],
    batch: () => {
      attempts += 1
      throw new Error('not yet')
    },
  })
  const processor = createSubscription(stubborn, scene.context, {
    settings: SETTINGS,
    policy: { 'retry.first.ms': 20_000, 'retry.longest.ms': 20_000 },
  })
  await running(processor, async () => {
    await offer('a', '1')
    await eventually('it waits for its second attempt', () => attempts === 1)
    await processor.rewind('beginning')
    await eventually('it begins anew', () => attempts === 2)
    expect(processor.status().restarts).toBe(0)
  })
})

test('one that was stopped, or stopped for good by a failure, starts again and goes on', async () => {
  await open()
  const seen: string[] = []
  const audit = subscription('audit', {
    from: [loan],
    batch: events => void seen.push(...events.map(e => `${e.stream}:${e.version}`)),
  })
  let fails = false
  const store = new Proxy(scene.store, {
    get: (target, name) => {
      if (name === 'readAll' && fails)
        throw new StoreError('STORE_FAILED', 'the disk is out of order')
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const processor = createSubscription(audit, scene.contextWith({ store }), { settings: SETTINGS })
  await running(processor, async () => {
    await processor.reached(await offer('a', '1'))
    await processor.stop()
    expect(processor.status().state).toBe('stopped')
    const meanwhile = await offer('a', '2')
    await Promise.all([processor.start(), processor.start()])
    await processor.reached(meanwhile)
    await processor.stop()
    fails = true
    await processor.start().catch(() => undefined)
    await eventually('it stopped for good', () => processor.status().state === 'stopped')
    expect(processor.status().reason).toContain('out of order')
    fails = false
    const later = await offer('a', '3')
    await processor.start()
    await processor.reached(later)
    expect(processor.status()).toMatchObject({ state: 'running' })
  })
  expect(seen).toEqual(['a:1', 'a:2', 'a:3'])
})

test('a handler that never ends parks its stream, and blocks neither others nor the stop', async () => {
  await open()
  const seen: string[] = []
  const signals: AbortSignal[] = []
  const never = new Promise<void>(() => {})
  const audit = subscription('audit', {
    from: [loan],
    batch: (events, { signal }) => {
      signals.push(signal)
      if (events.some(e => e.stream === 'bad' || e.stream === 'last')) return never
      seen.push(...events.map(e => e.stream))
      return undefined
    },
  })
  const processor = createSubscription(audit, scene.context, {
    settings: {
      ...SETTINGS,
      'subscription.handler.timeout.ms': 150,
      'subscription.handler.end.ms': 0,
    },
    policy: POLICY,
  })
  await running(processor, async () => {
    await processor.reached(await offer('bad', '1'))
    await processor.reached(await offer('good', '1'))
    expect(processor.parked()).toMatchObject([{ stream: 'bad' }])
    expect(processor.parked()[0]?.reason).toContain('subscription.handler.timeout.ms')
    expect(signals[0]?.aborted).toBe(true)
    expect(seen).toEqual(['good'])
    const calls = signals.length
    await offer('last', '1')
    await eventually('it hangs', () => signals.length > calls)
  })
  expect(processor.status().state).toBe('stopped')
})
