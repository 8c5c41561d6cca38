/** An application on a log: its folder, its store, its read models. */
import { join } from 'node:path'
import type { Log } from '@millrace/log'
import { type Application, INDEX_FOLDER, type ModelEvent, startApplication } from '@millrace/model'
import type { StoreEvent } from '@millrace/store'
import type { ApplicationDefinition, Views } from 'millrace'

type Parts = ApplicationDefinition['projections'] & object

/** Folder of the applications within a data folder. */
const FOLDER = 'applications'

/** The folder of an application within a data folder. */
export function applicationFolder(data: string, name: string): string {
  return join(data, FOLDER, name)
}

/** The folder of an application's index within its folder, where the runtime keeps it. */
export const indexFolder = (folder: string): string => join(folder, INDEX_FOLDER)

/** What an application is run with. */
export type RunOptions = {
  readonly log: Log
  /** `null`: indexes and read models in memory. */
  readonly folder: string | null
  /** What runs beside commands: nothing; projections; sagas and effects, too. Default all. */
  readonly parts?: 'commands' | 'projections' | 'all'
  readonly onEvent?: (event: ModelEvent | StoreEvent) => void
}

/** An application of a file, running. */
export type RunningApplication = Application<
  ApplicationDefinition['aggregates'],
  NonNullable<ApplicationDefinition['projections']>
>

/** Starts it. Throws as `startApplication` does. */
export async function runApplication(
  definition: ApplicationDefinition,
  options: RunOptions,
): Promise<RunningApplication> {
  const { name, aggregates, projections, sagas, effects, subscriptions, views } = definition
  const { middleware, audit, keys, settings } = definition
  const { parts = 'all' } = options
  const all = parts === 'all'
  const application = await startApplication({
    name,
    log: options.log,
    folder: options.folder,
    aggregates,
    ...(parts !== 'commands' && projections !== undefined ? { projections } : {}),
    ...(all && sagas !== undefined ? { sagas } : {}),
    ...(all && effects !== undefined ? { effects } : {}),
    ...(all && subscriptions !== undefined ? { subscriptions } : {}),
    ...(all && views !== undefined ? { views } : {}),
    ...(audit === undefined ? {} : { audit }),
    ...(middleware === undefined ? {} : { middleware }),
    ...(keys === undefined ? {} : { keys }),
    ...(settings === undefined ? {} : { settings }),
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
  })
  return application as unknown as RunningApplication
}

/** The read models of a running application, for `figures`. */
export const viewsOf = (application: RunningApplication): Views<Parts> =>
  application.projections as unknown as Views<Parts>
