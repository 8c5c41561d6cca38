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
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type ClientOutside, systemClientOutside } from '@millrace/log'
import { DEFAULT_TENANT, type EventStore, openStore } from '@millrace/store'
import { CommandRunner } from '../commands/command-runner.ts'
import { foldOf } from '../commands/compiled.ts'
import { ModelError } from '../errors.ts'
import { createProjectionProcessor, type ProjectionProcessor } from '../projections/index.ts'
import type { SqlDatabase } from '../sql/port.ts'
import { openSqlite } from '../sql/sqlite.ts'
import type {
  Aggregates,
  Application,
  ApplicationOptions,
  Projections,
  TenantView,
} from './application.ts'
import { Closing } from './closing.ts'
import type { Processor, RuntimeContext } from './context.ts'
import { categoriesOf, checkDefinitions } from './definitions.ts'
import { Gate } from './gate.ts'
import { handlesOf } from './handles.ts'

type AnyOptions = ApplicationOptions<Aggregates, Projections>

const INDEX_FOLDER = 'index'
const READ_MODELS_FILE = 'read-models.sqlite'

/**
 * Starts an application.
 *
 * @throws ModelError BAD_DEFINITION for definitions that contradict each other, BAD_ARGUMENT for a
 *   missing folder; StoreError as `openStore` does; RangeError for a setting out of its bounds
 */
export async function startApplication<
  const A extends Aggregates,
  // biome-ignore lint/complexity/noBannedTypes: an application without projections
  const P extends Projections = {},
>(options: ApplicationOptions<A, P>): Promise<Application<A, P>> {
  checkDefinitions({
    aggregates: options.aggregates,
    projections: options.projections ?? {},
    sagas: options.sagas ?? {},
    effects: options.effects ?? {},
  })
  const starting = new Starting(options as unknown as AnyOptions)
  try {
    return (await starting.start()) as unknown as Application<A, P>
  } catch (error) {
    await starting.closing.close().catch(() => {
      // The failure of the start says more.
    })
    throw error
  }
}

/** Puts the parts together. */
class Starting {
  readonly closing: Closing = new Closing()
  readonly #options: AnyOptions
  readonly #outside: ClientOutside

  constructor(options: AnyOptions) {
    this.#options = options
    this.#outside = options.outside ?? systemClientOutside()
  }

  async start(): Promise<Application<Aggregates, Projections>> {
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
    const projections = await this.#projections(context)
    const processors: readonly Processor[] = [...projections.values()]
    await this.#startAll(processors)
    const gate = new Gate(runner)
    this.closing.add(() => gate.close())
    return this.#application(store, gate, projections, processors)
  }

  async #store(): Promise<EventStore> {
    const { store, log, aggregates, keys, audit, settings, onEvent } = this.#options
    if (store !== undefined) return store
    const folder = await this.#folder('store')
    const opened = await openStore({
      log,
      folder: folder === null ? null : join(folder, INDEX_FOLDER),
      categories: categoriesOf(Object.values(aggregates)),
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
    const definitions = Object.entries(this.#options.projections ?? {})
    if (definitions.length === 0) return new Map()
    const sql = await this.#sql()
    const settings = this.#options.settings?.projections ?? {}
    return new Map(
      definitions.map(([key, definition]) => [
        key,
        createProjectionProcessor(definition, context, sql, { settings }),
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
    if (folder !== null) await mkdir(folder, { recursive: true })
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
    projections: ReadonlyMap<string, ProjectionProcessor<unknown>>,
    processors: readonly Processor[],
  ): Application<Aggregates, Projections> {
    const { aggregates } = this.#options
    const view = (tenant: string): object => {
      const state: TenantView<Aggregates>['state'] = (of, id, at) =>
        store.aggregate({ tenant, category: of.name, id }, foldOf(of), at) as never
      return { ...handlesOf(gate, aggregates, tenant), state }
    }
    const close = (): Promise<void> => this.closing.close()
    const application = {
      ...view(DEFAULT_TENANT),
      projections: Object.fromEntries(projections),
      store,
      commands: gate,
      tenant: view,
      processors: () => processors.map(one => one.status()),
      close,
      [Symbol.asyncDispose]: close,
    }
    return application as unknown as Application<Aggregates, Projections>
  }
}
