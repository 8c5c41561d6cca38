/**
 * A map of which copies cost nothing: a snapshot shares the map's entries, and what is changed while
 * it lives is kept for it on the way. So a checkpoint can take its time over a large state, in slices,
 * while the state goes on.
 *
 * Values are not changed in place but through {@link SnapshotMap.own}.
 */

/** A map as it was at one moment. Hold it no longer than needed: it keeps what is changed meanwhile. */
export interface MapSnapshot<K, V> {
  /**
   * The entries of that moment. May be read in slices; each call begins anew. A key may come twice,
   * with the same value, where it is changed between two slices.
   */
  entries(): Generator<readonly [K, V]>
  /** Nobody reads it any more. */
  release(): void
}

/** A map to read from. */
export type ReadableMap<K, V> = Pick<
  SnapshotMap<K, V>,
  'get' | 'has' | 'keys' | 'values' | 'size' | typeof Symbol.iterator
>

const ABSENT: unique symbol = Symbol('absent')

/** A map with snapshots. */
export class SnapshotMap<K, V> {
  readonly #map = new Map<K, V>()
  readonly #snapshots = new Set<Snapshot<K, V>>()

  get size(): number {
    return this.#map.size
  }

  get(key: K): V | undefined {
    return this.#map.get(key)
  }

  has(key: K): boolean {
    return this.#map.has(key)
  }

  keys(): MapIterator<K> {
    return this.#map.keys()
  }

  values(): MapIterator<V> {
    return this.#map.values()
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.#map[Symbol.iterator]()
  }

  set(key: K, value: V): void {
    this.#keep(key)
    this.#map.set(key, value)
  }

  delete(key: K): boolean {
    this.#keep(key)
    return this.#map.delete(key)
  }

  /** The value, to be changed in place: a copy of it where a snapshot still holds the old one. */
  own(key: K, copy: (value: V) => V): V | undefined {
    const value = this.#map.get(key)
    if (value === undefined) return undefined
    let shared = false
    for (const snapshot of this.#snapshots) if (!snapshot.before.has(key)) shared = true
    if (!shared) return value
    const owned = copy(value)
    this.set(key, owned)
    return owned
  }

  /** The map as it is now. */
  snapshot(): MapSnapshot<K, V> {
    const snapshot = new Snapshot(this.#map, () => this.#snapshots.delete(snapshot))
    this.#snapshots.add(snapshot)
    return snapshot
  }

  #keep(key: K): void {
    for (const { before } of this.#snapshots) {
      if (before.has(key)) continue
      const value = this.#map.get(key)
      before.set(key, value === undefined && !this.#map.has(key) ? ABSENT : (value as V))
    }
  }
}

class Snapshot<K, V> implements MapSnapshot<K, V> {
  /** What has changed since: the value of the snapshot's moment. */
  readonly before = new Map<K, V | typeof ABSENT>()
  readonly #map: ReadonlyMap<K, V>
  readonly release: () => void

  constructor(map: ReadonlyMap<K, V>, release: () => void) {
    this.#map = map
    this.release = release
  }

  *entries(): Generator<readonly [K, V]> {
    for (const entry of this.#map) if (!this.before.has(entry[0])) yield entry
    for (const [key, value] of this.before) if (value !== ABSENT) yield [key, value]
  }
}
