/**
 * Derived data on disk, in LevelDB. One process a folder.
 *
 * LevelDB passes over records of its own log that fail their checksum, without a word: a batch in the
 * middle would be missing, and what was there before it be taken for the present. So each batch has a
 * number, written with it; where one of the latest is missing at opening everything is thrown away,
 * to be made again. A crash takes the last batches only, which leaves no gap.
 *
 * Of its tables it does not compare checksums as it reads. So each value ends with one of ours, over key
 * and value: bits that flipped in one are INDEX_DAMAGED where they are read, and the next opening throws
 * everything away. (Bits of a key that flipped may hide an entry; nothing here can tell that.)
 */
import { crc32cOf } from '@millrace/log'
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
/** Says how values are laid out; what was written otherwise is thrown away. */
const LAYOUT_KEY = Buffer.from([0x24])
const LAYOUT = Buffer.from('1')
const SUM_BYTES = 4

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
  const problem = await problemOf(db, numbers)
  if (problem === undefined && numbers.last > 0) return new Level(db, numbers.last, undefined)
  await db.clear()
  await db.put(LAYOUT_KEY, LAYOUT)
  return new Level(db, 0, problem)
}

/** Why everything must be thrown away; undefined: it need not be. */
async function problemOf(
  db: ClassicLevel<Buffer, Buffer>,
  numbers: { readonly whole: boolean; readonly last: number },
): Promise<string | undefined> {
  if (!numbers.whole) return `batch ${numbers.last} of its writes is missing`
  if (numbers.last === 0) return undefined
  const layout = await db.get(LAYOUT_KEY)
  if (layout === undefined) return 'an earlier version wrote it'
  return layout.equals(LAYOUT) ? undefined : 'a value in it was damaged'
}

/** A value as it is written: with a checksum over key and value behind it. */
function sealed(key: Buffer, value: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(value.length + SUM_BYTES)
  value.copy(bytes)
  bytes.writeUInt32BE(sumOf(key, value), value.length)
  return bytes
}

const sumOf = (key: Buffer, value: Buffer): number =>
  crc32cOf(value, 0, value.length, crc32cOf(key, 0, key.length))

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
    const bytes = this.#db.getSync(key)
    return bytes === undefined ? undefined : this.#opened(key, bytes)
  }

  async getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]> {
    const found = await this.#db.getMany(keys as Buffer[])
    return found.map((bytes, i) =>
      bytes === undefined ? undefined : this.#opened(keys[i] as Buffer, bytes),
    )
  }

  /** The value of what was read. Throws INDEX_DAMAGED. */
  #opened(key: Buffer, bytes: Buffer): Buffer {
    const end = bytes.length - SUM_BYTES
    if (end >= 0) {
      const value = bytes.subarray(0, end)
      if (bytes.readUInt32BE(end) === sumOf(key, value)) return value
    }
    // Whoever opens it next begins anew; what this one writes meanwhile is lost with it.
    this.#db.put(LAYOUT_KEY, NOTHING).catch(() => undefined)
    throw new StoreError('INDEX_DAMAGED', 'a value of the index fails its checksum')
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
      if (change.type === 'put') batch.put(change.key, sealed(change.key, change.value))
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
        yield page.map(([key, bytes]) => [key, this.#opened(key, bytes)] as const)
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
