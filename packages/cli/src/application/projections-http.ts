/** The projections of an application that runs within a node, over the node's HTTP side. */
import type { ParkedStream, Redriven } from '@millrace/model'
import type { StreamRef } from '@millrace/store'
import { CommandError, EXIT } from 'millrace/errors'
import type { ShownProcessor } from 'millrace/node'

/** How long a node may take to answer. A redrive handles events meanwhile. */
const ANSWER_MS_MAX = 600_000

type ShownApplication = {
  readonly name: string
  readonly processors: readonly ShownProcessor[]
}

/** Asks a node at HOST:PORT about one of its applications. */
export class ProjectionsHttp {
  readonly #address: string
  readonly #application: string

  constructor(address: string, application: string) {
    this.#address = address
    this.#application = application
  }

  /** Its projections. @throws CommandError when the node does not run the application */
  async list(): Promise<readonly ShownProcessor[]> {
    const applications = (await this.#ask('/applications')) as readonly ShownApplication[]
    const found = applications.find(({ name }) => name === this.#application)
    if (found === undefined) {
      const names = applications.map(({ name }) => name).join(', ')
      throw new CommandError(
        `the node at ${this.#address} does not run application ${this.#application}`,
        EXIT.failed,
        names === ''
          ? 'Start it with --app, wait until it has started, or give --data.'
          : `It runs: ${names}.`,
      )
    }
    return found.processors.filter(({ kind }) => kind === 'projection')
  }

  async parked(projection: string): Promise<readonly ParkedStream[]> {
    return (await this.#ask(this.#path(projection, 'parked'))) as readonly ParkedStream[]
  }

  /** Begins a rebuild. */
  async rebuild(projection: string): Promise<void> {
    await this.#ask(this.#path(projection, 'rebuild'), {})
  }

  async redrive(
    projection: string,
    what: StreamRef | { readonly limit: number },
  ): Promise<readonly Redriven[]> {
    const body = 'limit' in what ? what : { stream: what }
    return (await this.#ask(this.#path(projection, 'redrive'), body)) as readonly Redriven[]
  }

  #path(projection: string, action: string): string {
    const names = [this.#application, 'projections', projection, action].map(encodeURIComponent)
    return `/applications/${names.join('/')}`
  }

  async #ask(path: string, body?: object): Promise<unknown> {
    const url = `http://${this.#address}${path}`
    let response: Response
    try {
      response = await fetch(url, {
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
        ...(body === undefined
          ? {}
          : {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify(body),
            }),
      })
    } catch (cause) {
      throw new CommandError(
        `no node answers at http://${this.#address}`,
        EXIT.unreachable,
        'Start one with "millrace start --app NAME", name its HTTP side with --http HOST:PORT, or give --data DIR.',
        cause,
      )
    }
    const answer = (await response.json().catch(() => ({}))) as { readonly error?: string }
    if (response.ok) return answer
    throw new CommandError(answer.error ?? `the node answers ${response.status}`, EXIT.failed)
  }
}
