import type { AppendResult, EventStore } from '@millrace/store'
import { afterEach, expect, test } from 'vitest'
import type { CommandBus } from '../../src/context.ts'
import { createEffectRunner } from '../../src/effects/index.ts'
import { after, aggregate, become, effect, end, saga, send, tell, type } from '../../src/index.ts'
import { createSagaProcessor, sagaCategory } from '../../src/sagas/index.ts'
import { parkedCategory, soleOwnership } from '../../src/subscriptions/index.ts'
import { loan, mailTo, reminderOf } from './support/bank.ts'
import { DAY, eventually, openScene, running, type Scene } from './support/scene.ts'

let scene: Scene
afterEach(() => scene.close())

const FOLLOWER = {
  'follower.commit.interval.ms': 0,
  'follower.restart.first.ms': 1,
  'follower.heartbeat.interval.ms': 20,
  'follower.session.timeout.ms': 1000,
}
const OPTIONS = { settings: { 'saga.alarm.longest.ms': 5 }, follower: FOLLOWER }
// The wall clock stands: what is to be tried again is due at once.
const RETRY = { 'retry.attempts.max': 3, 'retry.first.ms': 0, 'retry.longest.ms': 0 }

const offer = async (id: string, offerId = 'x') => {
  const message = { tenant: '', aggregate: 'loan', id, command: 'offer', data: { offerId } }
  const done = await scene.context.commands.run(message)
  if (!done.ok) throw new Error('refused')
  return done.checkpoint
}

/** The scene's store with another append in front. */
const storeWith = (append: EventStore['append']): EventStore =>
  new Proxy(scene.store, {
    get: (store, name) => {
      if (name === 'append') return append
      const value: unknown = Reflect.get(store, name, store)
      return typeof value === 'function' ? value.bind(store) : value
    },
  })

test('an effect that fails is tried again, parked, shown, and redriven with the same id', async () => {
  let fails = true
  const attempts: [string, number][] = []
  const mail = effect('mail', type<{ loan: string }>(), async (_data, { id, attempt }) => {
    attempts.push([id, attempt])
    if (fails) throw new Error('post office closed')
  })
  const welcome = saga('welcome', {
    from: [loan],
    starts: ['loan.OfferMade'],
    key: e => e.stream,
    initial: () => 0,
    on: { 'loan.OfferMade': (_state, e) => [send(mail, { loan: e.stream }), end()] },
    timers: {},
  })
  scene = await openScene({ aggregates: [loan], categories: { welcome: sagaCategory(welcome) } })
  const make = () =>
    createSagaProcessor(welcome, scene.context, {
      ...OPTIONS,
      effects: createEffectRunner({ mail }, scene.context, { retry: RETRY }),
    })
  const parked = {
    ...{ tenant: '', id: 'a', kind: 'effect', version: 3, attempts: 3 },
    reason: 'post office closed',
  }
  await running(make(), async processor => {
    await offer('a')
    await eventually('it is parked', () => processor.parked().length === 1)
    expect(processor.parked()).toEqual([parked])
    expect(processor.status().parked).toBe(1)
  })
  expect(attempts).toEqual([1, 2, 3].map(attempt => ['welcome/a@3', attempt]))
  expect(scene.events).toContainEqual({
    ...{ kind: 'effect-parked', effect: 'mail', id: 'welcome/a@3', reason: 'post office closed' },
  })
  fails = false
  await running(make(), async processor => {
    await eventually('it is still parked', () => processor.parked().length === 1)
    await processor.redriveSend({ id: 'a', version: 3 })
    await eventually('it is sent', () => processor.status().effects === 0)
    expect(attempts.at(-1)).toEqual(['welcome/a@3', 1])
    expect(processor.parked()).toEqual([])
  })
})

test('a handler that throws parks its instance; what comes waits, in order, until it is redriven', async () => {
  let broken = true
  const seen: string[] = []
  const audit = saga('audit', {
    from: [loan],
    starts: ['loan.OfferMade'],
    key: e => e.stream,
    initial: () => 0,
    on: {
      'loan.OfferMade': (_state, e) => {
        if (broken && e.stream === 'bad' && e.version === 2) throw new Error('cannot')
        seen.push(`${e.stream}:${e.version}`)
        return [after('late', { days: 1 })]
      },
    },
    timers: { late: () => [end()] },
  })
  scene = await openScene({ aggregates: [loan], categories: { audit: sagaCategory(audit) } })
  const make = () => createSagaProcessor(audit, scene.context, OPTIONS)
  await running(make(), async processor => {
    for (let n = 1; n <= 4; n += 1) await offer('bad')
    await processor.reached(await offer('good'))
    await eventually('it is shown', () => processor.parked().length === 1)
    expect(processor.parked()[0]).toMatchObject({ kind: 'instance', id: 'bad', reason: 'cannot' })
    expect(seen.filter(each => each.startsWith('bad'))).toEqual(['bad:1'])
    scene.outside.advance(2 * DAY)
    await eventually(
      'the other ends',
      async () => (await processor.instance({ id: 'good' })).status === 'ended',
    )
    expect((await processor.instance({ id: 'bad' })).status).toBe('parked')
    expect(await processor.redrive({ id: 'bad' })).toEqual({
      handled: 0,
      left: 3,
      reason: 'cannot',
    })
  })
  broken = false
  await running(make(), async processor => {
    await eventually('it is shown', () => processor.parked().length === 1)
    expect(await processor.redrive({ id: 'bad' })).toEqual({ handled: 3, left: 0, reason: null })
    expect(new Set(seen.slice(2))).toEqual(new Set(['bad:2', 'bad:3', 'bad:4']))
    // Its timer had become due meanwhile.
    await eventually(
      'it ends',
      async () => (await processor.instance({ id: 'bad' })).status === 'ended',
    )
    await eventually('nothing is parked', () => processor.parked().length === 0)
  })
})

test('the first event of an instance can be redriven, too', async () => {
  let broken = true
  const first = saga('first', {
    from: [loan],
    starts: ['loan.OfferMade'],
    key: e => e.stream,
    initial: () => {
      if (broken) throw new Error('no state')
      return { offers: 0 }
    },
    on: { 'loan.OfferMade': state => [{ become: { offers: state.offers + 1 } }] },
    timers: {},
  })
  scene = await openScene({ aggregates: [loan], categories: { first: sagaCategory(first) } })
  await running(createSagaProcessor(first, scene.context, OPTIONS), async processor => {
    await offer('a')
    await processor.reached(await offer('a'))
    expect(await processor.instance({ id: 'a' })).toMatchObject({
      ...{ status: 'parked', reason: 'no state' },
    })
    broken = false
    expect(await processor.redrive({ id: 'a' })).toEqual({ handled: 2, left: 0, reason: null })
    expect(await processor.instance({ id: 'a' })).toMatchObject({
      ...{ status: 'running', state: { offers: 2 } },
    })
  })
})

test('a command that fails for good is parked, and later ones of its instance wait behind it', async () => {
  const other = aggregate('other', {
    events: { Done: type<{ n: number }>() },
    initial: () => 0,
    evolve: { Done: n => n + 1 },
    commands: { do: type<{ n: number }>() },
    decide: { do: ({ n }, _state, { Done }) => Done({ n }) },
  })
  const teller = saga('teller', {
    from: [loan],
    starts: ['loan.OfferMade'],
    key: e => e.stream,
    initial: () => 0,
    on: { 'loan.OfferMade': () => [1, 2, 3].map(n => tell(other, 'x', 'do', { n })) },
    timers: {},
  })
  scene = await openScene({
    aggregates: [loan, other],
    categories: { teller: sagaCategory(teller) },
  })
  let refuses = 2
  const bus: CommandBus = {
    run: message => {
      if ((message.data as { n: number }).n === refuses)
        throw Object.assign(new Error('unknown'), { retriable: false })
      return scene.context.commands.run(message)
    },
  }
  const context = scene.contextWith({ commands: bus })
  await running(createSagaProcessor(teller, context, OPTIONS), async processor => {
    await offer('a')
    await eventually('the second is parked', () => processor.parked().length === 1)
    expect(processor.parked()[0]).toMatchObject({ kind: 'command', version: 4, reason: 'unknown' })
    expect((await scene.all('other')).map(({ data }) => data)).toEqual([{ n: 1 }])
    refuses = 0
    await processor.redriveSend({ id: 'a', version: 4 })
    await eventually('all are done', () => processor.status().commands === 0)
    expect((await scene.all('other')).map(({ data }) => data)).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 3 },
    ])
  })
})

test('a node that slept through its dismissal does no harm', async () => {
  const mail = mailTo([])
  const reminder = reminderOf(mail)
  scene = await openScene({ aggregates: [loan], categories: { reminder: sagaCategory(reminder) } })
  // It loads the instance and sleeps before its append; meanwhile another one takes over.
  const asleep = Promise.withResolvers<void>()
  const awake = Promise.withResolvers<void>()
  const slept: AppendResult[] = []
  let naps = 1
  const append: EventStore['append'] = async (...args) => {
    if (naps-- <= 0) return scene.store.append(...args)
    asleep.resolve()
    await awake.promise
    const result = await scene.store.append(...args)
    slept.push(result)
    return result
  }
  const sleepy = storeWith(append)
  const buckets = [0, 1, 2]
  const make = (store: EventStore) =>
    createSagaProcessor(reminder, scene.contextWith({ store }), {
      ...OPTIONS,
      ownership: soleOwnership(buckets),
    })
  const sleeper = make(sleepy)
  await running(sleeper, async () => {
    const last = await offer('a')
    await asleep.promise
    await running(make(scene.store), async heir => {
      await heir.reached(last)
      awake.resolve()
      await sleeper.reached(last)
    })
  })
  expect(slept).toMatchObject([{ ok: false, conflict: 'version' }])
  const types = (await scene.streamsOf('reminder'))['a']?.map(([each]) => each)
  expect(types).toEqual(['Started', 'Took', 'TimerSet'])
})

test.each([
  ['for a passing reason waits alone', true, 0],
  ['for another reason is told by a restart', false, 1],
])('a timer that cannot be recorded %s, and then fires', async (_what, retriable, restarts) => {
  const sent: { loan: string; id: string; attempt: number }[] = []
  const mail = mailTo(sent)
  const reminder = reminderOf(mail)
  scene = await openScene({ aggregates: [loan], categories: { reminder: sagaCategory(reminder) } })
  let failures = 1
  const store = storeWith(async (stream, events, options) => {
    if (events[0]?.type === 'Fired' && failures-- > 0)
      throw Object.assign(new Error('the disk is full'), { retriable })
    return scene.store.append(stream, events, options)
  })
  const processor = createSagaProcessor(reminder, scene.contextWith({ store }), {
    ...OPTIONS,
    settings: { ...OPTIONS.settings, 'saga.pause.ms': 0 },
    effects: createEffectRunner({ mail }, scene.context),
  })
  await running(processor, async () => {
    await processor.reached(await offer('a'))
    scene.outside.advance(7 * DAY)
    await eventually('the mail', () => sent.length === 1)
    expect(processor.status().restarts).toBe(restarts)
  })
})

test('two nodes share a saga; each timer fires and each mail is sent once', async () => {
  const sent: { loan: string; id: string; attempt: number }[] = []
  const mail = mailTo(sent)
  const reminder = reminderOf(mail)
  scene = await openScene({
    aggregates: [loan],
    categories: { reminder: sagaCategory(reminder) },
    buckets: 6,
  })
  const make = () =>
    createSagaProcessor(reminder, scene.context, {
      ...OPTIONS,
      effects: createEffectRunner({ mail }, scene.context),
    })
  const [one, two] = [make(), make()]
  await running(one, async () => {
    for (let n = 0; n < 20; n += 1) await offer(`l${n}`)
    await running(two, async () => {
      let last = ''
      for (let n = 20; n < 40; n += 1) last = await offer(`l${n}`)
      await Promise.all([one.reached(last), two.reached(last)])
      await eventually('both have timers', () => {
        const [a, b] = [one.status().timers, two.status().timers]
        return a > 0 && b > 0 && a + b === 40
      })
      scene.outside.advance(8 * DAY)
      await eventually('all mails', () => sent.length >= 40)
    })
    scene.outside.advance(8 * DAY)
    await eventually('all second mails', () => sent.length >= 80)
  })
  expect(new Set(sent.map(({ id }) => id)).size).toBe(80)
  expect(sent).toHaveLength(80)
})

test('a saga by the replay clock needs its sources in the same bucket, and says so', async () => {
  const mail = mailTo([])
  const reminder = { ...reminderOf(mail, 'replay'), key: () => 'another' } as never
  scene = await openScene({
    aggregates: [loan],
    categories: { reminder: {} },
    buckets: 8,
  })
  await running(createSagaProcessor(reminder, scene.context, OPTIONS), async processor => {
    for (let n = 0; n < 8; n += 1) await offer(`l${n}`)
    await eventually('it stops', () => processor.status().state === 'stopped')
    expect(processor.status().reason).toContain('give both an equal boundary')
  })
})

test('a key that cannot be found stops the saga at that event, visibly, until it is mended', async () => {
  const keyless = saga('keyless', {
    from: [loan],
    starts: ['loan.OfferMade'],
    key: e => (e.data.offerId === 'none' ? '' : e.stream),
    initial: () => 0,
    on: { 'loan.OfferMade': () => [] },
    timers: {},
  })
  scene = await openScene({ aggregates: [loan], categories: { keyless: {} } })
  await running(createSagaProcessor(keyless, scene.context, OPTIONS), async processor => {
    await offer('a', 'none')
    await eventually('it restarts', () => processor.status().restarts > 1)
    expect(scene.events).toContainEqual(
      expect.objectContaining({
        kind: 'processor-restarted',
        processor: 'keyless',
        reason: expect.stringContaining('must be a text that is not empty'),
      }),
    )
  })
})

test('an instance whose record cannot be stored is parked, by the input that cannot be; others go on', async () => {
  const hows: Record<string, () => unknown> = {
    large: () => 'x'.repeat(2_000_000),
    deep: () => Array.from({ length: 120 }).reduce<unknown>(inner => [inner], 1),
    date: () => ({ since: new Date(0) }),
    minus: () => ({ n: [-0] }),
    cycle: () => {
      const own: { self?: unknown } = {}
      own.self = own
      return own
    },
  }
  const sent = effect('sent', type<unknown>(), async () => {})
  const keeper = saga('keeper', {
    from: [loan],
    starts: ['loan.OfferMade'],
    key: e => e.stream,
    initial: (): unknown => 0,
    on: {
      'loan.OfferMade': (_state, e) => {
        const value = hows[e.data.offerId.replace('sent ', '')]?.() ?? 'fine'
        if (e.data.offerId === 'thrown') throw new Error('y'.repeat(2_000_000))
        return e.data.offerId.startsWith('sent ') ? [send(sent, value)] : [become(value)]
      },
    },
    timers: {},
  })
  scene = await openScene({ aggregates: [loan], categories: { keeper: sagaCategory(keeper) } })
  const names = [...Object.keys(hows), 'thrown', ...Object.keys(hows).map(how => `sent ${how}`)]
  for (const name of names) {
    await offer(`i ${name}`, 'fine')
    await offer(`i ${name}`, name)
  }
  await offer('good', 'fine')
  const processor = createSagaProcessor(keeper, scene.context, {
    ...OPTIONS,
    effects: createEffectRunner({ sent }, scene.context, { retry: RETRY }),
  })
  await running(processor, async () => {
    const last = await offer('good', 'fine')
    await processor.reached(last)
    await eventually('all are indexed', () => processor.parked().length === names.length)
    expect(processor.status()).toMatchObject({ state: 'running', restarts: 0 })
    const reasons = new Map(processor.parked().map(({ id, reason }) => [id, reason]))
    expect(reasons.get('i large')).toContain('cannot be recorded')
    expect(reasons.get('i sent large')).toContain('cannot be recorded')
    expect(reasons.get('i date')).toContain('become() is not JSON: .since: a Date')
    expect(reasons.get('i sent date')).toContain('send(sent) is not JSON: .since: a Date')
    expect(reasons.get('i minus')).toContain('.n[0]: -0')
    expect(reasons.get('i cycle')).toContain('nested deeper')
    for (const reason of reasons.values()) expect(reason.length).toBeLessThan(2100)
    for (const name of names)
      expect((await processor.instance({ id: `i ${name}` })).state).toBe('fine')
    expect(await processor.redrive({ id: 'i large' })).toMatchObject({ handled: 0, left: 1 })
  })
})

test('a saga that was stopped starts again, goes on, and says how it is at any time', async () => {
  const mails: { loan: string; id: string; attempt: number }[] = []
  const reminder = reminderOf(mailTo(mails))
  scene = await openScene({ aggregates: [loan], categories: { reminder: sagaCategory(reminder) } })
  const processor = createSagaProcessor(reminder, scene.context, {
    ...OPTIONS,
    effects: createEffectRunner({ mail: mailTo(mails) }, scene.context),
  })
  await processor.start()
  await processor.reached(await offer('a'))
  await eventually('a timer runs', () => processor.status().timers === 1)
  await processor.stop()
  expect(processor.status()).toMatchObject({ state: 'stopped', timers: 0 })
  expect(processor.parked()).toEqual([])
  const meanwhile = await offer('b')
  await Promise.all([processor.start(), processor.start()])
  await processor.reached(meanwhile)
  await eventually('both timers run', () => processor.status().timers === 2)
  expect(processor.status().state).toBe('running')
  await processor.stop()
  await processor.stop()
  expect(processor.status().state).toBe('stopped')
})

test('an event that belongs to no instance parks its stream, in order, until it is redriven; others go on', async () => {
  let fails = true
  const keys: Record<string, (stream: string) => unknown> = {
    throws: () => {
      throw new Error('no key')
    },
    long: () => 'k'.repeat(5000),
    number: () => 7,
  }
  const keeper = saga('keeper', {
    from: [loan],
    starts: ['loan.OfferMade'],
    key: e => {
      const made = 'offerId' in e.data ? keys[e.data.offerId] : undefined
      return (fails && made !== undefined ? made(e.stream) : e.stream) as string
    },
    initial: () => [] as string[],
    on: { 'loan.OfferMade': (state, e) => [become([...state, e.data.offerId])] },
    timers: {},
  })
  const upcast = [
    (): never => {
      throw new Error('no rate')
    },
  ]
  const parked = parkedCategory('test')
  const categories = {
    keeper: sagaCategory(keeper),
    [parked.name]: parked.options,
    loan: { events: { Accepted: { upcast } } },
  }
  scene = await openScene({ aggregates: [loan], categories })
  for (const name of Object.keys(keys))
    for (const id of ['1', name, '2']) await offer(`i ${name}`, id)
  const processor = createSagaProcessor(keeper, scene.context, OPTIONS)
  const stateOf = async (id: string) => (await processor.instance({ id })).state
  await running(processor, async () => {
    await processor.reached(await offer('good', '1'))
    expect(processor.status()).toMatchObject({ state: 'running', restarts: 0, parked: 3 })
    expect(await stateOf('good')).toEqual(['1'])
    for (const name of Object.keys(keys)) expect(await stateOf(`i ${name}`)).toEqual(['1'])
    expect(processor.parked().map(({ id, kind, version }) => [id, kind, version])).toEqual(
      ['long', 'number', 'throws'].map(name => [`i ${name}`, 'stream', 2]),
    )
    const stream = { category: 'loan', stream: 'i throws' }
    expect((await processor.redriveStream(stream)).reason).toContain('no key')
    fails = false
    expect(await processor.redriveStream(stream)).toEqual({ events: 2, reason: null })
    expect(await stateOf('i throws')).toEqual(['1', 'throws', '2'])
  })
  await running(createSagaProcessor(keeper, scene.context, OPTIONS), async again => {
    await again.reached(await offer('i throws', '3'))
    await again.reached(await offer('i long', '3'))
    expect(await stateOf('i throws')).toEqual(['1', 'throws', '2', '3'])
    expect(await stateOf('i long')).toEqual(['1'])
    expect(again.parked().map(({ id }) => id)).toEqual(['i long', 'i number'])
  })
})
