/**
 * What is known durably of the journal's files before a group lies in one of them, so that a file
 * that is lost, emptied, or from another time is noticed, also where no checkpoint has named it yet.
 *
 * - Each file ends with a sector of its own, the stamp: its number, and the salt of the generation
 *   that writes to it, with that of the one before (which is still the one that counts until the
 *   first checkpoint of the new one is durable). The sector has two places for it, written in turn:
 *   a crash while one is written leaves the other, which counts by its number of the turn.
 * - Two small files, written in turn and in place, list the files of the generation: the register.
 *   While an engine opens it lists two generations; the older leaves it once the checkpoint of the
 *   new one is durable. So a checkpoint that is older than the journal has no entry any more.
 *
 *     stamp      magic u32 | version u16 | 0 u16 | number u32 | salt 8 | salt before 8 | turn u32 | crc u32
 *     register   magic u32 | version u16 | 0 u16 | body bytes u32 | crc u32 | body: JSON
 *
 * Both cost syncs when an engine opens and when a file is added, none for an append.
 */
import { crc32c } from '@node-rs/crc32'
import { type Disk, DiskError, type DiskFile } from '../disk/disk.ts'

/** Folder of the journal's files. */
export const JOURNAL_FOLDER = 'journal'
/** Bytes of a stamp: a sector that no group shares. */
export const STAMP_BYTES = 512
/** The two copies of the register. */
export const REGISTER_FILES: readonly string[] = [
  `${JOURNAL_FOLDER}/ring-a`,
  `${JOURNAL_FOLDER}/ring-b`,
]

const STAMP_MAGIC = 0x4d52_4a53 // "MRJS"
const REGISTER_MAGIC = 0x4d52_4a52 // "MRJR"
const VERSION = 1
const SALT_BYTES = 8
const STAMP_CRC_AT = 32
/** Each of the two places of a stamp in its sector. */
const STAMP_PLACE_BYTES = STAMP_BYTES / 2
const REGISTER_HEADER_BYTES = 16
/** The register's files have this size at least: writing them again needs no room on a full disk. */
const REGISTER_BYTES_MIN = 4096

/** Name of the n-th journal file. */
export const journalFileName = (n: number): string =>
  `${JOURNAL_FOLDER}/${String(n).padStart(8, '0')}.journal`

/** The number in the name of a journal file. */
export function numberOf(path: string): number {
  const digits = /(\d+)\.journal$/.exec(path)?.[1]
  return digits === undefined ? 0 : Number(digits)
}

/** What a journal file says of itself. */
export type Stamp = {
  readonly number: number
  /** Hexadecimal, as a checkpoint names it. */
  readonly salt: string
  /** The generation before; empty if there is none. */
  readonly before: string
}

/** One generation in the register. */
export type RegisteredRing = {
  readonly salt: string
  /** Size of each file, its stamp included. */
  readonly fileBytes: number
  /** Numbers of the files: first and last of each run. */
  readonly numbers: readonly (readonly [first: number, last: number])[]
}

/** What the register holds. */
export type Register = { readonly logId: string; readonly rings: readonly RegisteredRing[] }

/** The stamp at the end of a journal file; null if there is no whole one. Throws DiskError. */
export function readStamp(file: DiskFile): Stamp | null {
  return readStampPlace(file, file.size() - STAMP_BYTES)?.stamp ?? null
}

type StampPlace = { readonly stamp: Stamp; readonly turn: number; readonly offset: number }

/** The newer of the two stamps in the sector at `at`. */
function readStampPlace(file: DiskFile, at: number): StampPlace | null {
  if (at < 0) return null
  const bytes = Buffer.alloc(STAMP_CRC_AT + 4)
  let newest: StampPlace | null = null
  for (let offset = 0; offset < STAMP_BYTES; offset += STAMP_PLACE_BYTES) {
    if (file.read(at + offset, bytes) < bytes.length) continue
    const stamp = decodeStamp(bytes)
    const turn = bytes.readUInt32BE(28)
    if (stamp !== null && (newest === null || turn > newest.turn)) newest = { stamp, turn, offset }
  }
  return newest
}

function decodeStamp(bytes: Buffer): Stamp | null {
  if (bytes.readUInt32BE(0) !== STAMP_MAGIC || bytes.readUInt16BE(4) !== VERSION) return null
  if (crc32c(bytes.subarray(0, STAMP_CRC_AT)) !== bytes.readUInt32BE(STAMP_CRC_AT)) return null
  const before = bytes.subarray(20, 20 + SALT_BYTES)
  return {
    number: bytes.readUInt32BE(8),
    salt: bytes.toString('hex', 12, 12 + SALT_BYTES),
    before: before.every(byte => byte === 0) ? '' : before.toString('hex'),
  }
}

/** The whole copies of the register, and the paths of those that are not. */
export function readRegister(disk: Disk): {
  readonly whole: readonly Register[]
  readonly broken: readonly string[]
} {
  const copies = REGISTER_FILES.map(path => ({ path, copy: readCopy(disk, path) }))
  return {
    whole: copies.flatMap(({ copy }) => (copy === null ? [] : [copy])),
    broken: copies.filter(({ copy }) => copy === null).map(({ path }) => path),
  }
}

/** Paths of the files that a ring lists. */
export function* pathsOf({ numbers }: RegisteredRing): Generator<string> {
  for (const [first, last] of numbers) {
    for (let number = first; number <= last; number += 1) yield journalFileName(number)
  }
}

/** Keeps the register, and stamps files, of one generation of the journal. */
export class RingRegister {
  readonly #disk: Disk
  readonly #logId: string
  readonly #salt: string
  readonly #before: string
  readonly #fileBytes: number
  readonly #numbers: number[] = []
  /** Entries of earlier generations, while one of them may be the one that counts. */
  #earlier: readonly RegisteredRing[]

  /**
   * @param of.before salt of the generation that counts until the first checkpoint of this one; that of
   *   this one where it is gone on with
   * @param of.fileBytes size of each file, without its stamp
   */
  constructor(
    disk: Disk,
    of: {
      readonly logId: string
      readonly salt: string
      readonly before: string
      readonly fileBytes: number
    },
  ) {
    this.#disk = disk
    this.#logId = of.logId
    this.#salt = of.salt
    const goesOn = of.before === of.salt
    this.#before = goesOn ? '' : of.before
    this.#fileBytes = of.fileBytes
    const known = readRegister(disk).whole.flatMap(({ rings }) => rings)
    const earlier = known.filter(ring => ring.salt === of.before)
    const listed = earlier.length === 0 ? [] : [union(earlier)]
    if (goesOn) this.#numbers.push(...listed.flatMap(ring => [...pathsOf(ring)].map(numberOf)))
    this.#earlier = goesOn ? [] : listed
  }

  /** Makes files durable members of the ring: before it resolves no group may lie in one. */
  async enter(files: readonly DiskFile[]): Promise<void> {
    for (const file of files) {
      this.#stamp(file)
      await file.sync()
    }
    this.#numbers.push(...files.map(({ path }) => numberOf(path)))
    try {
      await this.#write()
    } catch (cause) {
      this.#numbers.splice(-files.length)
      throw cause
    }
  }

  /** A checkpoint of this generation is durable: the one before does not count any more. */
  async begun(): Promise<void> {
    this.#earlier = []
    await this.#write()
  }

  async #write(): Promise<void> {
    const ring: RegisteredRing = {
      salt: this.#salt,
      fileBytes: this.#fileBytes + STAMP_BYTES,
      numbers: runsOf(this.#numbers),
    }
    const register: Register = { logId: this.#logId, rings: [ring, ...this.#earlier] }
    const body = Buffer.from(JSON.stringify(register))
    const bytes = Buffer.alloc(Math.max(REGISTER_BYTES_MIN, REGISTER_HEADER_BYTES + body.length))
    bytes.writeUInt32BE(REGISTER_MAGIC, 0)
    bytes.writeUInt16BE(VERSION, 4)
    bytes.writeUInt32BE(body.length, 8)
    bytes.writeUInt32BE(crc32c(body, crc32c(bytes.subarray(0, 12))), 12)
    body.copy(bytes, REGISTER_HEADER_BYTES)
    // One behind the other: a crash leaves one of them whole.
    for (const path of REGISTER_FILES) {
      const isNew = !this.#disk.exists(path)
      const file = this.#disk.open(path, 'create')
      try {
        file.write(0, [bytes])
        await file.sync()
      } finally {
        file.close()
      }
      if (isNew) await this.#disk.syncFolder(JOURNAL_FOLDER)
    }
  }

  /** Writes the stamp beside the one that counts until this is whole. */
  #stamp(file: DiskFile): void {
    const known = readStampPlace(file, this.#fileBytes)
    const bytes = Buffer.alloc(STAMP_PLACE_BYTES)
    bytes.writeUInt32BE(STAMP_MAGIC, 0)
    bytes.writeUInt16BE(VERSION, 4)
    bytes.writeUInt32BE(numberOf(file.path), 8)
    bytes.write(this.#salt, 12, SALT_BYTES, 'hex')
    bytes.write(this.#before, 20, SALT_BYTES, 'hex')
    bytes.writeUInt32BE(known === null ? 0 : (known.turn + 1) >>> 0, 28)
    bytes.writeUInt32BE(crc32c(bytes.subarray(0, STAMP_CRC_AT)), STAMP_CRC_AT)
    // A new file gets its size by the first one.
    if (known === null) file.write(this.#fileBytes, [bytes, Buffer.alloc(STAMP_PLACE_BYTES)])
    else file.write(this.#fileBytes + (STAMP_PLACE_BYTES - known.offset), [bytes])
  }
}

/** What several copies list of one generation: one may have been written before a file was added. */
export function union(rings: readonly RegisteredRing[]): RegisteredRing {
  const [first] = rings
  if (first === undefined) throw new RangeError('no ring')
  const numbers = rings.flatMap(ring => [...pathsOf(ring)].map(numberOf))
  return { ...first, numbers: runsOf(numbers) }
}

function runsOf(numbers: readonly number[]): readonly (readonly [number, number])[] {
  const runs: [number, number][] = []
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const run = runs.at(-1)
    if (run !== undefined && run[1] === number - 1) run[1] = number
    else runs.push([number, number])
  }
  return runs
}

function readCopy(disk: Disk, path: string): Register | null {
  let file: DiskFile
  try {
    file = disk.open(path, 'read')
  } catch (cause) {
    if (cause instanceof DiskError && cause.code === 'ENOENT') return null
    throw cause
  }
  try {
    const head = Buffer.allocUnsafe(REGISTER_HEADER_BYTES)
    if (file.read(0, head) < head.length || head.readUInt32BE(0) !== REGISTER_MAGIC) return null
    const length = head.readUInt32BE(8)
    if (head.readUInt16BE(4) !== VERSION || head.length + length > file.size()) return null
    const body = Buffer.allocUnsafe(length)
    if (file.read(head.length, body) < length) return null
    if (crc32c(body, crc32c(head.subarray(0, 12))) !== head.readUInt32BE(12)) return null
    return JSON.parse(body.toString()) as Register
  } finally {
    file.close()
  }
}
