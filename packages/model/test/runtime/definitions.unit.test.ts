// Definitions that contradict each other are refused by name, before anything is opened.
import { describe, expect, test } from 'vitest'
import { type AggregateSettings, aggregate } from '../../src/define/aggregate.ts'
import { projection } from '../../src/define/projection.ts'
import { effect, saga } from '../../src/define/saga.ts'
import { type } from '../../src/define/schema.ts'
import {
  categoriesOf,
  categoriesOfApplication,
  checkDefinitions,
  type Definitions,
} from '../../src/runtime/definitions.ts'
import { subscription } from '../../src/subscriptions/index.ts'
import { liveView } from '../../src/views/index.ts'

const thing = (name: string, options: AggregateSettings = {}) =>
  aggregate(name, {
    events: { Made: type<{ who: string }>(), Gone: type<null>() },
    initial: () => ({}),
    evolve: { Made: s => s, Gone: s => s },
    commands: { paint: type<string>() },
    decide: { paint: () => [] },
    options: options as { readonly snapshotEvery?: number },
  })
const car = thing('car')
const view = (name: string, from = car) =>
  projection(name, {
    version: 1,
    from: [from],
    tables: type<object>(),
    create: () => [],
    on: { 'car.Made': () => [] },
  })
const watcher = (name: string, starts = 'car.Made', rejected: string[] = []) =>
  saga(name, {
    from: [car],
    starts: [starts as 'car.Made'],
    key: event => event.stream,
    initial: () => ({}),
    on: {},
    timers: {},
    rejected: Object.fromEntries(rejected.map(command => [command, () => []])),
  })
const mail = (name: string) => effect(name, type<string>(), async () => {})

const problemOf = (definitions: Partial<Definitions>): string => {
  try {
    checkDefinitions({
      aggregates: {},
      projections: {},
      sagas: {},
      effects: {},
      subscriptions: {},
      views: {},
      ...definitions,
    })
    return ''
  } catch (error) {
    expect(error).toMatchObject({ code: 'BAD_DEFINITION', retriable: false })
    return (error as Error).message
  }
}

test('definitions that fit pass', () => {
  const whole = {
    aggregates: { car, truck: thing('truck') },
    projections: { a: view('a'), b: view('b') },
    sagas: { w: watcher('w', 'car.Made', ['truck.paint']) },
    subscriptions: { s: subscription('s', { from: [car], batch: () => {} }) },
    effects: { mail: mail('mail') },
  }
  expect(problemOf(whole)).toBe('')
})

describe('refused', () => {
  const cases: [string, Partial<Definitions>, string][] = [
    [
      'a name that would make an application thenable',
      { aggregates: Object.fromEntries([['then', car]]) },
      'called then',
    ],
    ['a name of the application', { aggregates: { close: car } }, 'called close'],
    [
      'two aggregates of one name',
      { aggregates: { a: car, b: thing('car') } },
      'two aggregates are called car',
    ],
    [
      'two projections of one name',
      { aggregates: { car }, projections: { a: view('a'), b: view('a') } },
      'two projections are called a',
    ],
    ['two effects of one name', { effects: { a: mail('m'), b: mail('m') } }, 'two effects'],
    ['a name that is no topic', { aggregates: { a: thing('a b') } }, '"a b" is not 1 to 128 of'],
    ['a name with a dot', { aggregates: { a: thing('a.b') } }, 'aggregate a.b: a dot'],
    [
      'a projection of what is not there',
      { aggregates: {}, projections: { a: view('a') } },
      'projection a reads car, which the application is not started with',
    ],
    [
      'a projection of another aggregate of that name',
      { aggregates: { car: thing('car') }, projections: { a: view('a') } },
      'projection a reads car',
    ],
    [
      'a view of no event',
      {
        aggregates: { car },
        views: {
          v: liveView('v', {
            from: [car],
            initial: () => 0,
            on: { 'car.Maid': () => 1 } as object,
          }),
        },
      },
      'view v: none of its aggregates has an event car.Maid',
    ],
    [
      'a saga that starts with no event',
      { aggregates: { car }, sagas: { w: watcher('w', 'car.Maid') } },
      'saga w: none of its aggregates has an event car.Maid',
    ],
    [
      'a saga that hears of a command that there is not',
      { aggregates: { car }, sagas: { w: watcher('w', 'car.Made', ['car.paint', 'car.pant']) } },
      'saga w: no aggregate has a command car.pant',
    ],
    [
      'a saga that hears of an aggregate that there is not',
      { aggregates: { car }, sagas: { w: watcher('w', 'car.Made', ['cat.paint']) } },
      'saga w: no aggregate has a command cat.paint',
    ],
    [
      'a saga and a subscription of one name',
      {
        aggregates: { car },
        sagas: { w: watcher('w') },
        subscriptions: { w: subscription('w', { from: [car], batch: () => {} }) },
      },
      'two sagas and subscriptions are called w',
    ],
    [
      'a subscription to no event',
      {
        aggregates: { car },
        subscriptions: {
          w: subscription('w', { from: [car], types: ['car.Maid' as 'car.Made'], batch: () => {} }),
        },
      },
      'subscription w: none of its aggregates has an event car.Maid',
    ],
    [
      'a saga with the name of an aggregate',
      { aggregates: { car }, sagas: { w: watcher('car') } },
      'saga car has the name of an aggregate',
    ],
    [
      'options of no event',
      { aggregates: { a: thing('a', { on: { Maid: {} } }) } },
      'aggregate a has no event Maid',
    ],
  ]
  test.each(cases)('%s', (_name, definitions, problem) => {
    expect(problemOf(definitions)).toContain(problem)
  })
})

test('categories are closed, and carry what the store must know of each type', () => {
  const upcast = [(data: never) => data]
  const tags = () => ['x']
  const boundary = (id: string) => id
  const personal = { fields: ['who'], subject: 'id' }
  const on = { Made: { upcast, tags, personal } }
  expect(categoriesOf([thing('a', { boundary, buckets: 3, on }), car])).toEqual({
    a: {
      closed: true,
      boundary,
      buckets: 3,
      events: { Made: { upcast, tags, personal }, Gone: {} },
    },
    car: { closed: true, events: { Made: {}, Gone: {} } },
  })
})

test('sagas and what subscriptions park have categories of their own', () => {
  const fixed = thing('fixed', { buckets: 3 })
  const follow = saga('follow', {
    from: [fixed],
    starts: ['fixed.Made'],
    key: event => event.stream,
    initial: () => ({}),
    on: {},
    timers: {},
  })
  const definitions = {
    projections: {},
    views: {},
    effects: {},
    sagas: { follow },
    aggregates: { fixed },
  }
  const categories = categoriesOfApplication('app', { ...definitions, subscriptions: {} })
  expect(categories['follow']).toMatchObject({ buckets: 3 })
  expect(Object.keys(categories)).toEqual(['fixed', 'follow', 'app.parked'])
  const heard = { s: subscription('s', { from: [fixed], batch: () => {} }) }
  const more = categoriesOfApplication('app', { ...definitions, subscriptions: heard })
  expect(Object.keys(more)).toHaveLength(3)
})
