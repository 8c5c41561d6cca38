/**
 * Memory of requests, used again: what a large request lies in is given back once the engine has
 * copied its batches. Memory outside of the heap that is allocated for each request anew makes the
 * garbage collector walk the whole heap many times a second under load.
 *
 * Four sizes, each four times the one before. What is kept for the next request is bounded; what is
 * lent is counted with the bytes in flight. A frame that is never given back is no loss: it is left
 * to the garbage collector.
 */
import type { FrameMemory } from '@millrace/protocol'

const SIZES: readonly number[] = [16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024]
/** Smaller frames share slabs of the platform's. */
const POOLED_FROM_BYTES = 4096

/** The frames' memory of a listener. */
export class FramePool implements FrameMemory {
  readonly #keptMax: number
  readonly #kept: readonly Buffer[][] = SIZES.map(() => [])
  readonly #lent = new WeakSet<ArrayBufferLike>()
  #keptBytes = 0

  /** @param keptMax most bytes that are kept for the next requests */
  constructor(keptMax: number) {
    this.#keptMax = keptMax
  }

  get keptBytes(): number {
    return this.#keptBytes
  }

  take(bytes: number): Buffer {
    const size = SIZES.findIndex(each => bytes <= each)
    if (size < 0) return Buffer.allocUnsafeSlow(bytes)
    if (bytes < POOLED_FROM_BYTES) return Buffer.allocUnsafe(bytes)
    let buffer = this.#kept[size]?.pop()
    if (buffer === undefined) buffer = Buffer.allocUnsafeSlow(SIZES[size] ?? bytes)
    else this.#keptBytes -= buffer.length
    this.#lent.add(buffer.buffer)
    return buffer
  }

  /** Takes back what a frame lies in; nobody looks at it any more. Once for each {@link take}. */
  give(frame: Buffer): void {
    const memory = frame.buffer
    if (!this.#lent.delete(memory)) return
    const size = SIZES.indexOf(memory.byteLength)
    if (size < 0 || this.#keptBytes + memory.byteLength > this.#keptMax) return
    this.#keptBytes += memory.byteLength
    this.#kept[size]?.push(Buffer.from(memory))
  }

  /** Gives half of what is kept back to the process; called now and then. */
  trim(): void {
    for (const kept of this.#kept) {
      for (const buffer of kept.splice(Math.floor(kept.length / 2)))
        this.#keptBytes -= buffer.length
    }
  }
}
