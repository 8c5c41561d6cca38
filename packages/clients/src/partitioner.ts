/**
 * Which partition a record goes to, as Kafka's Java client decides it, so that programs in every
 * language put one key into one partition.
 *
 * With a key: murmur2 (seed 0x9747b28c) without its sign bit, modulo the number of partitions; an
 * empty key is a key. Without a key: sticky (KIP-480, KIP-794), that is one random partition until
 * a batch's worth of bytes went there, then another, because a few full batches are cheaper than
 * many small ones.
 */
import { type Random, randomBelow } from '@millrace/base'

const SEED = 0x9747b28c
const M = 0x5bd1e995

/** Kafka's murmur2 of the first `length` bytes, as a signed 32-bit number. */
export function murmur2(data: Uint8Array, length: number = data.length): number {
  let h = SEED ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let k = byte(data, at) | (byte(data, at + 1) << 8) | (byte(data, at + 2) << 16)
    k |= byte(data, at + 3) << 24
    k = Math.imul(k, M)
    k ^= k >>> 24
    h = Math.imul(h, M) ^ Math.imul(k, M)
  }
  const rest = length - at
  if (rest > 2) h ^= byte(data, at + 2) << 16
  if (rest > 1) h ^= byte(data, at + 1) << 8
  if (rest > 0) h = Math.imul(h ^ byte(data, at), M)
  h ^= h >>> 13
  h = Math.imul(h, M)
  return h ^ (h >>> 15)
}

// The index is always inside: the fallback only satisfies the type.
const byte = (data: Uint8Array, at: number): number => data[at] ?? 0

/** The partition of a key among `partitionCount`. */
export const partitionOfKey = (key: Uint8Array, partitionCount: number): number =>
  (murmur2(key) & 0x7fffffff) % partitionCount

/** Longest text that is surely written into {@link scratch}: three bytes a unit at most. */
const SCRATCH_TEXT_LENGTH = 256
const scratch = Buffer.allocUnsafeSlow(SCRATCH_TEXT_LENGTH * 3)

/** The partition of a key given as text, hashed as its UTF-8. */
export function partitionOfTextKey(key: string, partitionCount: number): number {
  if (key.length > SCRATCH_TEXT_LENGTH) return partitionOfKey(Buffer.from(key), partitionCount)
  return (murmur2(scratch, scratch.write(key)) & 0x7fffffff) % partitionCount
}

/** Chooses partitions for the keyless records of one topic. */
export class StickyPartitioner {
  #random: Random
  #bytesPerTurn: number
  #partition = -1
  #bytes = 0

  /** @param bytesPerTurn after this many bytes another partition is chosen */
  constructor(random: Random, bytesPerTurn: number) {
    this.#random = random
    this.#bytesPerTurn = bytesPerTurn
  }

  /** The partition for a record of `bytes` bytes. */
  next(bytes: number, partitionCount: number): number {
    if (this.#partition < 0 || this.#bytes >= this.#bytesPerTurn) this.#move(partitionCount)
    if (this.#partition >= partitionCount) this.#move(partitionCount)
    this.#bytes += bytes
    return this.#partition
  }

  #move(partitionCount: number): void {
    this.#bytes = 0
    if (partitionCount === 1 || this.#partition < 0 || this.#partition >= partitionCount) {
      this.#partition = randomBelow(this.#random, partitionCount)
      return
    }
    // Any other one: a step of 1 to n - 1 from where we are.
    const step = 1 + randomBelow(this.#random, partitionCount - 1)
    this.#partition = (this.#partition + step) % partitionCount
  }
}
