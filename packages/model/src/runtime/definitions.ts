/**
 * The definitions of an application, held against each other before anything is opened, and the
 * categories of the store that they come to.
 */
import type { CategoryOptions, EventTypeOptions } from '@millrace/store'
import type { Aggregate } from '../define/aggregate.ts'
import type { Projection } from '../define/projection.ts'
import type { Effect, Saga } from '../define/saga.ts'
import type { Schemas } from '../define/schema.ts'
import { ModelError } from '../errors.ts'
import { sagaCategory } from '../sagas/index.ts'
import { parkedCategory, type Subscription } from '../subscriptions/index.ts'
import type { LiveView } from '../views/index.ts'

/** What an application is made of, by the names that the program gives. */
export type Definitions = {
  readonly aggregates: Readonly<Record<string, Aggregate>>
  readonly projections: Readonly<Record<string, Projection>>
  readonly sagas: Readonly<Record<string, Saga>>
  readonly effects: Readonly<Record<string, Effect>>
  readonly subscriptions: Readonly<Record<string, Subscription>>
  // biome-ignore lint/suspicious/noExplicitAny: views of any state
  readonly views: Readonly<Record<string, LiveView<any>>>
}

/** Names that a handle or an application needs for itself; `then` would make it thenable. */
export const RESERVED: readonly string[] = [
  'then',
  'close',
  'projections',
  'sagas',
  'subscriptions',
  'effects',
  'views',
  'processors',
  'commands',
  'state',
  'store',
  'tenant',
]

// Categories are topics; names of projections, sagas and effects are parts of topics and tables.
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/

/** Throws BAD_DEFINITION, naming what contradicts. */
export function checkDefinitions(definitions: Definitions): void {
  const { aggregates, projections, sagas, effects, subscriptions, views } = definitions
  for (const key of Object.keys(aggregates)) {
    if (RESERVED.includes(key)) bad(`no aggregate may be called ${key}: the name is reserved`)
  }
  const known = namesOf('aggregates', aggregates)
  for (const aggregate of known.values()) checkAggregate(aggregate)
  namesOf('effects', effects)
  for (const one of namesOf('projections', projections).values()) {
    checkSources(`projection ${one.name}`, one.from, known)
    checkTypes(`projection ${one.name}`, Object.keys(one.on), one.from)
  }
  for (const one of namesOf('views', views).values()) {
    checkSources(`view ${one.name}`, one.from, known)
    checkTypes(`view ${one.name}`, Object.keys(one.on), one.from)
  }
  for (const one of namesOf('sagas', sagas).values()) {
    checkSources(`saga ${one.name}`, one.from, known)
    checkTypes(`saga ${one.name}`, [...one.starts, ...Object.keys(one.on)], one.from)
    checkCommands(`saga ${one.name}`, Object.keys(one.rejected), known)
    if (known.has(one.name)) bad(`saga ${one.name} has the name of an aggregate`)
  }
  for (const one of namesOf('subscriptions', subscriptions).values()) {
    checkSources(`subscription ${one.name}`, one.from, known)
    checkTypes(`subscription ${one.name}`, one.types ?? [], one.from)
  }
  // Both follow as members of a consumer group of their name.
  namesOf('sagas and subscriptions', [...Object.values(sagas), ...Object.values(subscriptions)])
}

function namesOf<T extends { readonly name: string }>(
  kind: string,
  all: Readonly<Record<string, T>> | readonly T[],
): ReadonlyMap<string, T> {
  const names = new Map<string, T>()
  for (const one of Object.values(all)) {
    if (!NAME.test(one.name)) {
      bad(`${kind}: ${JSON.stringify(one.name)} is not 1 to 128 of a-z A-Z 0-9 . _ -`)
    }
    if (names.has(one.name)) bad(`two ${kind} are called ${one.name}`)
    names.set(one.name, one)
  }
  return names
}

function checkAggregate({ name, events, options, commands }: Aggregate): void {
  if (name.includes('.')) bad(`aggregate ${name}: a dot parts it from its events' types`)
  if ('then' in (commands as Schemas)) bad(`aggregate ${name}: no command may be called then`)
  for (const type of Object.keys(options.on ?? {})) {
    if (!Object.hasOwn(events as Schemas, type)) bad(`aggregate ${name} has no event ${type}`)
  }
}

function checkSources(
  what: string,
  from: readonly Aggregate[],
  known: ReadonlyMap<string, Aggregate>,
): void {
  for (const aggregate of from) {
    if (known.get(aggregate.name) !== aggregate) {
      bad(`${what} reads ${aggregate.name}, which the application is not started with`)
    }
  }
}

function checkTypes(what: string, types: readonly string[], from: readonly Aggregate[]): void {
  const known = new Set(
    from.flatMap(({ name, events }) =>
      Object.keys(events as Schemas).map(type => `${name}.${type}`),
    ),
  )
  for (const type of types) {
    if (!known.has(type)) bad(`${what}: none of its aggregates has an event ${type}`)
  }
}

/** A saga may send commands to any aggregate, and hears by full name of those that were refused. */
function checkCommands(
  what: string,
  commands: readonly string[],
  known: ReadonlyMap<string, Aggregate>,
): void {
  for (const full of commands) {
    const [name = '', command = ''] = full.split('.', 2)
    if (!Object.hasOwn((known.get(name)?.commands ?? {}) as Schemas, command)) {
      bad(`${what}: no aggregate has a command ${full}`)
    }
  }
}

const bad = (detail: string): never => {
  throw new ModelError('BAD_DEFINITION', detail)
}

/**
 * The categories that a store must be opened with for an application: those of its aggregates, of
 * its sagas' own streams, and of what its subscriptions and sagas have parked.
 */
export function categoriesOfApplication(
  name: string,
  { aggregates, sagas, subscriptions }: Definitions,
): Readonly<Record<string, CategoryOptions>> {
  const categories = { ...categoriesOf(Object.values(aggregates)) }
  const add = (category: string, options: CategoryOptions): void => {
    if (Object.hasOwn(categories, category)) bad(`two categories are called ${category}`)
    categories[category] = options
  }
  for (const one of Object.values(sagas)) {
    const buckets = commonBucketsOf(one.from)
    add(one.name, { ...sagaCategory(one), ...(buckets === undefined ? {} : { buckets }) })
  }
  if (Object.keys(subscriptions).length + Object.keys(sagas).length > 0) {
    const parked = parkedCategory(name)
    add(parked.name, parked.options)
  }
  return categories
}

/** A saga has as many buckets as its sources, so that an equal boundary is an equal bucket. */
function commonBucketsOf(from: readonly Aggregate[]): number | undefined {
  const [first, ...others] = new Set(from.map(({ options }) => options.buckets))
  return others.length === 0 ? first : undefined
}

/**
 * The store's categories of aggregates: one each, under the aggregate's name, closed. The schemas
 * are not among what the store is told: decisions validate their events, and a schema that changes
 * what it takes would do so twice.
 */
export function categoriesOf(
  aggregates: readonly Aggregate[],
): Readonly<Record<string, CategoryOptions>> {
  return Object.fromEntries(aggregates.map(one => [one.name, categoryOf(one)]))
}

function categoryOf({ events, options }: Aggregate): CategoryOptions {
  const types: Record<string, EventTypeOptions> = {}
  for (const type of Object.keys(events as Schemas)) {
    const { upcast, personal, tags } = options.on?.[type] ?? {}
    types[type] = {
      ...(upcast === undefined
        ? {}
        : { upcast: upcast as NonNullable<EventTypeOptions['upcast']> }),
      ...(personal === undefined ? {} : { personal }),
      ...(tags === undefined ? {} : { tags: tags as NonNullable<EventTypeOptions['tags']> }),
    }
  }
  return {
    events: types,
    closed: true,
    ...(options.boundary === undefined ? {} : { boundary: options.boundary }),
    ...(options.buckets === undefined ? {} : { buckets: options.buckets }),
  }
}
