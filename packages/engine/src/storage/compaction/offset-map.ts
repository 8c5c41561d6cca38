/**
 * The last offset of each key, in a fixed amount of memory.
 *
 * A hash table with linear probing over two flat arrays: 16 bytes of the key's SHA-256 and its offset,
 * 24 bytes a slot. Keys themselves are not kept: two keys with the same 16 bytes would count as one,
 * which is less likely than any other failure (2^-64 for four billion keys). When three quarters of
 * the slots are taken it accepts no further key; whoever fills it goes on in another round.
 */
import { hash } from 'node:crypto'
import type { Offset } from '@millrace/log'

/** Memory of one slot in bytes. */
export const SLOT_BYTES = 24
const WORDS = 4
const LOAD_MAX = 0.75
const FREE = -1

/** Last offsets by key. */
export class OffsetMap {
  readonly #slots: number
  readonly #keysMax: number
  readonly #hashes: Int32Array
  readonly #offsets: Float64Array
  readonly #wanted = new Int32Array(WORDS)
  #size = 0

  /**
   * @param keys as many keys as are needed at most
   * @param bytesMax memory at most; room for one key there always is
   */
  constructor(keys: number, bytesMax: number) {
    const fitting = Math.floor(bytesMax / SLOT_BYTES)
    this.#slots = Math.max(2, Math.min(fitting, Math.ceil(keys / LOAD_MAX) + 1))
    this.#keysMax = Math.max(1, Math.floor(this.#slots * LOAD_MAX))
    this.#hashes = new Int32Array(this.#slots * WORDS)
    this.#offsets = new Float64Array(this.#slots).fill(FREE)
  }

  /** Keys so far. */
  get size(): number {
    return this.#size
  }

  /** Notes the offset of a key's record, in the order of offsets; false when there is no room. */
  put(key: Uint8Array, offset: Offset): boolean {
    const slot = this.#slotOf(key)
    if (this.#offsets[slot] === FREE) {
      if (this.#size >= this.#keysMax) return false
      this.#hashes.set(this.#wanted, slot * WORDS)
      this.#size += 1
    }
    this.#offsets[slot] = offset
    return true
  }

  /** The last offset of a key; -1 if it has not been noted. */
  get(key: Uint8Array): Offset {
    return this.#size === 0 ? -1 : (this.#offsets[this.#slotOf(key)] ?? -1)
  }

  /** The slot that holds the key, or the free one where it would go. */
  #slotOf(key: Uint8Array): number {
    const digest = hash('sha256', key, 'binary')
    const wanted = this.#wanted
    for (let word = 0; word < WORDS; word += 1) {
      const at = word * 4
      wanted[word] =
        digest.charCodeAt(at) |
        (digest.charCodeAt(at + 1) << 8) |
        (digest.charCodeAt(at + 2) << 16) |
        (digest.charCodeAt(at + 3) << 24)
    }
    let slot = ((wanted[0] ?? 0) >>> 0) % this.#slots
    while (this.#offsets[slot] !== FREE && !this.#holds(slot)) slot = (slot + 1) % this.#slots
    return slot
  }

  #holds(slot: number): boolean {
    const at = slot * WORDS
    for (let word = 0; word < WORDS; word += 1) {
      if (this.#hashes[at + word] !== this.#wanted[word]) return false
    }
    return true
  }
}
