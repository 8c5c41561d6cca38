/** Derived data on disk, in LevelDB. One process a folder. */
import { ClassicLevel } from 'classic-level'
import { StoreError } from '../errors.ts'
import type { KeyRange, KeyValue, KeyValueChange, KeyValueEntry } from './key-value.ts'

const PAGE_ENTRIES = 256
/** Bytes that one page of a range brings into memory at most (and always one entry). */
const PAGE_BYTES = 1024 * 1024
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024
const FILE_BYTES = 16 * 1024 * 1024
const BLOCK_BYTES = 16 * 1024

/**
 * Opens the folder, creating it.
 *
 * @param cacheBytes of LevelDB's block cache
 * @throws StoreError INDEX_DAMAGED when it is in use or cannot be read
 */
export async function openLevel(folder: string, cacheBytes: number): Promise<KeyValue> {
  const db = new ClassicLevel<Buffer, Buffer>(folder, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    cacheSize: cacheBytes,
    writeBufferSize: WRITE_BUFFER_BYTES,
    maxFileSize: FILE_BYTES,
    blockSize: BLOCK_BYTES,
    compression: false,
  })
  try {
    await db.open()
  } catch (cause) {
    throw new StoreError('INDEX_DAMAGED', `the index in ${folder} cannot be opened`, { cause })
  }
  return new Level(db)
}

class Level implements KeyValue {
  readonly #db: ClassicLevel<Buffer, Buffer>

  constructor(db: ClassicLevel<Buffer, Buffer>) {
    this.#db = db
  }

  getSync(key: Buffer): Buffer | undefined {
    return this.#db.getSync(key)
  }

  getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]> {
    return this.#db.getMany(keys as Buffer[])
  }

  async batch(changes: readonly KeyValueChange[]): Promise<void> {
    const batch = this.#db.batch()
    for (const change of changes) {
      if (change.type === 'put') batch.put(change.key, change.value)
      else batch.del(change.key)
    }
    await batch.write()
  }

  async *range(range: KeyRange): AsyncIterable<readonly KeyValueEntry[]> {
    const { gte, lt, reverse = false, limit = -1 } = range
    const iterator = this.#db.iterator({ gte, lt, reverse, limit, highWaterMarkBytes: PAGE_BYTES })
    try {
      for (;;) {
        const page = await iterator.nextv(PAGE_ENTRIES)
        if (page.length === 0) return
        yield page
      }
    } finally {
      await iterator.close()
    }
  }

  clear(range: Pick<KeyRange, 'gte' | 'lt'>): Promise<void> {
    return this.#db.clear({ gte: range.gte, lt: range.lt })
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}
