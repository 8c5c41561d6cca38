/**
 * One connection: bytes in, requests, answers in the order of the requests, bytes out.
 *
 *   socket ─► frame assembler ─► handler ─► exchange (waits for its turn) ─► answer writer ─► socket
 *
 * Requests start as they are parsed, many at a time; only answers are ordered. The socket is not
 * read while the connection has `connections.in.flight.max` requests unanswered, or the node's
 * bytes in flight are used up. What requests take of a turn of the event loop is bounded: the next one
 * waits for another turn, and a large one is handled and encoded over several (see `spread.ts`), while
 * those behind it wait. There are no timers here: the listener calls `sweep` now and then.
 */
import type { Socket } from 'node:net'
import type { Turns } from '@millrace/base'
import { LogError } from '@millrace/log'
import {
  type AnyApi,
  decodeRequest,
  decodeRequestHeader,
  encodeResponseFrame,
  type Frame,
  FrameAssembler,
  type MessageLimits,
  ProtocolError,
  type RequestHeader,
} from '@millrace/protocol'
import { unsupportedVersionFrame } from '../handlers/api-versions.ts'
import { failureOf } from '../handlers/error-mapping.ts'
import type { AnyHandler, Endpoint, HandlerNode } from '../handlers/handler.ts'
import { AnswerWriter, type Piece, type WriterNode, type WriterOwner } from './answer-writer.ts'
import type { BytesInFlight, Waiter } from './bytes-in-flight.ts'
import { ConnectionWatch } from './connection-watch.ts'
import type { Counters } from './counters.ts'
import { Exchange, type ExchangePeer } from './exchange.ts'
import type { FramePool } from './frame-pool.ts'
import type { Logger } from './logger.ts'
import { readInto } from './read-into.ts'
import type { Moments, RequestTrace } from './request-trace.ts'
import type { Half } from './shedding.ts'
import { encodeSpread, handleSpread, isLongAnswer, isSpread } from './spread.ts'
import type { Asking, TurnWatch } from './turn-watch.ts'

/** What all connections of a listener share. */
export type ConnectionNode = HandlerNode &
  WriterNode & {
    readonly handlers: ReadonlyMap<number, AnyHandler>
    readonly apis: ReadonlyMap<number, AnyApi>
    readonly logger: Logger
    readonly counters: Counters
    readonly bytes: BytesInFlight
    /** What requests may take of each turn, all together. */
    readonly turns: Turns
    readonly watch: TurnWatch
    readonly requestLimits: MessageLimits
    readonly advertise: Endpoint | undefined
    /** Memory for requests. */
    readonly frames: FramePool
    /** What sockets are read into, one after another. */
    readonly readBuffer: Buffer
    /** Absent unless requests are traced. */
    readonly trace?: RequestTrace | undefined
    /** Has the connection flushed at the end of what runs now, with all others in one go. */
    flushSoon(connection: Connection): void
    /** Called once when the connection is over. */
    closed(connection: Connection): void
  }

const API_VERSIONS_KEY = 18
const PRODUCE_KEY = 0
const SIZE_BYTES = 4

/** A connection from its acceptance to its end. */
export class Connection implements Waiter, WriterOwner, ExchangePeer {
  /** The peer's address as the socket has it. */
  readonly remoteAddress: string
  readonly clientHost: string
  readonly endpoint: Endpoint
  readonly #peer: string
  readonly #socket: Socket
  readonly #node: ConnectionNode
  readonly #assembler: FrameAssembler
  readonly #writer: AnswerWriter
  readonly #watch: ConnectionWatch
  #head: Exchange | undefined
  #tail: Exchange | undefined
  #inFlight = 0
  #receivedBytes = 0
  /** Bytes of requests that are worked on, and of answers that wait for their turn. */
  #queuedBytes = 0
  #reading = true
  #advancing = false
  /** A frame that waits for the next turn. */
  #postponed: Buffer | undefined
  /** Nothing is started: the frame, or the large request before it, has not had its turn yet. */
  #awaitingTurn = false
  /** No further request is started; the connection ends when all answers are out. */
  #draining = false
  /** The peer sends nothing more; what has arrived is still answered. */
  #peerEnded = false
  #over = false
  #abort: AbortController | undefined
  #requestsSeen = 0
  /** When the frame that is being read began, and its last bytes came; kept for traces only. */
  #firstByteAt = 0
  #lastByteAt = 0
  /** Whether it waits for its turn to be flushed; kept by the listener. */
  flushIsDue = false

  /** @param accepted paused, and nothing of it is read */
  constructor(accepted: Socket, node: ConnectionNode, nowMs: number) {
    const socket = readInto(accepted, node.readBuffer, (bytes, transient) =>
      this.#receive(bytes, transient),
    )
    this.#socket = socket
    this.#node = node
    this.#watch = new ConnectionWatch(nowMs)
    this.remoteAddress = socket.remoteAddress ?? ''
    const address = plainAddress(this.remoteAddress)
    this.#peer = `${address}:${socket.remotePort ?? 0}`
    this.clientHost = `/${address}`
    this.endpoint = node.advertise ?? {
      host: plainAddress(socket.localAddress ?? ''),
      port: socket.localPort ?? 0,
    }
    this.#assembler = new FrameAssembler(node.settings['socket.request.max.bytes'], node.frames)
    this.#writer = new AnswerWriter(socket, node, this)
    socket.setNoDelay(true)
    socket.on('end', () => {
      this.#peerEnded = true
      if (this.#reading) this.#endOfRequests()
    })
    // An error is always followed by 'close'; a peer that went away is nothing to report.
    socket.on('error', () => undefined)
    socket.on('close', () => this.#finish())
    socket.resume()
  }

  /** Aborted when the connection is over or the listener stops. */
  get gone(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#over || this.#draining) this.#abort.abort()
    return this.#abort.signal
  }

  #receive(chunk: Buffer, transient: boolean): void {
    this.#node.counters.bytesReceived += chunk.length
    // What comes after the last request that is going to be answered is not kept.
    if (this.#draining || this.#over) return
    this.#receivedBytes += chunk.length
    this.#node.bytes.receive(chunk.length)
    if (this.#node.trace !== undefined) {
      this.#lastByteAt = this.#node.trace.now()
      if (!this.#assembler.midFrame) this.#firstByteAt = this.#lastByteAt
    }
    this.#assembler.push(chunk)
    this.#advance()
    if (transient) this.#assembler.keepRest()
  }

  proceed(): void {
    this.#advance()
  }

  hasRoom(): void {
    if (this.#head?.pieces !== undefined) this.flush()
    else if (this.#draining) this.#endIfAnswered()
  }

  cannotRead(cause: unknown): void {
    this.#node.logger.error(
      { peer: this.#peer, error: cause instanceof Error ? cause.stack : String(cause) },
      'connection closed: the records of an answer cannot be read',
    )
    this.#destroy()
  }

  /** Starts what has arrived and may start; then reads on, or not. */
  #advance(): void {
    if (this.#advancing || this.#awaitingTurn || this.#over || this.#draining) return
    this.#advancing = true
    let starved = false
    try {
      while (this.#inFlight < this.#node.settings['connections.in.flight.max']) {
        if (!this.#node.bytes.mayStart(this)) break
        // What one connection has in the works must not be all that there is room for.
        if (this.#queuedBytes >= this.#node.settings['connections.queued.max.bytes']) break
        const payload = this.#postponed ?? this.#assembler.next()
        this.#postponed = undefined
        if (payload === undefined) {
          starved = true
          break
        }
        if (this.#node.turns.spent()) {
          this.#postponed = payload
          this.#awaitTurn(this.#node.turns.next())
          break
        }
        this.#watch.frameDone()
        this.#start(payload)
        if (this.#over || this.#draining) return
        if (this.#awaitingTurn) break
      }
    } catch (error) {
      this.#refuse(error)
      return
    } finally {
      this.#advancing = false
    }
    if (starved && this.#peerEnded) {
      this.#endOfRequests()
      return
    }
    const read = starved && this.#node.bytes.mayRead(this, this.#assembler.midFrame)
    if (read === this.#reading) return
    this.#reading = read
    if (read) this.#socket.resume()
    else this.#socket.pause()
  }

  /** Starts nothing until then. */
  #awaitTurn(turn: Promise<unknown>): void {
    this.#awaitingTurn = true
    void turn.then(() => {
      this.#awaitingTurn = false
      this.#advance()
    })
  }

  #start(payload: Buffer): void {
    const { counters, handlers, apis, bytes, watch } = this.#node
    const requestBytes = payload.length + SIZE_BYTES
    this.#receivedBytes -= requestBytes
    bytes.start(requestBytes, this)
    this.#queuedBytes += requestBytes
    this.#requestsSeen += 1
    let exchange: Exchange | undefined
    try {
      const header = decodeRequestHeader(payload, apis)
      const handler = handlers.get(header.apiKey)
      if (handler === undefined || !header.supported) {
        this.#startUnsupported(header, handler, requestBytes)
        return
      }
      const asking = (): Asking => this.#asking(handler, header.apiVersion, header.clientId)
      const request = watch.run(asking, () => this.#decode(handler, header, payload))
      counters.requests[header.apiKey] = (counters.requests[header.apiKey] ?? 0) + 1
      exchange = new Exchange(handler, header, requestBytes, this)
      // The engine has copied the batches of a produce request when it answers; what others keep of
      // theirs is not known here.
      if (header.apiKey === PRODUCE_KEY) exchange.frame = payload
      if (this.#node.trace !== undefined) this.#traceStart(exchange, this.#node.trace)
      const silent = handler.isSilent?.(request) === true
      this.#inFlight += 1
      if (!silent) this.#enqueue(exchange)
      if (isSpread(handler, request, requestBytes)) this.#handleSpread(exchange, request, silent)
      else this.#handle(exchange, request, silent)
    } catch (error) {
      if (exchange === undefined) this.#release(requestBytes)
      throw error
    }
  }

  #traceStart(exchange: Exchange, trace: RequestTrace): void {
    const firstByte = this.#firstByteAt
    // What follows in the same read has begun with it.
    this.#firstByteAt = this.#lastByteAt
    if (exchange.handler.api.key !== PRODUCE_KEY) return
    const lastByte = this.#lastByteAt
    const rest = { sealed: 0, written: 0, applied: 0, answered: 0, drained: 0 }
    exchange.moments = { firstByte, lastByte, parsed: trace.now(), entered: 0, ...rest }
  }

  #decode(handler: AnyHandler, { apiVersion, bodyAt }: RequestHeader, payload: Buffer): object {
    return decodeRequest(handler.api, apiVersion, payload, bodyAt, this.#node.requestLimits)
  }

  #asking({ api }: AnyHandler, version: number, clientId: string): Asking {
    return { peer: this.#peer, api: api.name, version, clientId }
  }

  #askingFor({ handler, version, clientId }: Exchange): () => Asking {
    return () => this.#asking(handler, version, clientId)
  }

  #enqueue(exchange: Exchange): void {
    if (this.#tail === undefined) this.#head = exchange
    else this.#tail.next = exchange
    this.#tail = exchange
  }

  #startUnsupported(
    header: RequestHeader,
    handler: AnyHandler | undefined,
    requestBytes: number,
  ): void {
    if (handler === undefined || header.apiKey !== API_VERSIONS_KEY) {
      throw new ProtocolError(
        handler === undefined ? 'UNKNOWN_API' : 'UNSUPPORTED_VERSION',
        `API ${header.apiKey} version ${header.apiVersion}`,
      )
    }
    // A client asks with its newest version and learns from this answer which one to use (KIP-511).
    const exchange = new Exchange(handler, header, requestBytes, this)
    this.#inFlight += 1
    this.#enqueue(exchange)
    this.#answer(exchange, unsupportedVersionFrame(header.correlationId))
    this.#release(requestBytes)
  }

  #handle(exchange: Exchange, request: object, silent: boolean): void {
    let response: object | Promise<object>
    try {
      response = this.#node.watch.run(this.#askingFor(exchange), () =>
        exchange.handler.handle(request, exchange, this.#node),
      )
    } catch (error) {
      this.#fail(exchange, request, silent, error)
      return
    }
    if (exchange.moments !== undefined) exchange.moments.entered = this.#node.trace?.now() ?? 0
    if (response instanceof Promise) {
      response.then(
        settled => this.#settle(exchange, request, silent, settled),
        error => this.#fail(exchange, request, silent, error),
      )
    } else this.#settle(exchange, request, silent, response)
  }

  /** A large request: what comes behind it waits until all of it has begun. */
  #handleSpread(exchange: Exchange, request: object, silent: boolean): void {
    const { turns, watch } = this.#node
    const { handler } = exchange
    const isOver = (): boolean => this.#over
    const work = { handler, request, call: exchange, node: this.#node, turns, isOver }
    const asking = this.#askingFor(exchange)
    const begun = handleSpread(work, piece => watch.run(asking, piece))
    begun
      .then(answer => answer())
      .then(
        settled => this.#settle(exchange, request, silent, settled),
        error => this.#fail(exchange, request, silent, error),
      )
    this.#awaitTurn(begun.catch(() => undefined))
  }

  #settle(exchange: Exchange, request: object, silent: boolean, response: object): void {
    const { handler, version, correlationId } = exchange
    this.#giveBack(exchange)
    if (this.#over || silent) {
      handler.discard?.(response)
      this.#inFlight -= 1
      this.#release(exchange.requestBytes)
      if (!this.#over) this.#node.flushSoon(this)
      return
    }
    if (isLongAnswer(response)) {
      this.#encodeSpread(exchange, request, response)
      return
    }
    let frame: Frame
    try {
      frame = this.#node.watch.run(this.#askingFor(exchange), () =>
        encodeResponseFrame(handler.api, version, correlationId, response),
      )
    } catch (error) {
      handler.discard?.(response)
      this.#fail(exchange, request, silent, error)
      return
    }
    if (exchange.moments !== undefined) Object.assign(exchange.moments, this.#node.engine.lastGroup)
    this.#answer(exchange, frame)
    this.#release(exchange.requestBytes)
  }

  #release(requestBytes: number): void {
    this.#queuedBytes -= requestBytes
    this.#node.bytes.release(requestBytes)
  }

  #giveBack(exchange: Exchange): void {
    if (exchange.frame === undefined) return
    this.#node.frames.give(exchange.frame)
    exchange.frame = undefined
  }

  #encodeSpread(exchange: Exchange, request: object, response: object): void {
    const { handler } = exchange
    encodeSpread(handler.api, exchange, response, this.#node.turns, () => this.#over).then(
      frame => {
        if (frame !== undefined) {
          this.#answer(exchange, frame)
          this.#release(exchange.requestBytes)
          return
        }
        handler.discard?.(response)
        this.#inFlight -= 1
        this.#release(exchange.requestBytes)
      },
      error => {
        handler.discard?.(response)
        this.#fail(exchange, request, false, error)
      },
    )
  }

  #fail(exchange: Exchange, request: object, silent: boolean, thrown: unknown): void {
    const { handler, version, correlationId } = exchange
    this.#giveBack(exchange)
    this.#node.counters.requestsFailed += 1
    if (!(thrown instanceof LogError)) this.#report(exchange, thrown)
    this.#release(exchange.requestBytes)
    if (this.#over) {
      this.#inFlight -= 1
      return
    }
    if (silent) {
      this.#inFlight -= 1
      this.#closeForCause(handler.api.name, thrown instanceof Error ? thrown.message : 'failed')
      return
    }
    const noAnswer = (error: unknown): void => {
      this.#report(exchange, error)
      this.#closeForCause(handler.api.name, 'no answer could be made')
    }
    try {
      const response = handler.failure(request, failureOf(thrown), exchange)
      if (!isLongAnswer(response)) {
        this.#answer(exchange, encodeResponseFrame(handler.api, version, correlationId, response))
        return
      }
      encodeSpread(handler.api, exchange, response, this.#node.turns, () => this.#over).then(
        frame => {
          if (frame === undefined) this.#inFlight -= 1
          else this.#answer(exchange, frame)
        },
        noAnswer,
      )
    } catch (error) {
      noAnswer(error)
    }
  }

  #report(exchange: Exchange, error: unknown): void {
    this.#node.logger.error(
      {
        peer: this.#peer,
        api: exchange.handler.api.name,
        version: exchange.version,
        client: exchange.clientId,
        error: error instanceof Error ? error.stack : String(error),
      },
      'a request failed in an unexpected way',
    )
  }

  #answer(exchange: Exchange, frame: Frame): void {
    let charged = 0
    // Whatever is not a buffer was put there by a handler, as a slice.
    const pieces = frame.pieces as readonly Piece[]
    for (const piece of pieces) if (Buffer.isBuffer(piece)) charged += piece.length
    exchange.pieces = pieces
    exchange.answerBytes = frame.byteLength
    exchange.chargedBytes = charged
    this.#queuedBytes += charged
    this.#node.bytes.charge(charged)
    if (exchange === this.#head) this.#node.flushSoon(this)
  }

  /** Gives the writer the answers whose turn it is, and starts what waited for that. */
  flush(): void {
    if (this.#over) return
    const max = this.#node.settings['connections.unsent.max.bytes']
    let head = this.#head
    while (head?.pieces !== undefined && this.#writer.pendingBytes < max) {
      this.#writer.add(head.pieces, head.answerBytes)
      if (head.moments !== undefined) this.#traceAnswer(head.moments)
      this.#node.counters.bytesSent += head.answerBytes
      this.#inFlight -= 1
      this.#queuedBytes -= head.chargedBytes
      head = head.next
    }
    this.#head = head
    if (head === undefined) this.#tail = undefined
    this.#writer.pump()
    if (this.#over) return
    if (this.#draining) this.#endIfAnswered()
    else if (!this.#reading) this.#advance()
  }

  #traceAnswer(moments: Moments): void {
    const { trace } = this.#node
    if (trace === undefined) return
    moments.answered = trace.now()
    this.#writer.mark(() => {
      moments.drained = trace.now()
      trace.note(moments)
    })
  }

  /** Ends the connection once everything in flight is answered. Waiting reads are cut short. */
  drain(): void {
    if (this.#draining || this.#over) return
    this.#draining = true
    this.#node.bytes.forget(this)
    this.#dropReceived()
    // Not read any more, but an end or a reset of the peer is still to be noticed.
    this.#socket.resume()
    this.#abort?.abort()
    this.#endIfAnswered()
  }

  #endIfAnswered(): void {
    if (this.#inFlight > 0 || this.#head !== undefined || this.#writer.pendingBytes > 0) return
    // Everything is with the kernel: whether the peer ends its side, too, need not be waited for.
    this.#socket.destroySoon()
  }

  /** Looks after what takes too long. `nowMs` is monotonic. */
  sweep(nowMs: number): void {
    if (this.#over) return
    const { takenBytes, pendingBytes } = this.#writer
    const sight = {
      requestsSeen: this.#requestsSeen,
      takenBytes,
      pendingBytes,
      inFlight: this.#inFlight,
      midFrame: !this.#draining && this.#assembler.midFrame,
      reading: this.#reading,
      receivedBytes: this.#socket.bytesRead,
    }
    switch (this.#watch.look(sight, this.#node.settings, nowMs)) {
      case 'stalled':
        this.#closeForCause(undefined, 'the peer does not take its answers')
        return
      case 'frame':
        this.#closeForCause(undefined, 'a request was begun and not finished')
        return
      case 'silent':
        this.#closeForCause(undefined, 'no request came')
        return
      case 'idle':
        this.#node.logger.info({ peer: this.#peer }, 'connection closed: idle')
        this.#destroy()
        return
      case undefined:
    }
  }

  /** This connection as one in the middle of a request; undefined where it is not. */
  half(nowMs: number): Half | undefined {
    if (this.#over || this.#draining || this.#awaitingTurn || !this.#assembler.midFrame) return
    return {
      begunAt: this.#watch.halfBegunAt,
      stalledSince: this.#watch.halfStalledSince,
      tryReading: () => {
        if (this.#reading) return
        this.#reading = true
        this.#watch.readAgain(nowMs)
        this.#socket.resume()
      },
      shed: () =>
        this.#closeForCause(undefined, 'half a request did not go on while memory was used up'),
    }
  }

  /** Since when it is of no use, in the time of sweeps; undefined while it is. */
  get idleSince(): number | undefined {
    const busy = this.#inFlight > 0 || this.#assembler.midFrame || this.#writer.pendingBytes > 0
    return busy || this.#over || this.#draining ? undefined : this.#watch.idleSince
  }

  /** Makes place for another connection. */
  evict(): void {
    this.#node.logger.info({ peer: this.#peer }, 'connection closed: idle, for a new one')
    this.#destroy()
  }

  /** The peer sends nothing more: what it has asked is still answered, half a request is told. */
  #endOfRequests(): void {
    if (this.#assembler.midFrame && !this.#draining) {
      this.#node.counters.requestsMalformed += 1
      this.#node.counters.connectionsClosedForCause += 1
      const reason = 'TRUNCATED: the peer ended in the middle of a request'
      this.#node.logger.warn({ peer: this.#peer, reason }, 'connection closed')
    }
    this.drain()
  }

  /** Ends it now, for a reason that goes to the log. */
  #closeForCause(api: string | undefined, reason: string): void {
    this.#node.counters.connectionsClosedForCause += 1
    this.#node.logger.warn(
      { peer: this.#peer, ...(api === undefined ? {} : { api }), reason },
      'connection closed',
    )
    this.#destroy()
  }

  #refuse(error: unknown): void {
    this.#node.counters.requestsMalformed += 1
    if (error instanceof ProtocolError) {
      this.#closeForCause(undefined, `${error.code}: ${error.message}`)
      return
    }
    this.#node.logger.error(
      { peer: this.#peer, error: error instanceof Error ? error.stack : String(error) },
      'connection closed: a request could not be started',
    )
    this.#destroy()
  }

  /** Ends it at once, answers in flight included. */
  destroy(): void {
    this.#destroy()
  }

  #destroy(): void {
    this.#finish()
    this.#socket.destroy()
  }

  #dropReceived(): void {
    const bytes = this.#receivedBytes
    this.#receivedBytes = 0
    if (bytes > 0) this.#node.bytes.drop(bytes)
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#node.bytes.forget(this)
    this.#dropReceived()
    this.#writer.close()
    for (let exchange = this.#head; exchange !== undefined; exchange = exchange.next) {
      if (exchange.pieces === undefined) continue
      this.#inFlight -= 1
      this.#node.bytes.release(exchange.chargedBytes)
      for (const piece of exchange.pieces) if (!Buffer.isBuffer(piece)) piece.release()
    }
    this.#head = undefined
    this.#tail = undefined
    this.#abort?.abort()
    this.#node.closed(this)
  }
}

/** An IPv4 address that came over an IPv6 socket, as IPv4. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}
