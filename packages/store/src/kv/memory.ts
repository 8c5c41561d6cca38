/**
 * Derived data in memory, for tests and simulation. Keys stand in a sorted list that is put in order
 * when a range is asked for; a range sees the map as it was then.
 */
import type { KeyRange, KeyValue, KeyValueChange, KeyValueEntry } from './key-value.ts'

const PAGE_ENTRIES = 256

/** An empty map. */
export function memoryKeyValue(): KeyValue {
  return new Memory()
}

class Memory implements KeyValue {
  readonly #values = new Map<string, Buffer>()
  #sorted: string[] | null = []

  getSync(key: Buffer): Buffer | undefined {
    return this.#values.get(key.toString('latin1'))
  }

  getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]> {
    return Promise.resolve(keys.map(key => this.getSync(key)))
  }

  batch(changes: readonly KeyValueChange[]): Promise<void> {
    for (const change of changes) {
      const key = change.key.toString('latin1')
      if (change.type === 'put') {
        if (!this.#values.has(key)) this.#sorted = null
        this.#values.set(key, Buffer.from(change.value))
      } else if (this.#values.delete(key)) {
        this.#sorted = null
      }
    }
    return Promise.resolve()
  }

  async *range(range: KeyRange): AsyncIterable<readonly KeyValueEntry[]> {
    const { reverse = false, limit = -1 } = range
    const found = this.#between(range).map(
      key => [Buffer.from(key, 'latin1'), this.#values.get(key) as Buffer] as const,
    )
    if (reverse) found.reverse()
    const wanted = limit < 0 ? found : found.slice(0, limit)
    for (let i = 0; i < wanted.length; i += PAGE_ENTRIES) yield wanted.slice(i, i + PAGE_ENTRIES)
  }

  clear(range: Pick<KeyRange, 'gte' | 'lt'>): Promise<void> {
    for (const key of this.#between(range)) this.#values.delete(key)
    this.#sorted = null
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** Latin-1 strings compare as their bytes do. */
  #between(range: Pick<KeyRange, 'gte' | 'lt'>): string[] {
    this.#sorted ??= [...this.#values.keys()].sort()
    const sorted = this.#sorted
    const from = place(sorted, range.gte.toString('latin1'))
    return sorted.slice(from, Math.max(from, place(sorted, range.lt.toString('latin1'))))
  }
}

/** The first place whose key is not below `key`. */
function place(sorted: readonly string[], key: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as string) < key) low = middle + 1
    else high = middle
  }
  return low
}
