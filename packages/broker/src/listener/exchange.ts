/** One request from its arrival until its answer is handed to the connection's writer. */

import type { RequestHeader } from '@millrace/protocol'
import type { AnyHandler, Call, Endpoint } from '../handlers/handler.ts'
import type { Piece } from './answer-writer.ts'
import type { Moments } from './request-trace.ts'

/** What an exchange knows of its connection. */
export interface ExchangePeer {
  readonly clientHost: string
  readonly endpoint: Endpoint
  readonly gone: AbortSignal
}

/** A request in flight. Exchanges of a connection form a list in the order of arrival. */
export class Exchange implements Call {
  readonly handler: AnyHandler
  readonly version: number
  readonly correlationId: number
  readonly clientId: string
  /** Bytes of the request, size included. */
  readonly requestBytes: number
  readonly #peer: ExchangePeer
  next: Exchange | undefined
  /** The request's bytes, where they are to be given back when it is answered. */
  frame: Buffer | undefined
  /** Absent unless it is traced. */
  moments: Moments | undefined
  /** The answer, once it is there. */
  pieces: readonly Piece[] | undefined
  answerBytes = 0
  /** Bytes of the answer that are in memory. */
  chargedBytes = 0

  constructor(
    handler: AnyHandler,
    header: RequestHeader,
    requestBytes: number,
    peer: ExchangePeer,
  ) {
    this.handler = handler
    this.version = header.apiVersion
    this.correlationId = header.correlationId
    this.clientId = header.clientId
    this.requestBytes = requestBytes
    this.#peer = peer
  }

  get clientHost(): string {
    return this.#peer.clientHost
  }

  get endpoint(): Endpoint {
    return this.#peer.endpoint
  }

  get gone(): AbortSignal {
    return this.#peer.gone
  }
}
