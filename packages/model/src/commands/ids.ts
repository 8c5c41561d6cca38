/** Random ids: of commands that came without one, and for decisions that need some. */
import type { Outside } from '@millrace/base'

const ID_BYTES = 16
/** Ids drawn at once: asking the platform for each one apart costs more than the rest of an id. */
const POOL_IDS = 128

/** 16 random bytes each, as 22 characters or as a UUID. */
export class Ids {
  readonly #random: Outside['random']
  #pool: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(random: Outside['random']) {
    this.#random = random
  }

  /** 22 characters of base64url. */
  next(): string {
    const at = this.#take()
    return this.#pool.toString('base64url', at, at + ID_BYTES)
  }

  /** A random UUID (RFC 9562, version 4). */
  uuid(): string {
    const at = this.#take()
    const pool = this.#pool
    pool[at + 6] = ((pool[at + 6] ?? 0) & 0x0f) | 0x40
    pool[at + 8] = ((pool[at + 8] ?? 0) & 0x3f) | 0x80
    const hex = pool.toString('hex', at, at + ID_BYTES)
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }

  #take(): number {
    if (this.#at >= this.#pool.length) {
      this.#pool = this.#random.bytes(ID_BYTES * POOL_IDS)
      this.#at = 0
    }
    const at = this.#at
    this.#at += ID_BYTES
    return at
  }
}
