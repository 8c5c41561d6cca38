/**
 * Checkpoints on the disk: two files written in turn, so that one is always whole.
 *
 * A file is a run of slices, written and read one at a time, so that neither memory nor a turn of the
 * event loop grows with what a checkpoint holds:
 *
 *     slice   magic u32 | version u16 | kind u16 | number u64 | index u32 | payload bytes u32
 *             payload crc u32 | header crc u32 | payload
 *
 *     head, then any of: machine, partitions, producers, quarantined; then end: slices u32 | crc u32
 *
 * Each slice names its checkpoint and its place, so those of an older one that lay in the file before
 * are not taken for this one's; the end, which comes last, has a checksum over all the others'. A
 * file without a right end counts for nothing. Of two whole ones that with the higher number counts.
 *
 * A checkpoint says how far each partition's segments are synced, what the machines knew then,
 * and where in the journal to go on.
 */
import { crc32c } from '@node-rs/crc32'
import { type Disk, DiskError, type DiskFile } from '../disk/disk.ts'
import type { MachineRecord } from '../machines/machine.ts'
import type { PartitionRecord } from '../partitions/partition-log.ts'
import type { ProducerRecord } from '../partitions/producer-ledger.ts'
import type {
  Checkpoint,
  CheckpointHead,
  CheckpointRows,
  Quarantined,
  StoredCheckpoint,
} from './checkpoint.ts'
import {
  decodeMachineRecord,
  decodePartition,
  decodeProducer,
  encodeMachineRecord,
  encodePartition,
  encodeProducer,
  type PartitionProducer,
  SliceBuilder,
  SliceReader,
} from './checkpoint-codec.ts'
import { readJsonCheckpoint } from './checkpoint-json.ts'
import { keepCheckpointRoom } from './checkpoint-room.ts'
import { writeAgain } from './write-again.ts'

const MAGIC = 0x4d52_4331 // "MRC1"
const VERSION = 2
const HEADER_BYTES = 32
const TWO_32 = 0x1_0000_0000
/** A slice is written once it has this many bytes. */
const SLICE_BYTES = 128 * 1024
/** A slice takes no more rows: encoding them takes a millisecond or two. */
export const SLICE_ROWS_MAX = 1000

const KINDS = { head: 1, machine: 2, partitions: 3, producers: 4, quarantined: 5, end: 6 } as const

/** The two files. */
export const CHECKPOINT_FILES: readonly string[] = ['checkpoint-a', 'checkpoint-b']

/** Lets other work go on between two slices. */
export type Pause = () => Promise<void>

/** The newest whole checkpoint, and what else was seen of the files. */
export type FoundCheckpoint<T = StoredCheckpoint> = {
  /** Null if no file is whole. */
  readonly checkpoint: T | null
  /** How many of the files exist. */
  readonly found: number
  /** Path of a file that exists and is not whole. */
  readonly broken: string | undefined
}

/** Looks for the newest whole checkpoint, a slice at a time. Rejects with DiskError. */
export async function findCheckpoint(disk: Disk, pause: Pause): Promise<FoundCheckpoint> {
  const search = searchCheckpoint(disk)
  let step = search.next()
  while (step.done !== true) {
    await pause()
    step = search.next()
  }
  return step.value
}

/** Reads the newest whole checkpoint at once. Throws DiskError. */
export function readCheckpoint(disk: Disk): FoundCheckpoint<Checkpoint> {
  const search = searchCheckpoint(disk)
  let step = search.next()
  while (step.done !== true) step = search.next()
  const { checkpoint, ...rest } = step.value
  return { ...rest, checkpoint: checkpoint === null ? null : loadCheckpoint(checkpoint) }
}

/** All of a checkpoint in memory. */
function loadCheckpoint({ head, rows }: StoredCheckpoint): Checkpoint {
  const partitions: PartitionRecord[] = []
  const producers = new Map<number, ProducerRecord[]>()
  const machines = new Map<string, MachineRecord[]>()
  const quarantined: (readonly [number, string])[] = []
  for (const row of rows()) {
    if (row.kind === 'partitions') partitions.push(...row.records)
    else if (row.kind === 'producers') {
      for (const { partitionId, producer } of row.records) addTo(producers, partitionId, [producer])
    } else if (row.kind === 'machine') addTo(machines, row.name, row.records)
    else if (row.kind === 'quarantined') quarantined.push(...row.partitions)
  }
  return { ...head, partitions, producers, machines, quarantined }
}

/** Writes a whole checkpoint over the older of the two files and syncs it; answers its bytes. */
export async function writeCheckpoint(disk: Disk, checkpoint: Checkpoint): Promise<number> {
  const { partitions, producers, machines, quarantined, ...head } = checkpoint
  const writer = new CheckpointWriter(disk, head, () => Promise.resolve())
  try {
    for (const [name, records] of machines) await writer.machine(name, records)
    await writer.partitions(partitions)
    await writer.producers(
      [...producers].flatMap(([partitionId, records]) =>
        records.map(producer => ({ partitionId, producer })),
      ),
    )
    await writer.quarantined(quarantined)
    await writer.finish()
    return writer.bytes
  } finally {
    writer.close()
  }
}

/**
 * Writes a checkpoint over the older of the two files, slice by slice, with a pause behind each.
 * Nothing counts before `finish` has resolved. All calls reject with DiskError; then only `close` is
 * left.
 */
export class CheckpointWriter {
  readonly #disk: Disk
  readonly #number: number
  readonly #pause: Pause
  readonly #file: DiskFile
  readonly #isNew: boolean
  readonly #slice = new SliceBuilder()
  #slices = 0
  #sums = 0
  #rows = 0
  #position = 0
  #finishing = false

  /** Throws DiskError. */
  constructor(disk: Disk, head: CheckpointHead, pause: Pause) {
    const { number, ...said } = head
    const path = pathOf(number)
    this.#disk = disk
    this.#number = number
    this.#pause = pause
    this.#isNew = !disk.exists(path)
    this.#file = disk.open(path, 'create')
    this.#slice.raw(Buffer.from(JSON.stringify(said)))
    try {
      this.#write('head')
    } catch (cause) {
      this.#file.close()
      throw cause
    }
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#position
  }

  machine(name: string, records: Iterable<MachineRecord>): Promise<void> {
    const bytes = Buffer.from(name)
    const begin = (): unknown => this.#slice.u32(bytes.length).raw(bytes)
    return this.#all('machine', records, begin, encodeMachineRecord)
  }

  partitions(records: Iterable<PartitionRecord>): Promise<void> {
    return this.#all('partitions', records, () => undefined, encodePartition)
  }

  producers(rows: Iterable<PartitionProducer>): Promise<void> {
    return this.#all('producers', rows, () => undefined, encodeProducer)
  }

  async quarantined(partitions: Quarantined): Promise<void> {
    if (partitions.length === 0) return
    this.#slice.raw(Buffer.from(JSON.stringify(partitions)))
    this.#write('quarantined')
    await this.#pause()
  }

  /**
   * Writes the end and syncs: the checkpoint is durable. What an older, longer one has left goes, and
   * room is kept for the next one (`checkpoint-room.ts`).
   */
  async finish(): Promise<void> {
    this.#slice.u32(this.#slices).u32(this.#sums)
    this.#write('end')
    await keepCheckpointRoom(this.#file, this.#position, this.#pause)
    this.#finishing = true
    try {
      await this.#file.sync()
    } finally {
      this.#file.close()
    }
    if (this.#isNew) await this.#disk.syncFolder('')
  }

  /** Nothing more is written. A sync that is under way goes on, and closes the file at its end. */
  close(): void {
    if (!this.#finishing) this.#file.close()
    this.#finishing = true
  }

  async #all<T>(
    kind: Exclude<keyof typeof KINDS, 'head' | 'end'>,
    rows: Iterable<T>,
    begin: () => unknown,
    encode: (slice: SliceBuilder, row: T) => void,
  ): Promise<void> {
    begin()
    for (const row of rows) {
      encode(this.#slice, row)
      this.#rows += 1
      if (this.#rows < SLICE_ROWS_MAX && this.#slice.length < SLICE_BYTES) continue
      this.#write(kind)
      await this.#pause()
      begin()
    }
    if (this.#rows > 0) this.#write(kind)
    this.#slice.take()
  }

  /** Writes a slice of another checkpoint. */
  async repeat({ kind, payload, payloadCrc }: Slice): Promise<void> {
    this.#writeSlice(kind, payload, payloadCrc)
    await this.#pause()
  }

  #write(kind: keyof typeof KINDS): void {
    const payload = this.#slice.take()
    this.#writeSlice(KINDS[kind], payload, crc32c(payload))
  }

  #writeSlice(kind: number, payload: Buffer, payloadCrc: number): void {
    const header = headerOf(kind, this.#number, this.#slices, payload.length, payloadCrc)
    this.#file.write(this.#position, [header, payload])
    this.#position += header.length + payload.length
    this.#sums = nextSum(this.#sums, payloadCrc)
    this.#slices += 1
    this.#rows = 0
  }
}

/**
 * Writes a checkpoint that is durable into the other file as well, with the next number: if one of
 * the files is damaged later, the other does not lead back to what was before. Rejects with DiskError.
 */
export async function repeatCheckpoint(
  disk: Disk,
  head: CheckpointHead,
  pause: Pause,
): Promise<CheckpointHead> {
  const next = { ...head, number: head.number + 1 }
  const from = disk.open(pathOf(head.number), 'read')
  try {
    const writer = new CheckpointWriter(disk, next, pause)
    try {
      let slice = sliceAt(from, 0, 0)
      for (let index = 1; slice !== null; index += 1) {
        slice = sliceAt(from, slice.next, index)
        if (slice?.kind === KINDS.end) break
        if (slice !== null) await writer.repeat(slice)
      }
      if (slice === null) throw new DiskError('EIO', from.path, 'it is not what was written')
      await writer.finish()
    } finally {
      writer.close()
    }
  } finally {
    from.close()
  }
  return next
}

/** Whatever the file of this number holds, it counts for nothing any more. Rejects with DiskError. */
export async function forgetCheckpoint(disk: Disk, number: number): Promise<void> {
  const path = pathOf(number)
  if (!disk.exists(path)) return
  const file = disk.open(path, 'write')
  try {
    // In place: the room that it has is for the next one.
    if (file.size() > 0) file.write(0, [Buffer.alloc(Math.min(HEADER_BYTES, file.size()))])
    await file.sync()
  } finally {
    file.close()
  }
}

/** A checkpoint that is known to be whole. Throws DiskError. */
export function storedCheckpoint(disk: Disk, head: CheckpointHead): StoredCheckpoint {
  const path = pathOf(head.number)
  return { head, path, rows: kinds => rowsOf(disk, path, kinds) }
}

/**
 * Makes a checkpoint durable that was read (`write-again.ts`). Until then the other file must not be
 * written, because that one may be the only one a power cut leaves. Rejects with DiskError.
 */
export async function confirmCheckpoint(
  disk: Disk,
  { path }: StoredCheckpoint,
  pause: Pause,
): Promise<void> {
  const file = disk.open(path, 'write')
  try {
    await writeAgain(file, 0, file.size(), pause)
    await file.sync()
  } finally {
    file.close()
  }
  await disk.syncFolder('')
}

type Slice = {
  readonly kind: number
  readonly number: number
  readonly payloadCrc: number
  readonly payload: Buffer
  readonly next: number
}

const pathOf = (number: number): string => CHECKPOINT_FILES[number % 2] ?? ''

function headerOf(
  kind: number,
  number: number,
  index: number,
  payloadBytes: number,
  payloadCrc: number,
): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(MAGIC, 0)
  header.writeUInt16BE(VERSION, 4)
  header.writeUInt16BE(kind, 6)
  header.writeUInt32BE(Math.floor(number / TWO_32), 8)
  header.writeUInt32BE(number >>> 0, 12)
  header.writeUInt32BE(index, 16)
  header.writeUInt32BE(payloadBytes, 20)
  header.writeUInt32BE(payloadCrc, 24)
  header.writeUInt32BE(crc32c(header.subarray(0, 28)), 28)
  return header
}

const nextSum = (sum: number, crc: number): number => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(crc)
  return crc32c(bytes, sum)
}

/** Steps behind each slice. */
function* searchCheckpoint(disk: Disk): Generator<void, FoundCheckpoint> {
  let newest: StoredCheckpoint | null = null
  let found = 0
  let broken: string | undefined
  for (const path of CHECKPOINT_FILES) {
    if (!disk.exists(path)) continue
    found += 1
    const checkpoint: StoredCheckpoint | null = yield* judge(disk, path)
    if (checkpoint === null) broken = path
    else if (checkpoint.head.number > (newest?.head.number ?? -1)) newest = checkpoint
  }
  return { checkpoint: newest, found, broken }
}

/** The checkpoint of a file if all of it is whole. */
function* judge(disk: Disk, path: string): Generator<void, StoredCheckpoint | null> {
  const file = disk.open(path, 'read')
  try {
    const old = readJsonCheckpoint(file)
    if (old !== null) return old
    const first = sliceAt(file, 0, 0)
    if (first?.kind !== KINDS.head) return null
    let sums = 0
    let slice: Slice | null = first
    for (let slices = 0; slice !== null; slices += 1) {
      if (slice.number !== first.number) return null
      if (slice.kind === KINDS.end) {
        const end = new SliceReader(slice.payload)
        return end.u32() === slices && end.u32() === sums ? stored(disk, path, first) : null
      }
      sums = nextSum(sums, slice.payloadCrc)
      yield
      slice = sliceAt(file, slice.next, slices + 1)
    }
    return null
  } finally {
    file.close()
  }
}

/** The whole slice at a position; null if there is none with this index. */
function sliceAt(file: DiskFile, position: number, index: number): Slice | null {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  if (file.read(position, header) < HEADER_BYTES || header.readUInt32BE(0) !== MAGIC) return null
  if (crc32c(header.subarray(0, 28)) !== header.readUInt32BE(28)) return null
  if (header.readUInt16BE(4) !== VERSION || header.readUInt32BE(16) !== index) return null
  const payload = Buffer.allocUnsafe(header.readUInt32BE(20))
  const payloadCrc = header.readUInt32BE(24)
  const read = file.read(position + HEADER_BYTES, payload)
  if (read < payload.length || crc32c(payload) !== payloadCrc) return null
  return {
    kind: header.readUInt16BE(6),
    number: header.readUInt32BE(8) * TWO_32 + header.readUInt32BE(12),
    payloadCrc,
    payload,
    next: position + HEADER_BYTES + payload.length,
  }
}

function stored(disk: Disk, path: string, first: Slice): StoredCheckpoint {
  const said = JSON.parse(first.payload.toString()) as Omit<CheckpointHead, 'number'>
  return {
    head: { number: first.number, ...said },
    path,
    rows: kinds => rowsOf(disk, path, kinds),
  }
}

function* rowsOf(
  disk: Disk,
  path: string,
  kinds: readonly CheckpointRows['kind'][] | undefined,
): Generator<CheckpointRows> {
  const wanted = new Set<number>(
    Object.entries(KINDS).flatMap(([kind, number]) =>
      (kinds?.includes(kind as CheckpointRows['kind']) ?? true) ? [number] : [],
    ),
  )
  const file = disk.open(path, 'read')
  try {
    let position = 0
    for (let index = 0; ; index += 1) {
      const slice = sliceAt(file, position, index)
      if (slice === null || slice.kind === KINDS.end) return
      position = slice.next
      if (slice.kind !== KINDS.head && wanted.has(slice.kind)) yield decode(slice)
    }
  } finally {
    file.close()
  }
}

function decode({ kind, payload }: Slice): CheckpointRows {
  if (kind === KINDS.quarantined) {
    return { kind: 'quarantined', partitions: JSON.parse(payload.toString()) as Quarantined }
  }
  const slice = new SliceReader(payload)
  if (kind === KINDS.machine) {
    const name = slice.raw(slice.u32()).toString()
    return { kind: 'machine', name, records: allOf(slice, decodeMachineRecord) }
  }
  if (kind === KINDS.producers) {
    return { kind: 'producers', records: allOf(slice, decodeProducer) }
  }
  return { kind: 'partitions', records: allOf(slice, decodePartition) }
}

function allOf<T>(slice: SliceReader, decodeRow: (slice: SliceReader) => T): T[] {
  const rows: T[] = []
  while (!slice.atEnd) rows.push(decodeRow(slice))
  return rows
}

function addTo<K, V>(lists: Map<K, V[]>, key: K, values: readonly V[]): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [...values])
  else list.push(...values)
}
