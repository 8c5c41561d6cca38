/**
 * One connection to one broker: frames, correlation, pipelining, time.
 *
 * It begins to connect when made; calls may be made at once and go out in their order as soon as
 * both sides have agreed on versions. At most `connections.in.flight.max` requests are unanswered,
 * `connections.queued.max` wait behind them. Answers come in the order of the requests, so the first
 * one that is late ends the connection: nothing behind it can arrive either.
 */
import type { Duplex } from 'node:stream'
import { formatAddress, type Timer } from '@millrace/base'
import { LogError } from '@millrace/log'
import {
  type AnyApi,
  type Api,
  type ApiVersionsRange,
  apiVersions,
  type Decoded,
  decodeResponse,
  ERROR_CODES,
  encodeRequestFrame,
  type Frame,
  FrameAssembler,
  ProtocolError,
} from '@millrace/protocol'
import { ConnectionLost, errorOf } from './errors.ts'
import type { BrokerAddress, KafkaClientOutside } from './outside.ts'
import type { ClientSettings } from './settings.ts'

/** ApiVersions is first sent in this version; a broker that does not know it answers in version 0. */
const API_VERSIONS_FIRST = 3
const SOFTWARE = { clientSoftwareName: 'millrace', clientSoftwareVersion: '0.1.0' }
const CORRELATION_MAX = 0x7fff_ffff
/** Longest wait of a timer; a later deadline is looked at again then. */
const TIMER_MS_MAX = 0x7fff_ffff

/** What a connection is made of. */
export type ConnectionOptions = {
  readonly address: BrokerAddress
  readonly clientId: string | null
  readonly outside: KafkaClientOutside
  readonly settings: ClientSettings
  /** Called once, when it has ended. */
  readonly onClosed: (connection: BrokerConnection) => void
}

/** What a call may ask for beside its request. */
export type CallOptions = {
  /** How long the broker itself may take; `request.timeout.ms` comes on top. */
  readonly waitMs?: number
  /** In place of the connection's. */
  readonly clientId?: string
  /** Versions that can carry the request, within those that this side speaks. */
  readonly versions?: { readonly min?: number; readonly max?: number }
}

type Waiting = {
  readonly api: AnyApi
  readonly deadline: number
  /** Encodes it; throws what the call is to be rejected with. */
  encode(version: number, correlationId: number): Frame
  readonly versions: CallOptions['versions']
  /** Absent when the request has no answer. */
  readonly answer?: (payload: Buffer, version: number) => void
  /** For a request without an answer: it has been written. */
  readonly written?: () => void
  fail(error: LogError): void
}

type InFlight = {
  readonly waiting: Waiting
  readonly version: number
  readonly correlationId: number
}

/** A connection to a broker. */
export class BrokerConnection {
  readonly #options: ConnectionOptions
  readonly #socket: Duplex
  readonly #frames: FrameAssembler
  readonly #waiting: Waiting[] = []
  readonly #inFlight: InFlight[] = []
  readonly #ranges = new Map<number, ApiVersionsRange>()
  #ready = false
  #correlationId = 0
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #ended: LogError | undefined
  #drained: (() => void) | undefined

  constructor(options: ConnectionOptions) {
    const { outside, settings, address } = options
    this.#options = options
    this.#frames = new FrameAssembler(settings['response.max.bytes'])
    this.#socket = outside.open(address)
    this.#socket.once('connect', () => this.#agree(API_VERSIONS_FIRST))
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    this.#socket.on('error', (cause: Error) => this.#end(cause.message, cause))
    this.#socket.on('end', () => this.#end('the broker ended the connection'))
    this.#socket.on('close', () => this.#end('the connection was closed'))
    this.#arm(this.#now() + settings['connections.setup.timeout.ms'])
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#ended !== undefined
  }

  /** Requests that are not answered, sent or not. */
  get unanswered(): number {
    return this.#waiting.length + this.#inFlight.length
  }

  /** Sends a request and gives the answer. Throws LogError: what the connection ended with, REQUEST_TIMED_OUT, UNSUPPORTED_VERSION, INVALID_REQUEST. */
  call<Request extends object, Response extends object>(
    api: Api<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Decoded<Response>> {
    return new Promise((resolve, reject) => {
      this.#enqueue({
        api,
        deadline: this.#deadline(options),
        versions: options.versions,
        encode: this.#encoder(api, request, options),
        answer: (payload, version) => resolve(decodeResponse(api, version, payload).response),
        fail: reject,
      })
    })
  }

  /** Sends a request that has no answer; resolves when the socket has taken it. */
  post<Request extends object>(
    api: Api<Request, object>,
    request: Request,
    options: CallOptions = {},
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#enqueue({
        api,
        deadline: this.#deadline(options),
        versions: options.versions,
        encode: this.#encoder(api, request, options),
        written: resolve,
        fail: reject,
      })
    })
  }

  /** Resolves when nothing is unanswered any more, or it has ended. */
  drained(): Promise<void> {
    if (this.#ended !== undefined || this.unanswered === 0) return Promise.resolve()
    return new Promise(resolve => {
      const before = this.#drained
      this.#drained = () => {
        before?.()
        resolve()
      }
    })
  }

  /** Ends it. What is unanswered fails with `error`, or NETWORK_EXCEPTION with this reason. */
  close(reason: string, error?: LogError): void {
    this.#end(reason, undefined, error)
  }

  #encoder<Request extends object>(
    api: Api<Request, object>,
    request: Request,
    options: CallOptions,
  ): Waiting['encode'] {
    const clientId = options.clientId ?? this.#options.clientId
    return (version, correlationId) =>
      encodeRequestFrame(api, version, { correlationId, clientId }, request)
  }

  #deadline(options: CallOptions): number {
    return this.#now() + this.#options.settings['request.timeout.ms'] + (options.waitMs ?? 0)
  }

  #enqueue(waiting: Waiting): void {
    if (this.#ended !== undefined) {
      waiting.fail(this.#lost(this.#ended.message, false, this.#ended))
      return
    }
    const max = this.#options.settings['connections.queued.max']
    if (this.#waiting.length >= max) {
      const detail = `connections.queued.max: ${max} requests wait for ${this.#name()}`
      waiting.fail(new LogError('THROTTLING_QUOTA_EXCEEDED', detail))
      return
    }
    this.#waiting.push(waiting)
    this.#arm(waiting.deadline)
    if (this.#ready) this.#sendWaiting()
  }

  #sendWaiting(): void {
    const max = this.#options.settings['connections.in.flight.max']
    while (this.#inFlight.length < max && this.#ended === undefined) {
      const waiting = this.#waiting.shift()
      if (waiting === undefined) return
      this.#send(waiting)
    }
  }

  #send(waiting: Waiting): void {
    let version: number
    let frame: Frame
    this.#correlationId = (this.#correlationId % CORRELATION_MAX) + 1
    try {
      version = this.#versionOf(waiting)
      frame = waiting.encode(version, this.#correlationId)
    } catch (cause) {
      waiting.fail(unsendable(waiting.api, cause))
      this.#settled()
      return
    }
    const { written } = waiting
    if (written === undefined) {
      this.#inFlight.push({ waiting, version, correlationId: this.#correlationId })
      this.#write(frame)
    } else {
      this.#write(frame, error => {
        if (error) waiting.fail(this.#lost(error.message, true, error))
        else written()
      })
    }
  }

  #write(frame: Frame, done?: (error?: Error | null) => void): void {
    const pieces = frame.pieces as readonly Buffer[]
    const last = pieces.length - 1
    if (last > 0) this.#socket.cork()
    for (let index = 0; index < last; index += 1) this.#socket.write(pieces[index])
    this.#socket.write(pieces[last], done)
    if (last > 0) this.#socket.uncork()
  }

  #versionOf({ api, versions }: Waiting): number {
    const range = this.#ranges.get(api.key)
    const min = Math.max(api.versions[0], versions?.min ?? 0)
    const max = Math.min(api.versions[1], versions?.max ?? api.versions[1])
    const version = Math.min(max, range?.maxVersion ?? -1)
    if (range !== undefined && version >= Math.max(min, range.minVersion)) return version
    const theirs =
      range === undefined ? 'does not know it' : `${range.minVersion} to ${range.maxVersion}`
    throw new LogError(
      'UNSUPPORTED_VERSION',
      `${api.name}: versions ${min} to ${max} are wanted, ${this.#name()}: ${theirs}`,
    )
  }

  #agree(version: number): void {
    const correlationId = 0
    const waiting: Waiting = {
      api: apiVersions,
      // The time to set up is the connection's.
      deadline: Number.POSITIVE_INFINITY,
      versions: {},
      encode: this.#encoder(apiVersions, SOFTWARE, {}),
      answer: payload => this.#agreed(payload, version),
      fail: () => undefined,
    }
    this.#inFlight.push({ waiting, version, correlationId })
    this.#write(waiting.encode(version, correlationId))
  }

  #agreed(payload: Buffer, version: number): void {
    // The code stands at the same place in all versions.
    const refused =
      payload.length >= 6 && payload.readInt16BE(4) === ERROR_CODES.UNSUPPORTED_VERSION
    if (refused && version > 0) {
      this.#agree(0)
      return
    }
    const { response } = decodeResponse(apiVersions, version, payload)
    const error = errorOf(response.errorCode)
    if (error !== undefined) {
      this.#end(`ApiVersions was refused: ${error.message}`, error)
      return
    }
    for (const range of response.apiKeys) this.#ranges.set(range.apiKey, range)
    this.#ready = true
    this.#disarm()
    for (const { deadline } of this.#waiting) this.#arm(deadline)
    this.#sendWaiting()
  }

  #receive(chunk: Buffer): void {
    try {
      this.#frames.push(chunk)
      for (;;) {
        const payload = this.#frames.next()
        if (payload === undefined || this.#ended !== undefined) break
        this.#take(payload)
      }
    } catch (cause) {
      // Our own codecs throw ProtocolError; whatever else it is must not end the process either.
      const unreadable = new LogError(
        'UNKNOWN_SERVER_ERROR',
        `an answer of ${this.#name()} cannot be read: ${(cause as Error).message}`,
        cause,
      )
      this.#end(unreadable.message, cause, unreadable)
    }
  }

  #take(payload: Buffer): void {
    const oldest = this.#inFlight[0]
    const correlationId = payload.length >= 4 ? payload.readInt32BE(0) : -1
    if (oldest === undefined || correlationId !== oldest.correlationId) {
      throw new ProtocolError(
        'CORRELATION_MISMATCH',
        `${correlationId} and not ${oldest?.correlationId ?? 'none'}`,
      )
    }
    oldest.waiting.answer?.(payload, oldest.version)
    this.#inFlight.shift()
    this.#settled()
    if (this.#ready) this.#sendWaiting()
  }

  #settled(): void {
    if (this.unanswered > 0) return
    if (this.#ready) this.#disarm()
    this.#drained?.()
    this.#drained = undefined
  }

  #end(reason: string, cause?: unknown, error?: LogError): void {
    if (this.#ended !== undefined) return
    this.#ended = error ?? this.#lost(reason, true, cause)
    this.#disarm()
    const sent = this.#inFlight.splice(0)
    const unsent = this.#waiting.splice(0)
    this.#socket.destroy()
    this.#options.onClosed(this)
    for (const { waiting } of sent) waiting.fail(error ?? this.#lost(reason, true, cause))
    for (const waiting of unsent) waiting.fail(error ?? this.#lost(reason, false, cause))
    this.#drained?.()
    this.#drained = undefined
  }

  #lost(reason: string, sent: boolean, cause?: unknown): ConnectionLost {
    return new ConnectionLost(`${this.#name()}: ${reason}`, sent, cause)
  }

  #arm(deadline: number): void {
    if (deadline >= this.#timerAt || this.#ended !== undefined) return
    this.#timer?.cancel()
    this.#timerAt = deadline
    const ms = Math.min(TIMER_MS_MAX, Math.max(0, deadline - this.#now()))
    this.#timer = this.#options.outside.timers.after(ms, () => this.#late())
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  /** The earliest deadline has come, or had been of a request that is answered by now. */
  #late(): void {
    this.#disarm()
    const now = this.#now()
    if (!this.#ready) {
      const ms = this.#options.settings['connections.setup.timeout.ms']
      this.#end(`no connection within ${ms} ms`)
      return
    }
    const late = this.#inFlight.find(({ waiting }) => waiting.deadline <= now)
    if (late !== undefined) {
      const detail = `${late.waiting.api.name} to ${this.#name()} was not answered`
      const error = new LogError('REQUEST_TIMED_OUT', detail)
      late.waiting.fail(error)
      this.#end(detail, error)
      return
    }
    for (let index = this.#waiting.length - 1; index >= 0; index -= 1) {
      const waiting = this.#waiting[index]
      if (waiting === undefined || waiting.deadline > now) continue
      this.#waiting.splice(index, 1)
      waiting.fail(new LogError('REQUEST_TIMED_OUT', `${waiting.api.name} was not sent`))
    }
    for (const { waiting } of this.#inFlight) this.#arm(waiting.deadline)
    for (const { deadline } of this.#waiting) this.#arm(deadline)
  }

  #now(): number {
    return this.#options.outside.clock.monotonic()
  }

  #name(): string {
    return formatAddress(this.#options.address)
  }
}

function unsendable(api: AnyApi, cause: unknown): LogError {
  if (cause instanceof LogError) return cause
  const detail = `${api.name} cannot be sent: ${(cause as Error).message}`
  return new LogError('INVALID_REQUEST', detail, cause)
}
