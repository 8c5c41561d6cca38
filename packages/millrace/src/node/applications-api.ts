/**
 * Applications on the node's HTTP side, for the command `millrace projections` and for dashboards:
 *
 *   GET  /applications                                      each with its processors
 *   GET  /applications/APP/projections/NAME/parked          streams that are passed over
 *   POST /applications/APP/projections/NAME/rebuild         begins; 202
 *   POST /applications/APP/projections/NAME/redrive         {"limit": 10} or {"stream": {…}}
 *
 * Nobody authenticates on this port, so what changes something is taken from this machine alone and
 * never from a web page: a body of type application/json, which no form can send, from a loopback
 * address, without an `origin`, which every browser adds. And nothing is answered to who asks for a
 * host by a name other than localhost: a page whose name was made to resolve to this machine would
 * be allowed to read the answer. Bounds: {@link BODY_BYTES_MAX} of a body,
 * one rebuild of a projection at a time.
 */
import type { IncomingMessage } from 'node:http'
import type { ParkedStream, ProcessorStatus, Redriven } from '@millrace/model'
import type { StreamRef } from '@millrace/store'
import { isOwnHost } from './own-host.ts'

const BODY_BYTES_MAX = 4_096
const REDRIVE_LIMIT = 100
const LOOPBACK = /^(::1|(::ffff:)?127(\.\d{1,3}){3})$/

/** A projection as the port asks for it. */
export type AdministeredProjection = {
  readonly name: string
  rebuild(): Promise<void>
  parked(): Promise<readonly ParkedStream[]>
  redrive(what: StreamRef | { readonly limit: number }): Promise<readonly Redriven[]>
}

/** What an application lets be seen and done. */
export type AdministeredApplication = {
  readonly processors: () => readonly ProcessorStatus[]
  readonly projections: readonly AdministeredProjection[]
}

/** How the last rebuild of a projection went. */
export type RebuildState = {
  readonly state: 'under way' | 'done' | 'failed'
  readonly reason?: string
}

/** A processor as `/applications` shows it. */
export type ShownProcessor = ProcessorStatus & { readonly rebuild?: RebuildState }

/** An answer: a status and JSON. */
export type Answer = { readonly status: number; readonly body: object }

/** The applications that run within a node. */
export class ApplicationsApi {
  readonly #applications = new Map<string, AdministeredApplication>()
  readonly #rebuilds = new Map<string, RebuildState>()

  /** From now on it is shown. */
  add(name: string, application: AdministeredApplication): void {
    this.#applications.set(name, application)
  }

  /** It has stopped. */
  remove(name: string): void {
    this.#applications.delete(name)
  }

  /** Every application with its processors. */
  list(): readonly { readonly name: string; readonly processors: readonly ShownProcessor[] }[] {
    return [...this.#applications].map(([name, application]) => ({
      name,
      processors: application.processors().map(status => {
        const rebuild = this.#rebuilds.get(`${name}/${status.name}`)
        return rebuild === undefined ? status : { ...status, rebuild }
      }),
    }))
  }

  /** Answers a request whose path begins with `/applications`. */
  async answer(request: IncomingMessage, path: string): Promise<Answer> {
    if (!isOwnHost(request.headers.host, [])) {
      return failure(403, 'ask by address or by localhost, not by another name')
    }
    const isGet = request.method === 'GET' || request.method === 'HEAD'
    const [, , name, kind, projection, action, ...more] = path.split('/').map(decoded)
    if (isGet && name === undefined) return { status: 200, body: this.list() }
    if (kind !== 'projections' || action === undefined || more.length > 0) return notFound(path)
    const found = this.#applications.get(name ?? '')
    const one = found?.projections.find(each => each.name === projection)
    if (one === undefined) return notFound(`projection ${projection} of application ${name}`)
    if (action === 'parked' && isGet) return { status: 200, body: await one.parked() }
    if (action !== 'rebuild' && action !== 'redrive') return notFound(path)
    if (request.method !== 'POST') return failure(405, `${action} wants POST`)
    const refused = refusal(request)
    if (refused !== undefined) return failure(403, refused)
    const body = await jsonOf(request)
    if (body === undefined) {
      return failure(400, `the body must be a JSON object of at most ${BODY_BYTES_MAX} bytes`)
    }
    if (action === 'rebuild') return this.#rebuild(`${name}/${projection}`, one)
    const what = redriveOf(body)
    if (typeof what === 'string') return failure(400, what)
    return { status: 200, body: await one.redrive(what) }
  }

  #rebuild(key: string, projection: AdministeredProjection): Answer {
    if (this.#rebuilds.get(key)?.state === 'under way') {
      return failure(409, 'a rebuild is under way')
    }
    this.#rebuilds.set(key, { state: 'under way' })
    projection.rebuild().then(
      () => this.#rebuilds.set(key, { state: 'done' }),
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error)
        this.#rebuilds.set(key, { state: 'failed', reason })
      },
    )
    return { status: 202, body: { state: 'under way' } }
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const failure = (status: number, error: string): Answer => ({ status, body: { error } })
const notFound = (what: string): Answer => failure(404, `there is no ${what}`)

/** Why a request may change nothing. */
function refusal(request: IncomingMessage): string | undefined {
  if (!LOOPBACK.test(request.socket.remoteAddress ?? '')) {
    return 'changes are taken from this machine only'
  }
  if (request.headers.origin !== undefined) return 'changes are not taken from web pages'
  if (request.headers['content-type']?.split(';', 1)[0] !== 'application/json') {
    return 'changes want content-type: application/json'
  }
  return undefined
}

/** The body as an object; an empty one is an empty object. */
async function jsonOf(request: IncomingMessage): Promise<Readonly<object> | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  if (size === 0) return {}
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString())
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** What is to be redriven, or what is wrong with the body. */
function redriveOf(body: Readonly<object>): StreamRef | { readonly limit: number } | string {
  const { limit = REDRIVE_LIMIT, stream } = body as {
    readonly limit?: unknown
    readonly stream?: Readonly<Record<string, unknown>>
  }
  if (stream === undefined) {
    const isBound = Number.isSafeInteger(limit) && (limit as number) >= 1
    return isBound ? { limit: limit as number } : 'limit must be a whole number of 1 or more'
  }
  const { tenant = '', category, id } = stream
  if (typeof tenant !== 'string' || typeof category !== 'string' || typeof id !== 'string') {
    return 'stream must have a category and an id, and may have a tenant'
  }
  return { tenant, category, id }
}
