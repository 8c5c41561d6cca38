/** A map that keeps what was used last. */

/** A bounded map: beyond `max` entries the one that was not used for longest goes. */
export class Lru<Key, Value> {
  readonly #max: number
  readonly #entries = new Map<Key, Value>()

  /** @param max 0: keeps nothing */
  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: Key): Value | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    // A map lists its keys in the order in which they came: used last is last.
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  set(key: Key, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#max) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  delete(key: Key): void {
    this.#entries.delete(key)
  }

  /** Takes out all that match. Looks at every entry. */
  deleteWhere(matches: (value: Value, key: Key) => boolean): number {
    let count = 0
    for (const [key, value] of this.#entries) {
      if (!matches(value, key)) continue
      this.#entries.delete(key)
      count += 1
    }
    return count
  }
}
