/**
 * xxHash, 32 bits, seed 0: the checksum of LZ4 frames (header, blocks, content). The native library
 * computes it for whole frames; this one is for frames that are read block by block.
 */
const PRIME_1 = 0x9e3779b1
const PRIME_2 = 0x85ebca77
const PRIME_3 = 0xc2b2ae3d
const PRIME_4 = 0x27d4eb2f
const PRIME_5 = 0x165667b1
const STRIPE_BYTES = 16

const rotated = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits))

const mixed = (lane: number, word: number): number =>
  Math.imul(rotated((lane + Math.imul(word, PRIME_2)) | 0, 13), PRIME_1)

/** A hash over bytes that come in pieces. */
export class XxHash32 {
  #a = (PRIME_1 + PRIME_2) | 0
  #b: number = PRIME_2 | 0
  #c = 0
  #d: number = -PRIME_1 | 0
  #bytes = 0
  readonly #rest = Buffer.alloc(STRIPE_BYTES)
  #restBytes = 0

  update(data: Buffer): this {
    this.#bytes += data.length
    let at = 0
    if (this.#restBytes > 0) {
      at = data.copy(this.#rest, this.#restBytes)
      this.#restBytes += at
      if (this.#restBytes < STRIPE_BYTES) return this
      this.#stripes(this.#rest, 0, STRIPE_BYTES)
      this.#restBytes = 0
    }
    const end = at + Math.floor((data.length - at) / STRIPE_BYTES) * STRIPE_BYTES
    this.#stripes(data, at, end)
    this.#restBytes = data.copy(this.#rest, 0, end)
    return this
  }

  /** The hash of what has come, an unsigned 32-bit number. */
  digest(): number {
    let hash =
      this.#bytes >= STRIPE_BYTES
        ? rotated(this.#a, 1) + rotated(this.#b, 7) + rotated(this.#c, 12) + rotated(this.#d, 18)
        : PRIME_5
    hash = (hash + this.#bytes) | 0
    let at = 0
    for (; at + 4 <= this.#restBytes; at += 4) {
      const word = this.#rest.readInt32LE(at)
      hash = Math.imul(rotated((hash + Math.imul(word, PRIME_3)) | 0, 17), PRIME_4)
    }
    for (; at < this.#restBytes; at++) {
      const byte = this.#rest[at] ?? 0
      hash = Math.imul(rotated((hash + Math.imul(byte, PRIME_5)) | 0, 11), PRIME_1)
    }
    hash = Math.imul(hash ^ (hash >>> 15), PRIME_2)
    hash = Math.imul(hash ^ (hash >>> 13), PRIME_3)
    return (hash ^ (hash >>> 16)) >>> 0
  }

  #stripes(data: Buffer, from: number, end: number): void {
    for (let at = from; at < end; at += STRIPE_BYTES) {
      this.#a = mixed(this.#a, data.readInt32LE(at))
      this.#b = mixed(this.#b, data.readInt32LE(at + 4))
      this.#c = mixed(this.#c, data.readInt32LE(at + 8))
      this.#d = mixed(this.#d, data.readInt32LE(at + 12))
    }
  }
}

/** The hash of one piece of bytes. */
export const xxHash32 = (data: Buffer): number => new XxHash32().update(data).digest()
