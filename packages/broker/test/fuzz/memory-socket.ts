/**
 * The server's end of a connection without a network: what `Connection` uses of a `net.Socket`.
 * Cheap enough for a fresh connection per case, where real ones would run out of ports.
 */
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'

/** Above what a real socket can have: lines of the log are told apart by it. */
const FIRST_PORT = 100_000
let sockets = 0

/** A connection whose other end is a test. */
export class MemorySocket extends EventEmitter {
  readonly remoteAddress = '127.0.0.1'
  readonly remotePort: number = FIRST_PORT + sockets++
  readonly localAddress = '127.0.0.1'
  readonly localPort = 9092
  /** What the server has written. */
  readonly received: Buffer[] = []
  readonly #arriving: Buffer[] = []
  #ending = false
  #paused = false
  #closed = false

  /** As the type that the server wants. */
  get socket(): Socket {
    return this as unknown as Socket
  }

  get closed(): boolean {
    return this.#closed
  }

  /** The peer sends bytes. */
  deliver(chunk: Buffer): void {
    this.#arriving.push(chunk)
    this.#pass()
  }

  /** The peer sends no more. */
  end(): void {
    this.#ending = true
    this.#pass()
  }

  setNoDelay(): this {
    return this
  }

  pause(): this {
    this.#paused = true
    return this
  }

  resume(): this {
    this.#paused = false
    queueMicrotask(() => this.#pass())
    return this
  }

  write(bytes: Buffer, taken: () => void): boolean {
    // The buffer is used again once it is taken.
    if (!this.#closed) this.received.push(Buffer.from(bytes))
    setImmediate(taken)
    return true
  }

  destroySoon(): void {
    this.destroy()
  }

  destroy(): this {
    if (this.#closed) return this
    this.#closed = true
    this.#arriving.length = 0
    setImmediate(() => this.emit('close'))
    return this
  }

  #pass(): void {
    while (!this.#paused && !this.#closed) {
      const chunk = this.#arriving.shift()
      if (chunk === undefined) break
      this.emit('data', chunk)
    }
    if (!this.#ending || this.#paused || this.#closed || this.#arriving.length > 0) return
    this.#ending = false
    this.emit('end')
  }
}
