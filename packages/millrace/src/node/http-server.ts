/**
 * The node's HTTP side: `/healthz` (the process answers), `/readyz` (it takes records, or 503 with
 * the reason), `/metrics`, and `/applications` (see applications-api, which also says who may change
 * something). Nothing else.
 *
 * Bounds: connections, size of headers, time for a request to arrive, idle time of a connection;
 * bodies are read under `/applications` only, up to their bound.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ApplicationsApi } from './applications-api.ts'
import { type Address, formatAddress } from './listen-address.ts'
import type { Page } from './metrics-page.ts'

const IDLE_CONNECTION_MS = 5_000

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
  const server = createServer(
    {
      maxHeaderSize: options.headersBytesMax,
      requestTimeout: options.requestTimeoutMs,
      headersTimeout: options.requestTimeoutMs,
      keepAliveTimeout: IDLE_CONNECTION_MS,
    },
    (request, response) => void answer(request, response, options),
  )
  server.maxConnections = options.connectionsMax
  await listen(server, options.address)
  const { address: host, port } = server.address() as AddressInfo
  return { address: formatAddress({ host, port }), close: () => close(server) }
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
