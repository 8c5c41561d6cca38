/**
 * Starts an application: opens its store, runs its commands, starts its processors, and gives a
 * program typed handles on all of it.
 *
 *   const bank = await startApplication({ name: 'bank', log, folder, aggregates: { loan }, … })
 *   const done = await bank.loan('185548').submit({ amount: 20_000 })
 *   if (done.ok) await bank.projections.openLoans.reached(done.checkpoint)
 *
 * Definitions are held against each other before anything is opened. What was opened is closed again
 * when a later step fails, in the reverse order, as it is by `close()`.
 */
import { join } from 'node:path'
import { makeFolders, type Outside, resolveSettings, systemOutside, Turns } from '@millrace/base'
import { DEFAULT_TENANT, type EventStore, openStore } from '@millrace/store'
import { CommandRunner } from '../commands/command-runner.ts'
import { foldOf } from '../commands/compiled.ts'
import type { Processor, RuntimeContext } from '../context.ts'
import { createEffectRunner, type EffectRunner } from '../effects/index.ts'
import { ModelError } from '../errors.ts'
import {
  createProjectionProcessor,
  PROJECTION_SETTINGS,
  type ProjectionProcessor,
} from '../projections/index.ts'
import { createSagaProcessor, type SagaProcessor } from '../sagas/index.ts'
import type { SqlDatabase } from '../sql/port.ts'
import { openSqlite } from '../sql/sqlite.ts'
import { createSubscription, type SubscriptionProcessor } from '../subscriptions/index.ts'
import { LiveViewProcessor } from '../views/index.ts'
import type {
  Aggregates,
  Application,
  ApplicationOptions,
  Projections,
  Sagas,
  Subscriptions,
  TenantView,
  Views,
} from './application.ts'
import { Closing } from './closing.ts'
import { categoriesOfApplication, checkDefinitions, type Definitions } from './definitions.ts'
import { Gate } from './gate.ts'
import { handlesOf } from './handles.ts'

type AnyOptions = ApplicationOptions<Aggregates, Projections, Sagas, Subscriptions, Views>
type AnyApplication = Application<Aggregates, Projections, Sagas, Subscriptions, Views>

/** What follows events, by the names that the program gives. */
type Processors = {
  readonly projections: ReadonlyMap<string, ProjectionProcessor<unknown>>
  readonly sagas: ReadonlyMap<string, SagaProcessor>
  readonly subscriptions: ReadonlyMap<string, SubscriptionProcessor>
  readonly views: ReadonlyMap<string, LiveViewProcessor<unknown>>
}

/** Within an application's folder: the store's index. */
export const INDEX_FOLDER = 'index'
const READ_MODELS_FILE = 'read-models.sqlite'

// biome-ignore-start lint/complexity/noBannedTypes: an application without any of a kind
/**
 * Starts an application.
 *
 * @throws ModelError BAD_DEFINITION for definitions that contradict each other, BAD_ARGUMENT for a
 *   missing folder; StoreError as `openStore` does; RangeError for a setting out of its bounds
 */
export async function startApplication<
  const A extends Aggregates,
  const P extends Projections = {},
  const G extends Sagas = {},
  const U extends Subscriptions = {},
  const V extends Views = {},
>(options: ApplicationOptions<A, P, G, U, V>): Promise<Application<A, P, G, U, V>> {
  const starting = new Starting(options as unknown as AnyOptions)
  try {
    return (await starting.start()) as unknown as Application<A, P, G, U, V>
  } catch (error) {
    await starting.closing.close().catch(() => {
      // The failure of the start says more.
    })
    throw error
  }
}
// biome-ignore-end lint/complexity/noBannedTypes: as above

/** Puts the parts together. */
class Starting {
  readonly closing: Closing = new Closing()
  readonly #options: AnyOptions
  readonly #definitions: Definitions
  readonly #outside: Outside

  constructor(options: AnyOptions) {
    this.#options = options
    this.#outside = options.outside ?? systemOutside()
    this.#definitions = {
      aggregates: options.aggregates,
      projections: options.projections ?? {},
      sagas: options.sagas ?? {},
      effects: options.effects ?? {},
      subscriptions: options.subscriptions ?? {},
      views: options.views ?? {},
    }
  }

  async start(): Promise<AnyApplication> {
    checkDefinitions(this.#definitions)
    const { name, log, onEvent } = this.#options
    const store = await this.#store()
    const runner = this.#runner(store)
    const context: RuntimeContext = {
      name,
      store,
      log,
      outside: this.#outside,
      commands: runner,
      onEvent: onEvent ?? (() => {}),
    }
    const effects = this.#effects(store)
    const processors: Processors = {
      projections: await this.#projections(context),
      sagas: this.#sagas(context, effects),
      subscriptions: this.#subscriptions(context),
      views: this.#views(context),
    }
    const all = Object.values(processors).flatMap((kind): Processor[] => [...kind.values()])
    await this.#startAll(all)
    const gate = new Gate(runner)
    this.closing.add(() => gate.close())
    return this.#application(store, gate, processors, {
      processors: () => all.map(one => one.status()),
      effects: () => effects.status(),
    })
  }

  async #store(): Promise<EventStore> {
    const { name, store, log, keys, audit, settings, onEvent } = this.#options
    if (store !== undefined) return store
    const folder = await this.#folder('store')
    const opened = await openStore({
      log,
      folder: folder === null ? null : join(folder, INDEX_FOLDER),
      categories: categoriesOfApplication(name, this.#definitions),
      outside: this.#outside,
      ...(keys === undefined ? {} : { keys }),
      ...(audit === undefined ? {} : { audit }),
      ...(settings?.store === undefined ? {} : { settings: settings.store }),
      ...(onEvent === undefined ? {} : { onEvent }),
    })
    this.closing.add(() => opened.close())
    return opened
  }

  #runner(store: EventStore): CommandRunner {
    const { aggregates, middleware, settings } = this.#options
    return new CommandRunner({
      store,
      outside: this.#outside,
      aggregates: Object.values(aggregates),
      middleware: middleware ?? [],
      settings: settings?.commands ?? {},
      policy: settings?.policy ?? {},
    })
  }

  async #projections(
    context: RuntimeContext,
  ): Promise<ReadonlyMap<string, ProjectionProcessor<unknown>>> {
    const definitions = Object.entries(this.#definitions.projections)
    if (definitions.length === 0) return new Map()
    const sql = await this.#sql()
    const settings = this.#options.settings?.projections ?? {}
    const turnMs = resolveSettings(PROJECTION_SETTINGS, settings)['projection.turn.ms']
    const turns = new Turns(this.#outside, turnMs)
    return new Map(
      definitions.map(([key, definition]) => [
        key,
        createProjectionProcessor(definition, { ...context, turns }, sql, { settings }),
      ]),
    )
  }

  #effects(store: EventStore): EffectRunner {
    const { effects, retry } = this.#options.settings ?? {}
    return createEffectRunner(
      this.#definitions.effects,
      { outside: this.#outside, store },
      {
        ...(effects === undefined ? {} : { settings: effects }),
        ...(retry?.effects === undefined ? {} : { retry: retry.effects }),
        ...(retry?.of === undefined ? {} : { retryOf: retry.of }),
      },
    )
  }

  #sagas(context: RuntimeContext, effects: EffectRunner): ReadonlyMap<string, SagaProcessor> {
    const { sagas = {}, followers = {} } = this.#options.settings ?? {}
    const options = { effects, settings: sagas, follower: followers }
    return new Map(
      Object.entries(this.#definitions.sagas).map(([key, definition]) => [
        key,
        createSagaProcessor(definition, context, options),
      ]),
    )
  }

  #subscriptions(context: RuntimeContext): ReadonlyMap<string, SubscriptionProcessor> {
    const settings = this.#options.settings?.followers ?? {}
    return new Map(
      Object.entries(this.#definitions.subscriptions).map(([key, definition]) => [
        key,
        createSubscription(definition, context, { settings }),
      ]),
    )
  }

  #views(context: RuntimeContext): ReadonlyMap<string, LiveViewProcessor<unknown>> {
    const settings = this.#options.settings?.views ?? {}
    return new Map(
      Object.entries(this.#definitions.views).map(([key, definition]) => [
        key,
        new LiveViewProcessor(definition, context, { settings }),
      ]),
    )
  }

  async #sql(): Promise<SqlDatabase> {
    const { sql, settings } = this.#options
    if (sql !== undefined) return sql
    const folder = await this.#folder('sql')
    const opened = await openSqlite({
      file: folder === null ? ':memory:' : join(folder, READ_MODELS_FILE),
      ...(settings?.sql === undefined ? {} : { settings: settings.sql }),
    })
    this.closing.add(() => opened.close())
    return opened
  }

  async #folder(instead: string): Promise<string | null> {
    const { folder } = this.#options
    if (folder === undefined) {
      throw new ModelError(
        'BAD_ARGUMENT',
        `folder is missing: a path, null for memory, or ${instead} in its place`,
      )
    }
    if (folder !== null) makeFolders(folder)
    return folder
  }

  /** Starts all, or stops those that started. */
  async #startAll(processors: readonly Processor[]): Promise<void> {
    this.closing.add(async () => {
      await Promise.allSettled(processors.map(one => one.stop()))
    })
    await Promise.all(processors.map(one => one.start()))
  }

  #application(
    store: EventStore,
    gate: Gate,
    { projections, sagas, subscriptions, views }: Processors,
    statuses: Pick<AnyApplication, 'processors' | 'effects'>,
  ): AnyApplication {
    const { aggregates } = this.#options
    const view = (tenant: string): object => {
      const state: TenantView<Aggregates>['state'] = (of, id, at) =>
        store.aggregate({ tenant, category: of.name, id }, foldOf(of), at) as never
      return { ...handlesOf(gate, aggregates, tenant), state }
    }
    const close = (): Promise<void> => this.closing.close()
    const application = {
      ...view(DEFAULT_TENANT),
      ...statuses,
      projections: Object.fromEntries(projections),
      sagas: Object.fromEntries(sagas),
      subscriptions: Object.fromEntries(subscriptions),
      views: Object.fromEntries(views),
      store,
      commands: gate,
      tenant: view,
      close,
      [Symbol.asyncDispose]: close,
    }
    return application as unknown as AnyApplication
  }
}
