/**
 * One broker: its connections, opened when first needed and again after they have ended.
 *
 * A broker answers the requests of one connection in order, so what may wait there must not share
 * one with what must not: administration, appends and group calls have a connection each, and every
 * call that waits at the broker (fetch, join, sync) borrows one of `connections.waiting.max`.
 */
import { formatAddress } from '@millrace/base'
import { LogError } from '@millrace/log'
import { BrokerConnection } from './broker-connection.ts'
import { closedError } from './errors.ts'
import type { BrokerAddress, KafkaClientOutside } from './outside.ts'
import type { ClientSettings } from './settings.ts'

/** What shares a connection. */
export type Lane = 'control' | 'produce' | 'groups'

/** What a broker is made of. */
export type BrokerOptions = {
  readonly address: BrokerAddress
  readonly clientId: string | null
  readonly outside: KafkaClientOutside
  readonly settings: ClientSettings
}

/** A connection that was borrowed for a call that waits. */
type Borrower = {
  take(connection: BrokerConnection): void
  fail(error: LogError): void
}

/** A broker and the connections to it. */
export class Broker {
  readonly address: BrokerAddress
  readonly #options: BrokerOptions
  readonly #lanes = new Map<Lane, BrokerConnection>()
  /** All that are open for waiting calls, and those of them that nobody has borrowed. */
  readonly #waiting = new Set<BrokerConnection>()
  readonly #idle: BrokerConnection[] = []
  readonly #borrowers: Borrower[] = []
  #closed = false

  constructor(options: BrokerOptions) {
    this.#options = options
    this.address = options.address
  }

  /** `host:port`. */
  get name(): string {
    return formatAddress(this.address)
  }

  /** Whether a connection of this kind is open or being opened. */
  hasLane(lane: Lane): boolean {
    return this.#lanes.has(lane)
  }

  /** The connection of a lane. Throws LOG_CLOSED. */
  lane(lane: Lane): BrokerConnection {
    if (this.#closed) throw closedError()
    const before = this.#lanes.get(lane)
    if (before !== undefined) return before
    const connection = this.#open(() => {
      if (this.#lanes.get(lane) === connection) this.#lanes.delete(lane)
    })
    this.#lanes.set(lane, connection)
    return connection
  }

  /** Runs a call that may wait at the broker on a connection that nobody else uses meanwhile. */
  async waiting<Result>(call: (connection: BrokerConnection) => Promise<Result>): Promise<Result> {
    const connection = await this.#borrow()
    try {
      return await call(connection)
    } finally {
      this.#return(connection)
    }
  }

  /** Ends the waiting calls at once and the lanes when they are answered or `drainMs` have passed. */
  async close(drainMs: number): Promise<void> {
    this.#closed = true
    for (const borrower of this.#borrowers.splice(0)) borrower.fail(closedError())
    for (const connection of [...this.#waiting]) connection.close('closed', closedError())
    const lanes = [...this.#lanes.values()]
    if (drainMs > 0 && lanes.some(({ unanswered }) => unanswered > 0)) {
      await Promise.race([
        Promise.all(lanes.map(connection => connection.drained())),
        this.#later(drainMs, lanes),
      ])
    }
    for (const connection of lanes) connection.close('closed', closedError())
  }

  /** Resolves after `ms`, but leaves no timer behind when the lanes are done before. */
  #later(ms: number, lanes: readonly BrokerConnection[]): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#options.outside.timers.after(ms, resolve)
      void Promise.all(lanes.map(connection => connection.drained())).then(() => timer.cancel())
    })
  }

  #open(onClosed: (connection: BrokerConnection) => void): BrokerConnection {
    return new BrokerConnection({ ...this.#options, onClosed })
  }

  #borrow(): Promise<BrokerConnection> {
    if (this.#closed) return Promise.reject(closedError())
    const idle = this.#idle.pop()
    if (idle !== undefined) return Promise.resolve(idle)
    const { settings } = this.#options
    if (this.#waiting.size < settings['connections.waiting.max']) {
      return Promise.resolve(this.#openWaiting())
    }
    const max = settings['connections.queued.max']
    if (this.#borrowers.length >= max) {
      const detail = `connections.queued.max: ${max} calls wait for a connection to ${this.name}`
      return Promise.reject(new LogError('THROTTLING_QUOTA_EXCEEDED', detail))
    }
    return new Promise((take, fail) => this.#borrowers.push({ take, fail }))
  }

  #openWaiting(): BrokerConnection {
    const connection = this.#open(ended => {
      this.#waiting.delete(ended)
      const at = this.#idle.indexOf(ended)
      if (at >= 0) this.#idle.splice(at, 1)
    })
    this.#waiting.add(connection)
    return connection
  }

  #return(connection: BrokerConnection): void {
    const next = this.#borrowers.shift()
    if (!connection.ended) {
      if (next === undefined) this.#idle.push(connection)
      else next.take(connection)
    } else if (next !== undefined) {
      if (this.#closed) next.fail(closedError())
      else next.take(this.#openWaiting())
    }
  }
}
