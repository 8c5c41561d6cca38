/**
 * Where derived data lives: an ordered map of bytes. LevelDB on disk, a sorted list in memory for
 * tests. Nothing in it is the only copy of anything; a damaged one is deleted and built again.
 */

/** One change of a batch. */
export type KeyValueChange =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: Buffer }

/** A part of the keys, in the order of bytes. */
export type KeyRange = {
  readonly gte: Buffer
  readonly lt: Buffer
  readonly reverse?: boolean
  /** Most entries. */
  readonly limit?: number
}

/** Key and value. */
export type KeyValueEntry = readonly [key: Buffer, value: Buffer]

/** An ordered map of bytes. */
export interface KeyValue {
  /** Why what was there was thrown away at opening; undefined: it was not. */
  readonly discarded?: string | undefined
  /** Blocks the thread for microseconds; for what a decision waits for. */
  getSync(key: Buffer): Buffer | undefined
  getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]>
  /** All changes or none, after a crash too; the latest batches may then be missing. */
  batch(changes: readonly KeyValueChange[]): Promise<void>
  /** Pages of entries, as they were when the first was asked for. */
  range(range: KeyRange): AsyncIterable<readonly KeyValueEntry[]>
  /** Removes all keys of a part. */
  clear(range: Pick<KeyRange, 'gte' | 'lt'>): Promise<void>
  close(): Promise<void>
}

/** The first key after all that begin with `prefix`. */
export function afterPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix)
  for (let i = end.length - 1; i >= 0; i--) {
    const byte = end[i] as number
    if (byte < 0xff) {
      end[i] = byte + 1
      return end.subarray(0, i + 1)
    }
  }
  throw new RangeError('a prefix of 0xff bytes alone has no end')
}
