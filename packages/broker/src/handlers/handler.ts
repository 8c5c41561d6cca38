/**
 * What a handler is: one API of the protocol in terms of the engine.
 *
 * A handler gets a decoded request and returns the response, or a promise of it. What it throws
 * becomes an answer too: a `LogError` by its code, anything else UNKNOWN_SERVER_ERROR; `failure`
 * shapes it. Handlers keep nothing between calls.
 */
import type { Outside } from '@millrace/base'
import type { Engine } from '@millrace/engine'
import type { Api, Decoded } from '@millrace/protocol'
import type { BrokerSettings } from '../settings.ts'
import type { Fields, Parts } from './parts.ts'

/** An address that clients can connect to. */
export type Endpoint = { readonly host: string; readonly port: number }

/** What handlers of one node share. */
export type HandlerNode = {
  readonly engine: Engine
  readonly settings: BrokerSettings
  readonly outside: Outside
}

/** The request at hand, apart from its body. */
export interface Call {
  readonly version: number
  readonly clientId: string
  /** The peer's address as groups show it: "/127.0.0.1". */
  readonly clientHost: string
  /** Where this node says it is: the advertised address, or the one this connection came to. */
  readonly endpoint: Endpoint
  /** Aborted when the connection ends or the node stops, which still answers: waits are cut short. */
  readonly gone: AbortSignal
}

/** An error as an answer carries it. */
export type Failure = {
  readonly code: number
  /** The code where the answer speaks of partitions. */
  readonly partitionCode: number
  readonly message: string | null
}

/** An API's handler. */
export interface Handler<Request extends object, Response extends object> {
  readonly api: Api<Request, Response>
  handle(request: Decoded<Request>, call: Call, node: HandlerNode): Response | Promise<Response>
  /** The answer that says everywhere that the request as a whole has failed. */
  failure(request: Decoded<Request>, failure: Failure, call: Call): Response
  /** Whether the client wants no answer; what is thrown then ends the connection. */
  isSilent?(request: Decoded<Request>): boolean
  /** How a request that lists a great deal is handled; absent where none can. */
  readonly parts?: Parts<Request, Response>
  /** Releases what a response holds that is not going to be sent. */
  discard?(response: Response): void
}

/** Any handler, where the types of its messages do not matter. */
export type AnyHandler = Handler<object, object>

/** The handler with its parts. */
export function inParts<Request extends object, Response extends object>(
  handler: Handler<Request, Response>,
  parts: Parts<Fields, Fields>,
): Handler<Request, Response> {
  return { ...handler, parts: parts as unknown as Parts<Request, Response> }
}
