/**
 * The listener: accepts connections within the limits, looks after them, and ends them.
 *
 * Shared by its connections: the bytes in flight, the chunks for answers, one coarse timer that
 * looks for what takes too long, and one flush at the end of each round of completions, so that
 * requests that became durable together are answered with one write a connection.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Outside, Timer } from '@millrace/base'
import { Turns } from '@millrace/base'
import { AwakeClock, type Engine } from '@millrace/engine'
import { APIS, REQUEST_LIMITS } from '@millrace/protocol'
import type { Endpoint } from '../handlers/handler.ts'
import { HANDLERS } from '../handlers/handlers.ts'
import type { BrokerSettings } from '../settings.ts'
import { BytesInFlight } from './bytes-in-flight.ts'
import { ChunkPool } from './chunk-pool.ts'
import { Connection, type ConnectionNode } from './connection.ts'
import { Counters } from './counters.ts'
import { FramePool } from './frame-pool.ts'
import { LimitedLogger } from './limited-logger.ts'
import type { Logger } from './logger.ts'
import { READ_BYTES } from './read-into.ts'
import { RequestTrace } from './request-trace.ts'
import { type Half, shedHalves, triesMax } from './shedding.ts'
import { TICK_MS, TurnWatch } from './turn-watch.ts'

/** What a listener is started with. */
export type ListenerOptions = {
  readonly engine: Engine
  /** Address to bind. */
  readonly host: string
  /** Port to bind; 0 takes a free one. */
  readonly port: number
  /** What clients are told to connect to; absent: the address at which they arrived. */
  readonly advertise?: Endpoint
  readonly settings: BrokerSettings
  readonly outside: Outside
  readonly logger: Logger
}

/** A running listener. */
export interface Listener {
  /** Where it listens. */
  readonly address: Endpoint
  /** Open connections. */
  readonly connections: number
  /** Counters since the start and gauges of now. */
  metrics(): Readonly<Record<string, number>>
  /**
   * Takes no further connection or request, ends waiting reads, sends the answers in flight, and
   * closes; what is not answered after `drainMs` is cut off.
   */
  close(options: { readonly drainMs: number }): Promise<void>
}

/** What requests are parsed, handled in parts and encoded for in one turn, in ms. */
const TURN_BUDGET_MS = 20
const SWEEP_MS = 1_000
/** Most that passes between two sweeps: a peer is not late because this process stood still. */
const SWEEP_GAP_MAX_MS = 2 * SWEEP_MS
const BACKLOG = 511

/** Binds and starts. Throws RangeError on limits that contradict each other, or the bind's error. */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const { settings } = options
  if (settings['socket.request.max.bytes'] > settings['queued.max.request.bytes']) {
    throw new RangeError(
      'socket.request.max.bytes must not be larger than queued.max.request.bytes',
    )
  }
  const listener = new SocketListener(options)
  await listener.listen(options.host, options.port)
  return listener
}

class SocketListener implements Listener {
  readonly #server: Server
  readonly #options: ListenerOptions
  readonly #node: ConnectionNode
  readonly #logger: LimitedLogger
  readonly #counters = new Counters()
  readonly #awake: AwakeClock
  readonly #bytes: BytesInFlight
  readonly #chunks: ChunkPool
  readonly #frames: FramePool
  readonly #connections = new Set<Connection>()
  readonly #perAddress = new Map<string, number>()
  #toFlush: Connection[] = []
  readonly #watch: TurnWatch
  #sweepTimer: Timer | undefined
  #tickTimer: Timer | undefined
  #closing = false
  #allClosed: (() => void) | undefined

  constructor(options: ListenerOptions) {
    const { engine, settings, outside, advertise } = options
    const logger = new LimitedLogger(options.logger)
    this.#logger = logger
    const soon = outside.timers.soon
    this.#watch = new TurnWatch(
      () => outside.clock.monotonic(),
      settings['request.turn.warn.ms'],
      logger,
    )
    this.#options = options
    this.#awake = new AwakeClock(outside.clock, SWEEP_GAP_MAX_MS)
    this.#bytes = new BytesInFlight(settings['queued.max.request.bytes'], soon)
    this.#chunks = new ChunkPool(settings['chunks.max.bytes'])
    this.#frames = new FramePool(settings['frames.kept.max.bytes'])
    this.#node = {
      engine,
      settings,
      outside,
      logger,
      advertise,
      trace: settings['request.trace.enable']
        ? new RequestTrace(() => outside.clock.monotonic())
        : undefined,
      handlers: HANDLERS,
      apis: APIS,
      counters: this.#counters,
      bytes: this.#bytes,
      chunks: this.#chunks,
      frames: this.#frames,
      readBuffer: Buffer.allocUnsafeSlow(READ_BYTES),
      turns: new Turns(outside, TURN_BUDGET_MS),
      watch: this.#watch,
      requestLimits: { ...REQUEST_LIMITS, elements: settings['request.elements.max'] },
      unsentBytesMax: settings['connections.unsent.max.bytes'],
      soon,
      flushSoon: connection => this.#flushSoon(connection),
      closed: connection => this.#closed(connection),
    }
    // A peer that has sent all its requests may end its side and still wait for the answers.
    this.#server = createServer(
      { allowHalfOpen: true, keepAlive: true, pauseOnConnect: true },
      socket => this.#accept(socket),
    )
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port, backlog: BACKLOG }, () => {
        this.#server.off('error', reject)
        this.#server.on('error', error => {
          this.#logger.error({ error: error.stack }, 'the listener failed')
        })
        this.#sweepLater()
        this.#tickLater()
        resolve()
      })
    })
  }

  get address(): Endpoint {
    const { address, port } = this.#server.address() as AddressInfo
    return { host: address, port }
  }

  get connections(): number {
    return this.#connections.size
  }

  metrics(): Readonly<Record<string, number>> {
    const counters = this.#counters
    const metrics: Record<string, number> = {
      connections_open: this.#connections.size,
      connections_accepted_total: counters.connectionsAccepted,
      connections_refused_total: counters.connectionsRefused,
      connections_evicted_total: counters.connectionsEvicted,
      connections_closed_for_cause_total: counters.connectionsClosedForCause,
      requests_malformed_total: counters.requestsMalformed,
      requests_failed_total: counters.requestsFailed,
      bytes_received_total: counters.bytesReceived,
      bytes_sent_total: counters.bytesSent,
      bytes_in_flight: this.#bytes.total,
      connections_waiting_for_memory: this.#bytes.waiting,
      chunk_bytes_used: this.#chunks.used,
      chunk_bytes_free: this.#chunks.free,
      frame_bytes_kept: this.#frames.keptBytes,
      ...this.#watch.metrics(),
    }
    if (this.#node.trace !== undefined) Object.assign(metrics, this.#node.trace.metrics())
    for (const [key, { name }] of APIS) {
      const count = counters.requests[key]
      if (count !== undefined) metrics[`requests_${name}_total`] = count
    }
    return metrics
  }

  #accept(socket: Socket): void {
    const { settings } = this.#options
    const address = socket.remoteAddress ?? ''
    const ofAddress = this.#perAddress.get(address) ?? 0
    if (this.#closing) {
      this.#refuse(socket, 'connections.max')
      return
    }
    if (ofAddress >= settings['connections.max.per.ip']) {
      this.#refuse(socket, 'connections.max.per.ip')
      return
    }
    if (this.#connections.size >= settings['connections.max'] && !this.#evictIdle()) {
      this.#refuse(socket, 'connections.max')
      return
    }
    this.#counters.connectionsAccepted += 1
    this.#perAddress.set(address, ofAddress + 1)
    const connection = new Connection(socket, this.#node, this.#awake.monotonic())
    this.#connections.add(connection)
  }

  /** Closes the longest idle connection of the address that has the most; false if none is. */
  #evictIdle(): boolean {
    const idleMs = this.#options.settings['connections.evict.idle.ms']
    const idleBefore = this.#awake.monotonic() - idleMs
    let found: Connection | undefined
    for (const connection of this.#connections) {
      if ((connection.idleSince ?? Number.POSITIVE_INFINITY) > idleBefore) continue
      if (found === undefined || this.#goesBefore(connection, found)) found = connection
    }
    if (found === undefined) return false
    found.evict()
    this.#counters.connectionsEvicted += 1
    return true
  }

  #goesBefore(one: Connection, other: Connection): boolean {
    const count = (of: Connection): number => this.#perAddress.get(of.remoteAddress) ?? 0
    const more = count(one) - count(other)
    return more > 0 || (more === 0 && (one.idleSince ?? 0) < (other.idleSince ?? 0))
  }

  #refuse(socket: Socket, limit: string): void {
    this.#counters.connectionsRefused += 1
    if (!this.#closing) {
      this.#logger.warn(
        { peer: socket.remoteAddress, limit, open: this.#connections.size },
        'connection refused: the limit is reached',
      )
    }
    socket.on('error', () => undefined)
    socket.destroy()
  }

  #closed(connection: Connection): void {
    if (!this.#connections.delete(connection)) return
    const address = connection.remoteAddress
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left === 0) this.#perAddress.delete(address)
    else this.#perAddress.set(address, left)
    if (this.#connections.size === 0) this.#allClosed?.()
  }

  #flushSoon(connection: Connection): void {
    if (connection.flushIsDue) return
    connection.flushIsDue = true
    if (this.#toFlush.push(connection) > 1) return
    // After all completions of this round, before the event loop goes on.
    process.nextTick(() => this.#flush())
  }

  #flush(): void {
    const connections = this.#toFlush
    this.#toFlush = []
    for (const connection of connections) {
      connection.flushIsDue = false
      connection.flush()
    }
  }

  #sweepLater(): void {
    this.#sweepTimer = this.#options.outside.timers.after(SWEEP_MS, () => {
      this.#logger.sweep()
      this.#chunks.trim()
      this.#frames.trim()
      const nowMs = this.#awake.monotonic()
      for (const connection of this.#connections) connection.sweep(nowMs)
      this.#shedHalves(nowMs)
      if (!this.#closing) this.#sweepLater()
    })
  }

  #shedHalves(nowMs: number): void {
    if (!this.#bytes.pressedByHalves) return
    const { settings } = this.#options
    const halves: Half[] = []
    for (const connection of this.#connections) {
      const half = connection.half(nowMs)
      if (half !== undefined) halves.push(half)
    }
    shedHalves(halves, this.#bytes, {
      nowMs,
      stallMaxMs: settings['connections.frame.stall.max.ms'],
      triesMax: triesMax(settings['queued.max.request.bytes'], READ_BYTES),
    })
  }

  #tickLater(): void {
    this.#watch.tick()
    this.#tickTimer = this.#options.outside.timers.after(TICK_MS, () => this.#tickLater())
  }

  async close({ drainMs }: { readonly drainMs: number }): Promise<void> {
    this.#closing = true
    this.#sweepTimer?.cancel()
    this.#tickTimer?.cancel()
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    const drained = new Promise<void>(resolve => {
      this.#allClosed = resolve
    })
    for (const connection of this.#connections) connection.drain()
    if (this.#connections.size > 0) {
      let timer: Timer | undefined
      const late = new Promise<void>(resolve => {
        timer = this.#options.outside.timers.after(drainMs, resolve)
      })
      await Promise.race([drained, late])
      timer?.cancel()
    }
    for (const connection of [...this.#connections]) connection.destroy()
    await closed
  }
}
