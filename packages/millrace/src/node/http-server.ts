/**
 * The node's HTTP side: `/healthz` (the process answers), `/readyz` (it takes records, or 503 with
 * the reason), `/metrics`, and `/applications` (see applications-api, which also says who may change
 * something). Nothing else, and nothing to who asks for a host by a name that is not this one's: a page
 * whose name was made to resolve to this machine would be allowed to read the answer.
 *
 * Bounds: connections, size of headers, time for a request to arrive, time without a byte; bodies are
 * read under `/applications` only, up to their bound. One connection more than allowed takes the place of
 * the oldest that has no request being answered, so that slow ones never shut a probe out.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type Address, formatAddress } from '@millrace/base'
import type { ApplicationsApi } from './applications-api.ts'
import type { Page } from './metrics-page.ts'
import { isOwnHost } from './own-host.ts'

const IDLE_CONNECTION_MS = 5_000
/** How often Node looks for requests that take too long to arrive. */
const TIMEOUT_CHECK_MS = 1_000
/** Connections beyond the limit that may be open until one of them has been closed. */
const CONNECTIONS_ABOVE = 8

/** Whether the node takes records. */
export type Readiness = {
  readonly ready: boolean
  /** Why not, for an operator. */
  readonly reason?: string
  /** More to look at, ready or not. */
  readonly detail?: Readonly<Record<string, unknown>>
}

/** What the HTTP side needs. */
export type HttpServerOptions = {
  readonly address: Address
  readonly connectionsMax: number
  readonly requestTimeoutMs: number
  readonly headersBytesMax: number
  /** Names by which the node may be asked for beside addresses and localhost; `*`: any. */
  readonly hosts: readonly string[]
  readiness(): Readiness
  metrics(): Promise<Page>
  /** Applications that run within the node. */
  readonly applications?: ApplicationsApi
}

/** A listening HTTP side. */
export interface HttpServer {
  /** HOST:PORT where it listens. */
  readonly address: string
  close(): Promise<void>
}

/** Starts to listen. Rejects with the platform's error when it cannot (EADDRINUSE...). */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  // Not by `import`: that reads every export, and some of node:http load a whole HTTP client (20 ms).
  const { createServer } = process.getBuiltinModule('node:http')
  const places = new Places(options.connectionsMax)
  const server = createServer(
    {
      maxHeaderSize: options.headersBytesMax,
      requestTimeout: options.requestTimeoutMs,
      headersTimeout: options.requestTimeoutMs,
      keepAliveTimeout: IDLE_CONNECTION_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    },
    (request, response) => {
      places.answering(request.socket, response)
      void answer(request, response, options)
    },
  )
  // Who takes no byte of an answer for so long is gone.
  server.timeout = options.requestTimeoutMs
  server.maxConnections = options.connectionsMax + CONNECTIONS_ABOVE
  server.on('connection', socket => places.take(socket))
  await listen(server, options.address)
  const { address: host, port } = server.address() as AddressInfo
  return { address: formatAddress({ host, port }), close: () => close(server) }
}

/** The connections that are open, in the order in which they came. */
class Places {
  readonly #max: number
  /** Each with the number of its requests that are being answered. */
  readonly #sockets = new Map<Socket, number>()

  constructor(max: number) {
    this.#max = max
  }

  take(socket: Socket): void {
    if (this.#sockets.size >= this.#max) this.#makeRoom()
    this.#sockets.set(socket, 0)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  answering(socket: Socket, response: ServerResponse): void {
    this.#count(socket, 1)
    response.once('close', () => this.#count(socket, -1))
  }

  #count(socket: Socket, change: number): void {
    const count = this.#sockets.get(socket)
    if (count !== undefined) this.#sockets.set(socket, count + change)
  }

  #makeRoom(): void {
    const [oldest] = this.#sockets.keys()
    for (const [socket, answering] of this.#sockets) {
      if (answering > 0) continue
      this.#end(socket)
      return
    }
    if (oldest !== undefined) this.#end(oldest)
  }

  #end(socket: Socket): void {
    this.#sockets.delete(socket)
    socket.destroy()
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: HttpServerOptions,
): Promise<void> {
  const path = request.url?.split('?', 1)[0] ?? ''
  if (options.applications !== undefined && /^\/applications(\/|$)/.test(path)) {
    return answerApplications(request, response, path.replace(/\/$/, ''), options.applications)
  }
  request.resume()
  if (!isOwnHost(request.headers.host, options.hosts)) {
    // Misdirected Request (RFC 9110, 15.5.20).
    return send(response, 421, {
      error: 'ask by address, by localhost, or by a name that http.hosts lists',
    })
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    return send(response, 405, { error: 'only GET is answered here' })
  }
  switch (path) {
    case '/healthz':
      return send(response, 200, { status: 'alive' })
    case '/readyz': {
      const { ready, reason, detail } = options.readiness()
      const status = ready ? 'ready' : 'not ready'
      return send(response, ready ? 200 : 503, { status, reason, ...detail })
    }
    case '/metrics':
      return sendMetrics(response, options)
    default:
      return send(response, 404, {
        error: 'there are /healthz, /readyz, /metrics and /applications',
      })
  }
}

async function answerApplications(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  applications: ApplicationsApi,
): Promise<void> {
  try {
    const { status, body } = await applications.answer(request, path)
    send(response, status, body)
  } catch (error) {
    send(response, 500, { error: error instanceof Error ? error.message : String(error) })
  } finally {
    request.resume()
  }
}

async function sendMetrics(response: ServerResponse, options: HttpServerOptions): Promise<void> {
  try {
    const page = await options.metrics()
    response.writeHead(200, { 'content-type': page.contentType, 'cache-control': 'no-store' })
    response.end(page.body)
  } catch (error) {
    send(response, 500, { error: error instanceof Error ? error.message : String(error) })
  }
}

function send(response: ServerResponse, status: number, body: Readonly<object>): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(`${JSON.stringify(body)}\n`)
}

function listen(server: Server, address: Address): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(address.port, address.host, () => {
    server.off('error', reject)
    resolve()
  })
  return promise
}

async function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  server.closeAllConnections()
  await promise
}
