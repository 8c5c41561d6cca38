/**
 * Derived data on disk, in LevelDB. One process a folder.
 *
 * LevelDB passes over records of its own log that fail their checksum, without a word: a batch in the
 * middle would be missing, and what was there before it be taken for the present. So each batch has a
 * number, written with it; where one of the latest is missing at opening everything is thrown away,
 * to be made again. A crash takes the last batches only, which leaves no gap.
 */
import { ClassicLevel } from 'classic-level'
import { StoreError } from '../errors.ts'
import type { KeyRange, KeyValue, KeyValueChange, KeyValueEntry } from './key-value.ts'

const PAGE_ENTRIES = 256
/** Bytes that one page of a range brings into memory at most (and always one entry). */
const PAGE_BYTES = 1024 * 1024
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024
const FILE_BYTES = 16 * 1024 * 1024
const BLOCK_BYTES = 16 * 1024
/** The latest batches whose numbers are kept: more than LevelDB's log has room for, as they come. */
const NUMBERS_KEPT = 16_384
const NUMBER_KIND = 0x23
const NUMBER_BYTES = 6
const NOTHING = Buffer.alloc(0)

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
  const numbers = await lastNumber(db)
  if (numbers.whole) return new Level(db, numbers.last, undefined)
  await db.clear()
  return new Level(db, 0, `batch ${numbers.last} of its writes is missing`)
}

/** The number of the last batch; or, where one is missing, that one's. */
async function lastNumber(
  db: ClassicLevel<Buffer, Buffer>,
): Promise<{ readonly whole: boolean; readonly last: number }> {
  const found: number[] = []
  for await (const key of db.keys({ gte: numberKey(0), lt: numberKey(2 ** 48 - 1) })) {
    found.push(key.readUIntBE(1, NUMBER_BYTES))
  }
  const last = found.at(-1) ?? 0
  let next = Math.max(1, last - NUMBERS_KEPT + 1)
  for (const number of found) {
    if (number !== next) return { whole: false, last: next }
    next += 1
  }
  return { whole: true, last }
}

function numberKey(number: number): Buffer {
  const key = Buffer.allocUnsafe(1 + NUMBER_BYTES)
  key[0] = NUMBER_KIND
  key.writeUIntBE(number, 1, NUMBER_BYTES)
  return key
}

class Level implements KeyValue {
  readonly discarded: string | undefined
  readonly #db: ClassicLevel<Buffer, Buffer>
  #number: number
  #last: Promise<void> = Promise.resolve()

  constructor(db: ClassicLevel<Buffer, Buffer>, number: number, discarded: string | undefined) {
    this.#db = db
    this.#number = number
    this.discarded = discarded
  }

  getSync(key: Buffer): Buffer | undefined {
    return this.#db.getSync(key)
  }

  getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]> {
    return this.#db.getMany(keys as Buffer[])
  }

  /** One after the other, so that a crash leaves no gap in the numbers. */
  batch(changes: readonly KeyValueChange[]): Promise<void> {
    const written = this.#last.then(() => this.#write(changes))
    this.#last = written.catch(() => undefined)
    return written
  }

  async #write(changes: readonly KeyValueChange[]): Promise<void> {
    const batch = this.#db.batch()
    for (const change of changes) {
      if (change.type === 'put') batch.put(change.key, change.value)
      else batch.del(change.key)
    }
    const number = this.#number + 1
    batch.put(numberKey(number), NOTHING)
    if (number > NUMBERS_KEPT) batch.del(numberKey(number - NUMBERS_KEPT))
    await batch.write()
    this.#number = number
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
