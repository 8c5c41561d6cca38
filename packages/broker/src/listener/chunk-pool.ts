/**
 * Memory through which answers are streamed: buffers of two sizes, shared by all connections, up to
 * a limit. When it is used up a connection that has nothing on its way may still take one small
 * buffer, so a few slow readers cannot stop the others; the memory is then at most the limit and
 * one small buffer a connection.
 */

/** Bytes of a small chunk. */
export const CHUNK_BYTES_SMALL: number = 64 * 1024
/** Bytes of a large chunk. */
export const CHUNK_BYTES_LARGE: number = 1024 * 1024

/** The shared chunks. */
export class ChunkPool {
  readonly #limit: number
  readonly #small: Buffer[] = []
  readonly #large: Buffer[] = []
  #used = 0
  #free = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Bytes of chunks that are lent, those beyond the limit included. */
  get used(): number {
    return this.#used
  }

  /** Bytes of chunks that are kept for the next use. */
  get free(): number {
    return this.#free
  }

  /**
   * A chunk, as large as `wanted` bytes make sensible; undefined when the limit is reached, except
   * where `always` makes it a small one.
   */
  take(wanted: number, always: boolean): Buffer | undefined {
    let bytes = wanted > CHUNK_BYTES_SMALL ? CHUNK_BYTES_LARGE : CHUNK_BYTES_SMALL
    if (this.#used + bytes > this.#limit) {
      if (!always && this.#used + CHUNK_BYTES_SMALL > this.#limit) return undefined
      bytes = CHUNK_BYTES_SMALL
    }
    this.#used += bytes
    const kept = (bytes === CHUNK_BYTES_LARGE ? this.#large : this.#small).pop()
    if (kept !== undefined) {
      this.#free -= bytes
      return kept
    }
    // What is kept of the other size makes room.
    for (const other of [this.#large, this.#small]) {
      while (this.#used + this.#free > this.#limit && other.length > 0) {
        this.#free -= other.pop()?.length ?? 0
      }
    }
    return Buffer.allocUnsafeSlow(bytes)
  }

  /** Takes a chunk back. */
  give(chunk: Buffer): void {
    this.#used -= chunk.length
    if (this.#used + this.#free + chunk.length > this.#limit) return
    this.#free += chunk.length
    if (chunk.length === CHUNK_BYTES_LARGE) this.#large.push(chunk)
    else this.#small.push(chunk)
  }

  /** Takes note that a chunk will not come back: something outside may still read from it. */
  lose(chunk: Buffer): void {
    this.#used -= chunk.length
  }

  /** Gives half of what is not in use back to the process; called now and then. */
  trim(): void {
    for (const kept of [this.#small, this.#large]) {
      for (const chunk of kept.splice(Math.floor(kept.length / 2))) this.#free -= chunk.length
    }
  }
}
