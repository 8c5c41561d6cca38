// Every run: the same events, commands and effects, with a node that dies at any of its steps and is
// started again. What the saga's streams hold and what left them must be what a naive run gives: one
// event after the other, in the order of the log, without pages, positions, agenda or deaths.

import type { EventStore } from '@millrace/store'
import { describe, expect, test } from 'vitest'
import type { CommandBus, RuntimeContext } from '../../src/context.ts'
import { createEffectRunner } from '../../src/effects/index.ts'
import { after, become, effect, end, type Saga, saga, send, tell, type } from '../../src/index.ts'
import { SagaDecision } from '../../src/sagas/decide.ts'
import { ABSENT_INSTANCE, type NewSagaEvent, type SagaInstance } from '../../src/sagas/events.ts'
import { createSagaProcessor } from '../../src/sagas/index.ts'
import { type BucketPosition, soleOwnership } from '../../src/subscriptions/index.ts'
import { loan } from './support/bank.ts'
import { Died, EventLog, memoryStore } from './support/memory-store.ts'
import { random } from './support/random.ts'
import { DAY, eventually, movedClock, START } from './support/scene.ts'

const BUCKETS = 2
const SEED = Number(process.env['SEED'] ?? 20_261_121)
const RUNS = Number(process.env['RUNS'] ?? 60)

/** What left the system: by id, so that a repetition is known as one. */
type Left = { readonly commands: Map<string, string>; readonly effects: Map<string, string> }

const chaserOf = (mail: ReturnType<typeof mailOf>, clock: Saga['clock']) =>
  saga('chaser', {
    from: [loan],
    starts: ['loan.OfferMade'],
    key: e => e.stream.split('-')[0] as string,
    initial: () => ({ offers: 0, chased: 0 }),
    on: {
      'loan.OfferMade': (state, e) => [
        become({ ...state, offers: state.offers + 1 }),
        after('chase', { days: 2 }),
        tell(loan, e.stream, 'offer', { offerId: `${e.version}` }),
      ],
      'loan.Accepted': state =>
        state.offers % 3 === 0 ? [send(mail, { n: state.offers }), end()] : [],
    },
    timers: {
      chase: state => [
        become({ ...state, chased: state.chased + 1 }),
        send(mail, { n: 100 + state.chased }),
        ...(state.chased < 2 ? [after('chase', { hours: 30 })] : []),
      ],
    },
    // When the answer comes is not said, so it must not matter to the rest.
    rejected: { 'loan.offer': () => [] },
    clock,
  })

const mailOf = (left: Left, fails: () => boolean) =>
  effect('mail', type<{ n: number }>(), async ({ n }, { id }) => {
    if (fails()) throw new Error('post office closed')
    left.effects.set(id, `${n}`)
  })

const busOf = (left: Left, fails: () => boolean): CommandBus => ({
  run: async ({ commandId = '', id, data }) => {
    if (fails()) throw Object.assign(new Error('busy'), { retriable: true })
    const refused = (data as { offerId: string }).offerId === '2'
    left.commands.set(commandId, `${id} ${JSON.stringify(data)}`)
    return refused
      ? { ok: false, reason: 'too many' }
      : { ok: true, version: 1, checkpoint: '', duplicate: false }
  },
})

/** Events of some loans; several loans share a key, and their times are not in order. */
function fill(log: EventLog, next: () => number): void {
  const times = new Map<string, number>()
  for (let n = 0; n < 40; n += 1) {
    const id = `k${Math.floor(next() * 5)}${next() < 0.5 ? '' : '-b'}`
    const time = Math.max(times.get(id) ?? 0, START + n * 6 * 3_600_000 + next() * 12 * DAY)
    times.set(id, time)
    const event = { type: next() < 0.6 ? 'OfferMade' : 'Accepted', data: { offerId: `${n}` }, time }
    log.append({ category: 'loan', id }, [event])
  }
}

type Plan = {
  readonly clock: Saga['clock']
  readonly pageEvents: number
  /** Steps until the node dies, one number for each life. */
  readonly lives: readonly number[]
  readonly fails: () => boolean
}

async function play(plan: Plan): Promise<{ log: EventLog; left: Left; deaths: number }> {
  const outside = movedClock(START + 3650 * DAY)
  const log = new EventLog(['loan', 'chaser'], BUCKETS, () => outside.clock.now())
  fill(log, random(SEED))
  const left: Left = { commands: new Map(), effects: new Map() }
  const kept = new Map<number, BucketPosition>()
  let deaths = 0
  for (const steps of [...plan.lives, Number.POSITIVE_INFINITY]) {
    let step = 0
    let isDead = false
    const died = Promise.withResolvers<void>()
    const die = (): void => {
      step += 1
      if (step >= steps && !isDead) {
        isDead = true
        deaths += 1
        died.resolve()
      }
      if (isDead) throw new Died('the node is dead')
    }
    await live(plan, { log, left, kept, outside, die, died: died.promise, isDead: () => isDead })
  }
  return { log, left, deaths }
}

type Life = {
  readonly log: EventLog
  readonly left: Left
  readonly kept: Map<number, BucketPosition>
  readonly outside: ReturnType<typeof movedClock>
  readonly die: (step: string) => void
  readonly died: Promise<void>
  readonly isDead: () => boolean
}

async function live(plan: Plan, life: Life): Promise<void> {
  const { log, left, outside, die } = life
  const store: EventStore = memoryStore(log, die)
  const mail = mailOf(left, plan.fails)
  const context: RuntimeContext = {
    ...{ name: 'test', store, outside, onEvent: () => {} },
    log: undefined as never,
    commands: busOf(left, plan.fails),
  }
  const buckets = Array.from({ length: BUCKETS }, (_, bucket) => bucket)
  const sole = soleOwnership(buckets, life.kept)
  const retry = { 'retry.first.ms': 0, 'retry.longest.ms': 0, 'retry.attempts.max': 1000 }
  const processor = createSagaProcessor(chaserOf(mail, plan.clock), context, {
    effects: createEffectRunner({ mail }, context, { retry: { ...retry, 'circuit.failures': 0 } }),
    retry: { ...retry, 'circuit.failures': 0 },
    settings: { 'saga.page.events': plan.pageEvents, 'saga.alarm.longest.ms': 1 },
    follower: { 'follower.commit.interval.ms': 0, 'follower.restart.first.ms': 600_000 },
    ownership: {
      ...sole,
      commit: async positions => {
        die('before commit')
        await sole.commit(positions)
        die('after commit')
      },
    },
  })
  // By the replay clock timers are left over: the time of the last event is before theirs.
  const waiting = (): number => {
    const { timers, commands, effects } = processor.status()
    return commands + effects + (plan.clock === 'wall' ? timers : 0)
  }
  const isDone = async (): Promise<boolean> => {
    if (life.isDead()) return true
    if (processor.status().state !== 'running' || waiting() > 0) return false
    await new Promise(resolve => setTimeout(resolve, 3))
    return waiting() === 0 && isSettled(log)
  }
  void processor.start().catch(() => {})
  await eventually('the run is over', isDone)
  await processor.stop()
}

/** Nothing in the streams waits any more. */
function isSettled(log: EventLog): boolean {
  const of = (types: readonly string[]) =>
    [...log.streams.values()].flat().filter(({ type }) => types.includes(type)).length
  return of(['CommandSent', 'EffectSent']) === of(['Delivered', 'Rejected'])
}

const OUTCOMES = new Set(['Delivered', 'Rejected'])

type Digest = {
  readonly streams: Record<string, string[]>
  readonly commands: readonly string[]
  readonly effects: readonly string[]
}

const line = ({ type, data }: { readonly type: string; readonly data: unknown }): string =>
  `${type} ${JSON.stringify(data)}`

/** What a run comes to, apart from outcomes: they come when they come. */
function digest(log: EventLog, left: Left): Digest {
  const streams: Digest['streams'] = {}
  for (const [name, events] of log.streams)
    if (name.startsWith('/chaser/') && events.length > 0)
      streams[name] = events.filter(({ type }) => !OUTCOMES.has(type)).map(line)
  const sorted = (of: Map<string, string>) => [...of.values()].sort()
  return { streams, commands: sorted(left.commands), effects: sorted(left.effects) }
}

/** The naive run. */
function expectedOf(clock: Saga['clock']): Digest {
  const log = new EventLog(['loan', 'chaser'], BUCKETS, () => START)
  fill(log, random(SEED))
  const left: Left = { commands: new Map(), effects: new Map() }
  const definition = chaserOf(
    mailOf(left, () => false),
    clock,
  )
  const streams = new Map<string, { instance: SagaInstance; events: NewSagaEvent[] }>()
  const decided = (id: string, decide: (decision: SagaDecision) => void): void => {
    const { instance, events } = streams.get(id) ?? { instance: ABSENT_INSTANCE, events: [] }
    const key = { id, tenant: '' }
    const limits = { actions: 100, firings: 100 }
    const decision = new SagaDecision(definition, key, instance, events.length, limits)
    decide(decision)
    streams.set(id, { instance: decision.instance, events: [...events, ...decision.events] })
  }
  for (const events of log.partitions.get('loan') ?? []) {
    let now = 0
    for (const event of events) {
      now = Math.max(now, event.time)
      const limit = clock === 'replay' ? now : event.time
      const bucket = [...streams.keys()].filter(id => log.bucketOf(id) === event.bucket)
      if (clock === 'replay') for (const id of bucket) decided(id, each => each.fireDue(limit))
      decided(event.stream.split('-')[0] as string, each => void each.take(event, limit))
    }
    const end = clock === 'replay' ? now : Number.MAX_SAFE_INTEGER
    const bucket = [...streams.keys()].filter(id => log.bucketOf(id) === events[0]?.bucket)
    for (const id of bucket) decided(id, each => each.fireDue(end))
  }
  const all = [...streams.values()].flatMap(({ events }) => events)
  const begun = [...streams].filter(([, { events }]) => events.length > 0)
  return {
    streams: Object.fromEntries(
      begun.map(([id, { events }]) => [`/chaser/${id}`, events.map(line)]),
    ),
    commands: all
      .flatMap(({ type, data }) =>
        type === 'CommandSent' ? `${data.id} ${JSON.stringify(data.data)}` : [],
      )
      .sort(),
    effects: all
      .flatMap(({ type, data }) =>
        type === 'EffectSent' ? `${(data.data as { n: number }).n}` : [],
      )
      .sort(),
  }
}

describe.each(['replay', 'wall'] as const)('clock %s: a saga whose node dies', clock => {
  test('comes to the same streams, commands and effects, whatever step it dies at', async () => {
    const expected = expectedOf(clock)
    expect(expected.commands.length).toBeGreaterThan(5)
    expect(expected.effects.length).toBeGreaterThan(5)
    let deaths = 0
    for (let run = 0; run < RUNS; run += 1) {
      const next = random(SEED + run + 1)
      const steps = () => 1 + Math.floor(next() ** 2 * 150)
      const lives = Array.from({ length: Math.floor(next() * 5) }, steps)
      const pageEvents = [1, 2, 7, 1000][Math.floor(next() * 4)] as number
      const { log, left, ...rest } = await play({
        ...{ clock, pageEvents, lives },
        fails: () => next() < 0.1,
      })
      deaths += rest.deaths
      const replay = `SEED=${SEED} npx vitest run --project sim packages/model/test/sagas (run ${run}: lives ${lives}, pages of ${pageEvents})`
      expect(digest(log, left), replay).toEqual(expected)
    }
    expect(deaths).toBeGreaterThan(RUNS)
  })
})
