// The kit that users test their aggregates with: what it lets pass, and what it says otherwise.
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type AggregateSettings, aggregate, reject } from '../../src/define/aggregate.ts'
import { type } from '../../src/define/schema.ts'
import { scenario } from '../../src/testing/index.ts'

const basket = aggregate('basket', {
  events: {
    Added: z.object({ item: z.string(), count: z.number().default(1) }),
    Ordered: type<{ at: number; by: string; note: string | undefined }>(),
  },
  initial: () => ({ items: [] as string[], ordered: false }),
  evolve: {
    Added: (state, { item }) => ({ ...state, items: [...state.items, item] }),
    Ordered: state => ({ ...state, ordered: true }),
  },
  commands: {
    add: z.object({ item: z.string().min(1), count: z.number().optional() }),
    order: type<void>(),
    clear: type<void>(),
  },
  decide: {
    add: ({ item, count }, state, { Added }) =>
      state.ordered
        ? reject({ code: 'ordered', items: state.items.length })
        : Added({ item, count }),
    order: (_, state, { Ordered }, { id, now, newId }) =>
      state.items.length === 0
        ? reject('empty')
        : [Ordered({ at: now, by: `${id} ${newId()}`, note: undefined })],
    clear: () => [],
  },
  options: {
    on: { Added: { upcast: [(old: { name: string }) => ({ item: old.name, count: 1 })] } },
  },
})

const added = (item: string) => ({ type: 'Added', data: { item, count: 1 } }) as const
const messageOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    expect(error).toMatchObject({ name: 'AssertionError' })
    return (error as Error).message
  }
  throw new Error('it passed')
}

describe('what holds passes', () => {
  test('events, as their schemas give them, and undefined as JSON leaves it out', () => {
    scenario(basket, { id: 'b', now: 7 })
      .given([added('tea')])
      .when('add', { item: 'milk' })
      .expectEvents([{ type: 'Added', data: { item: 'milk', count: 1 } }])
      .when('order')
      .expectEvents([{ type: 'Ordered', data: { at: 7, by: 'b id-1', note: undefined } }])
      .expectState({ items: ['tea', 'milk'], ordered: true })
      .when('add', { item: 'salt' })
      .expectRejection({ code: 'ordered', items: 2 })
  })

  test('rejections, nothing, and errors by their code', () => {
    scenario(basket).when('order').expectRejection('empty')
    scenario(basket).when('clear').expectNothing()
    scenario(basket).when('add', { item: '' }).expectError('INVALID_COMMAND')
  })

  test('events of an earlier schema are brought up', () => {
    const old = { type: 'Added', data: { name: 'tea' }, schemaVersion: 1 } as const
    expect(scenario(basket).given([old]).state.items).toEqual(['tea'])
  })

  test('a scenario is not changed by what follows', () => {
    const empty = scenario(basket)
    empty.given([added('tea')]).when('order')
    empty.when('order').expectRejection('empty')
  })
})

describe('what does not hold is told', () => {
  const one = scenario(basket).given([added('tea')])

  test('other events, with the difference', () => {
    const message = messageOf(() => one.when('add', { item: 'milk' }).expectEvents([added('silk')]))
    expect(message).toContain('basket.add at version 1 decided other events')
    expect(message).toMatch(/\+ +item: 'milk'\n.*- +item: 'silk'/)
  })

  test('a rejection where events were expected, and the other way round', () => {
    const rejected = messageOf(() => scenario(basket).when('order').expectEvents([]))
    expect(rejected).toContain('basket.order at version 0 was rejected')
    expect(rejected).toContain("rejected: 'empty'")
    const decided = messageOf(() => one.when('order').expectRejection('empty'))
    expect(decided).toContain('basket.order at version 1 decided events')
  })

  test('another reason', () => {
    const message = messageOf(() =>
      scenario(basket)
        .when('order')
        .expectRejection('full' as never),
    )
    expect(message).toContain('was rejected for another reason')
  })

  test('a failure, with its reason', () => {
    const message = messageOf(() => one.when('add', { item: '' }).expectEvents([]))
    expect(message).toMatch(/failed: INVALID_COMMAND: basket\.add\.item: /)
    expect(messageOf(() => one.when('clear').expectError('DECIDE_FAILED'))).toContain('decided')
    expect(messageOf(() => one.when('remove' as never).expectNothing())).toContain(
      'UNKNOWN_COMMAND',
    )
  })

  test('another state', () => {
    expect(messageOf(() => one.expectState({ items: [], ordered: false }))).toContain(
      'basket: the state is another one',
    )
  })
})

describe('what would fail later fails here', () => {
  const careless = (
    kind: 'evolve' | 'decide' | 'state' | 'event',
    options: AggregateSettings = {},
  ) =>
    aggregate('careless', {
      events: { Done: type<{ at: number }>() },
      initial: (): { list: number[]; seen: unknown } => ({
        list: [],
        seen: kind === 'state' ? new Map() : 0,
      }),
      evolve: {
        Done: (state, { at }) => {
          if (kind === 'evolve') state.list.push(at)
          return { ...state, list: [...state.list, at] }
        },
      },
      commands: { go: type<{ list: number[] }>() },
      decide: {
        go: (command, state, { Done }) => {
          if (kind === 'decide') state.list.sort()
          command.list.length
          return Done({ at: kind === 'event' ? Number.NaN : 1 })
        },
      },
      options,
    })
  const done = [{ type: 'Done', data: { at: 1 } }] as const

  test('an evolve that changes the state it was given', () => {
    expect(() => scenario(careless('evolve')).given(done)).toThrow(/EVOLVE_FAILED|not extensible/)
  })

  test('a decide that changes the state it was given', () => {
    const it = scenario(careless('decide')).given(done).given(done)
    it.when('go', { list: [] }).expectError('DECIDE_FAILED')
  })

  test('a state that a snapshot would not give back, unless there are none', () => {
    const dated = aggregate('dated', {
      events: { Done: type<{ at: number }>() },
      initial: (): { last: Date | null } => ({ last: null }),
      evolve: { Done: (_, { at }) => ({ last: new Date(at) }) },
      commands: {},
      decide: {},
    })
    expect(messageOf(() => scenario(dated).given(done))).toBe(
      'dated: the state after Done is not JSON: .last: a Date',
    )
    expect(() => scenario(careless('state'))).toThrow(
      'the state of careless is kept as JSON in snapshots, but begins with .seen: a Map',
    )
    scenario(careless('state', { snapshotEvery: 0 })).given(done)
  })

  test('an event that the log would not give back', () => {
    expect(messageOf(() => scenario(careless('event')).when('go', { list: [] }))).toContain(
      'data of Done is not JSON: .at: NaN',
    )
  })
})
