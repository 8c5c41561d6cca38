/** A listener without sockets: connections that a test hands over, and all that they share. */
import { systemOutside, Turns } from '@millrace/base'
import type { Engine } from '@millrace/engine'
import { APIS, REQUEST_LIMITS } from '@millrace/protocol'
import { HANDLERS } from '../../src/handlers/handlers.ts'
import { BytesInFlight } from '../../src/listener/bytes-in-flight.ts'
import { ChunkPool } from '../../src/listener/chunk-pool.ts'
import { Connection, type ConnectionNode } from '../../src/listener/connection.ts'
import { Counters } from '../../src/listener/counters.ts'
import { FramePool } from '../../src/listener/frame-pool.ts'
import type { Logger } from '../../src/listener/logger.ts'
import { TurnWatch } from '../../src/listener/turn-watch.ts'
import type { BrokerSettings } from '../../src/settings.ts'
import type { MemorySocket } from './memory-socket.ts'

export class MemoryNode {
  readonly bytes: BytesInFlight
  readonly connections = new Set<Connection>()
  readonly #node: ConnectionNode
  #toFlush: Connection[] = []

  constructor(engine: Engine, settings: BrokerSettings, logger: Logger) {
    const outside = systemOutside({ keepAlive: false })
    const { soon } = outside.timers
    this.bytes = new BytesInFlight(settings['queued.max.request.bytes'], soon)
    this.#node = {
      frames: new FramePool(1 << 20),
      readBuffer: Buffer.alloc(1 << 16),
      engine,
      settings,
      outside,
      logger,
      advertise: undefined,
      handlers: HANDLERS,
      apis: APIS,
      counters: new Counters(),
      bytes: this.bytes,
      chunks: new ChunkPool(settings['chunks.max.bytes']),
      turns: new Turns(outside, 20),
      watch: new TurnWatch(() => performance.now(), settings['request.turn.warn.ms'], logger),
      requestLimits: REQUEST_LIMITS,
      unsentBytesMax: settings['connections.unsent.max.bytes'],
      soon,
      flushSoon: connection => this.#flushSoon(connection),
      closed: connection => this.connections.delete(connection),
    }
  }

  accept(socket: MemorySocket): void {
    this.connections.add(new Connection(socket.socket, this.#node, performance.now()))
  }

  /** As the listener does it: once, behind all completions of this round. */
  #flushSoon(connection: Connection): void {
    if (connection.flushIsDue) return
    connection.flushIsDue = true
    if (this.#toFlush.push(connection) > 1) return
    process.nextTick(() => {
      const connections = this.#toFlush
      this.#toFlush = []
      for (const each of connections) {
        each.flushIsDue = false
        each.flush()
      }
    })
  }
}
