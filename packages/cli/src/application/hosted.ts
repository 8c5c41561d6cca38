/** An application that runs within a node: `millrace start --app`. */
import { sleep, systemOutside } from '@millrace/base'
import { CommandError, EXIT } from 'millrace/errors'
import type { Logger, RunningNode } from 'millrace/node'
import type { CommandContext } from '../terminal/context.ts'
import { LiveFigures } from './live-figures.ts'
import { loadApplication } from './load-application.ts'
import { applicationFolder, runApplication, viewsOf } from './run-application.ts'

/** What `start` is told of an application. */
export type HostedOptions = {
  /** Name or path. */
  readonly application: string
  /** Whether it makes traffic of its own. */
  readonly demo: boolean
}

/** An application that runs. */
export type HostedApplication = {
  /** Ends the demonstration, then the application. */
  close(): Promise<void>
}

/** Starts an application on a node's log, in the node's data folder. */
export async function hostApplication(
  node: RunningNode,
  options: HostedOptions,
  context: CommandContext,
  logger: Logger,
): Promise<HostedApplication> {
  const definition = await loadApplication(options.application, process.cwd())
  const { name, demo, figures } = definition
  if (options.demo && demo === undefined) {
    throw new CommandError(`application ${name} has no demonstration`, EXIT.usage)
  }
  const application = await runApplication(definition, {
    log: node.log,
    folder: applicationFolder(node.data, name),
    onEvent: event => logger.info({ part: 'application', ...event }, event.kind),
  })
  node.applications.add(name, {
    processors: () => application.processors(),
    projections: Object.values(application.projections),
  })
  const closing = new AbortController()
  let traffic: Promise<void> = Promise.resolve()
  if (options.demo && demo !== undefined) {
    const { timers } = systemOutside()
    traffic = demo(application as never, {
      signal: closing.signal,
      random: Math.random,
      pause: ms => sleep(timers, ms, closing.signal),
    }).catch((error: unknown) => {
      if (!closing.signal.aborted) logger.error({ part: 'demo' }, String(error))
    })
  }
  const shown =
    figures === undefined || context.json
      ? undefined
      : new LiveFigures({
          name: demo !== undefined && options.demo ? `${name} with demonstration traffic` : name,
          output: context.stdout,
          application,
          figures: () => figures(viewsOf(application)),
          now: () => performance.now(),
        })
  return {
    close: async () => {
      shown?.end()
      node.applications.remove(name)
      closing.abort()
      await traffic
      await application.close()
    },
  }
}
