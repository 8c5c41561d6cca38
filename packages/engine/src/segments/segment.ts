/**
 * A segment: a file of record batches, one after another, and its sparse index.
 *
 * As batches are appended they follow each other without a gap. Compaction writes a segment anew, with
 * gaps, under a name of its own: revision 1, 2, and so on. Nothing is appended to such a one.
 *
 * Bytes written by this run are trusted. Bytes that were there when the engine opened are checked on
 * the first read: by the block checksums of the index file where there is one (sealed segments, and
 * all after a clean stop), else by walking all batches once, which builds the index as well.
 */
import {
  BATCH_HEADER_BYTES,
  batchBytesOf,
  lastOffsetOf,
  maxTimestampOf,
  type Offset,
  type Timestamp,
} from '@millrace/log'
import { type Disk, DiskError, type DiskFile } from '../disk/disk.ts'
import { nextBatchAt } from './batch-run.ts'
import { BlockChecksums } from './block-checksums.ts'
import { DamageError } from './damage.ts'
import type { FileCache } from './file-cache.ts'
import { HeaderSums, type HeaderSumsRecord, NO_HEADERS } from './header-sums.ts'
import { checkedBatches, type ExpectedSegment } from './segment-check.ts'
import { CHECKSUM_BLOCK_BYTES, SegmentIndex } from './segment-index.ts'
import { isSparse, type SegmentRecord, segmentName } from './segment-record.ts'
import { type ScannedBatch, scanBatches } from './segment-scan.ts'
import { MemoryFile, type ReadableFile, type SmallSegments } from './small-segments.ts'

const WALK_BYTES = 32 * 1024
/** Bytes after which the building of an index lets others work. */
const LOAD_STEP_BYTES = 1 << 20
const walkPiece = Buffer.allocUnsafeSlow(WALK_BYTES)

/** Where segments are, and what they share: a partition. */
export interface SegmentPlace {
  readonly id: number
  readonly folder: string
  readonly disk: Disk
  readonly cache: FileCache
  readonly small: SmallSegments
  /** Whether a segment may stay without a file while it is small. */
  readonly mayStaySmall: boolean
  /** Files may hold what nothing else does yet: they are written over with the same bytes, and never cut. */
  readonly isSalvaged: boolean
  /** Called before the first byte of a segment goes into its file. Throws DiskError. */
  beforeFile(): void
  /** Whether the partition has had this leader epoch. */
  knowsEpoch(epoch: number): boolean
}

/** A run of whole batches: where they lie and which offset follows. */
export type SegmentRange = { readonly position: number; readonly bytes: number }

/** Takes the files of all away: the disk may keep one, and that keeps no other. Its first failure. */
export function unlinkAll(segments: Iterable<Segment>): DiskError | undefined {
  let failure: DiskError | undefined
  for (const segment of segments) {
    try {
      segment.unlink()
    } catch (cause) {
      if (!(cause instanceof DiskError)) throw cause
      failure ??= cause
    }
  }
  return failure
}

/** A file of record batches. */
export class Segment {
  readonly baseOffset: Offset
  readonly createdAt: Timestamp
  readonly revision: number
  readonly #place: SegmentPlace
  /** What a checkpoint knows the bytes by that were there when the engine opened. */
  readonly #expected: HeaderSumsRecord | undefined
  readonly #headers: HeaderSums
  /** Bytes from here on were written by this run. */
  readonly #trustedFrom: number
  #bytes: number
  #nextOffset: Offset
  /** What it holds while it has no file. */
  #memory: MemoryFile | undefined
  /** Calls of `hold` while it had none, and what they hold once it has: it may be unlinked meanwhile. */
  #memoryHolds = 0
  #heldMemory: MemoryFile | undefined
  #index = new SegmentIndex()
  /** Whether the index, and the checksums, reach back to the segment's start. */
  #loaded: boolean
  #blocks: BlockChecksums | undefined
  /** Checksums that came from the index file, and which blocks have been compared with them. */
  #savedBlocks: BlockChecksums | undefined
  #verified: Uint8Array | undefined
  /** Its file while it has bytes that no sync has covered: held, and so not closed. */
  #unsynced: DiskFile | undefined
  #unlinked = false
  #preparing: Promise<void> | undefined
  /** What a walk over the segment found: it is not walked again. */
  #damage: DamageError | undefined
  /** Bytes that the index file covers; -1 where it has not been looked at. */
  #indexedBytes: number

  /** Bytes that the last durable checkpoint lists; -1 where it does not list the segment. */
  checkpointedBytes = -1

  constructor(place: SegmentPlace, record: SegmentRecord) {
    this.#place = place
    this.#expected = record.headers
    this.#headers = new HeaderSums(record.bytes === 0 ? NO_HEADERS : record.headers)
    this.baseOffset = record.baseOffset
    this.createdAt = record.createdAt
    this.revision = record.revision ?? 0
    this.#bytes = record.bytes
    this.#nextOffset = record.nextOffset
    this.#trustedFrom = record.bytes
    this.#loaded = record.bytes === 0
    this.#indexedBytes = this.#loaded ? 0 : -1
    if (this.#loaded) this.#blocks = new BlockChecksums()
    this.#index.assumeTimestamps(record.maxTimestamp, record.maxTimestampOffset)
    if (record.content !== undefined) {
      place.small.mustTake(record.content.length)
      this.#memory = new MemoryFile(record.content)
    }
  }

  get path(): string {
    return `${this.#place.folder}/${segmentName(this)}.log`
  }

  get indexPath(): string {
    return `${this.#place.folder}/${segmentName(this)}.index`
  }

  /** Whether its bytes are in memory, and in checkpoints, alone. */
  get isSmall(): boolean {
    return this.#memory !== undefined
  }

  get bytes(): number {
    return this.#bytes
  }

  get nextOffset(): Offset {
    return this.#nextOffset
  }

  get maxTimestamp(): Timestamp {
    return this.#index.maxTimestamp
  }

  /** Base offset of the first batch that has the largest timestamp. */
  get maxTimestampOffset(): Offset {
    return this.#index.maxTimestampOffset
  }

  /** Whether bytes were written that no sync has covered. */
  get dirty(): boolean {
    return this.#unsynced !== undefined
  }

  /** What a checkpoint keeps. */
  record(): SegmentRecord {
    return {
      baseOffset: this.baseOffset,
      createdAt: this.createdAt,
      bytes: this.#bytes,
      nextOffset: this.#nextOffset,
      maxTimestamp: this.#index.maxTimestamp,
      maxTimestampOffset: this.#index.maxTimestampOffset,
      ...(this.revision === 0 ? {} : { revision: this.revision }),
      ...(this.#headers.record === undefined ? {} : { headers: this.#headers.record }),
      ...(this.#memory === undefined ? {} : { content: this.#memory.content }),
    }
  }

  /**
   * Writes runs of batches at the end, to the page cache or to memory. Throws DiskError.
   *
   * @param areSummed whether the checksums that the batches carry are known to be right
   */
  append(runs: readonly Buffer[], areSummed = false): void {
    this.#write(runs)
    for (const run of runs) {
      if (areSummed && batchBytesOf(run) === run.length) this.#blocks?.extendByBatch(run)
      else this.#blocks?.extend(run)
      this.#headers.addRun(run)
      for (let at = 0; at < run.length; at = nextBatchAt(run, at)) {
        this.#index.note(this.#nextOffset, this.#bytes + at, maxTimestampOf(run, at))
        this.#nextOffset = lastOffsetOf(run, at) + 1
      }
      this.#bytes += run.length
    }
  }

  #write(batches: readonly Buffer[]): void {
    if (this.#staysSmall(batches)) {
      this.#memory ??= new MemoryFile()
      this.#memory.append(batches)
      return
    }
    const { cache } = this.#place
    const isNew = this.#bytes === 0 || this.#memory !== undefined
    if (isNew) this.#place.beforeFile()
    // Held until its sync, so that there is no need to look it up for every group.
    this.#unsynced ??= cache.hold(this.path, 'create', 'writer')
    const file = this.#unsynced
    // An earlier run may have left something under this name that no checkpoint lists.
    if (isNew && file.size() > 0 && !this.#place.isSalvaged) file.truncate(0)
    const memory = this.#memory
    if (memory === undefined) file.write(this.#bytes, batches)
    else {
      file.write(0, [memory.content, ...batches])
      this.#place.small.give(this.#bytes)
      if (this.#memoryHolds > 0) this.#heldMemory = memory
      this.#memory = undefined
    }
  }

  #staysSmall(batches: readonly Buffer[]): boolean {
    if (this.#memory === undefined && this.#bytes > 0) return false
    if (!this.#place.mayStaySmall || this.dirty) return false
    const more = batches.reduce((sum, batch) => sum + batch.length, 0)
    return this.#place.small.take(this.#bytes + more, more)
  }

  /** Makes all written bytes survive a power cut. Rejects with DiskError; then never call again. */
  async sync(): Promise<void> {
    if (!this.dirty) return
    const { cache } = this.#place
    const file = cache.use(this.path, 'write')
    this.#unsynced = undefined
    // Whatever is written while the sync runs holds the file again.
    try {
      await file.sync()
    } finally {
      cache.release(this.path, 'writer')
    }
  }

  /**
   * The batches from the one that holds `offset` on, up to about `maxBytes`, at least one; where
   * compaction has taken that one away, from the next on. Empty if there is none.
   */
  range(offset: Offset, maxBytes: number): SegmentRange {
    if (offset >= this.#nextOffset) return { position: this.#bytes, bytes: 0 }
    this.#load()
    const position = this.#positionOf(offset)
    if (position >= this.#bytes) return { position, bytes: 0 }
    const end = this.#endOfRange(position, maxBytes)
    this.#verify(position, end)
    return { position, bytes: end - position }
  }

  /** Reads bytes of the segment. */
  read(position: number, target: Buffer): void {
    const held = this.#heldMemory
    const isHeld = held !== undefined && position + target.length <= held.content.length
    const read = (isHeld ? held : this.#file()).read(position, target)
    if (read !== target.length) {
      throw new DamageError(this.path, position + read, 'the file ends too early')
    }
  }

  /**
   * Keeps the file open, or what is in memory, also when unlinked; as many `letGo` calls must follow. Throws EMFILE where
   * too many are read at once.
   */
  hold(): void {
    if (this.#memory === undefined) this.#place.cache.hold(this.path, 'write', 'reader')
    else this.#memoryHolds += 1
  }

  letGo(): void {
    // Which of the calls is ended does not matter: their number does. The last ones end holds of the
    // file, so that whoever is left has either.
    if (this.#memoryHolds === 0) this.#place.cache.release(this.path, 'reader')
    else this.#memoryHolds -= 1
    if (this.#memoryHolds === 0) this.#heldMemory = undefined
  }

  /** What is read: the memory, or the open file. */
  #file(): ReadableFile {
    return this.#memory ?? this.#place.cache.use(this.path, 'write')
  }

  /**
   * The batches, from `fromOffset` on, whose largest timestamp reaches `timestamp`. Each is valid
   * until the next step. For those between it yields undefined, so that whoever goes on in a later turn
   * can; he holds the segment meanwhile. Throws DamageError.
   */
  *batchesReaching(timestamp: Timestamp, fromOffset: Offset): Generator<Buffer | undefined> {
    if (!this.#loaded) for (const _ of this.#loading()) yield undefined
    const start = this.#index.placeBefore(timestamp) ?? { position: 0, offset: this.baseOffset }
    const file = this.#file()
    const rules = { nextOffset: start.offset, gaps: true, checksums: true }
    const scan = scanBatches(file, start.position, this.#bytes, rules)
    let step = scan.next()
    while (step.done !== true) {
      const { buffer, at, bytes, lastOffset } = step.value
      if (lastOffset >= fromOffset && maxTimestampOf(buffer, at) >= timestamp) {
        yield buffer.subarray(at, at + bytes)
      } else yield undefined
      step = scan.next()
    }
    const { position, damage } = step.value
    if (damage !== null) throw new DamageError(this.path, position, damage)
  }

  /**
   * All batches, from one at or before `fromOffset` on, each checked and valid until the next step.
   * Whoever goes on in a later turn holds the segment meanwhile. Throws DamageError.
   */
  *batches(fromOffset: Offset): Generator<ScannedBatch, void> {
    this.#load()
    const start = this.#index.placeOf(fromOffset) ?? { position: 0, offset: this.baseOffset }
    const file = this.#file()
    const rules = { nextOffset: start.offset, gaps: isSparse(this), checksums: true }
    const scan = scanBatches(file, start.position, this.#bytes, rules)
    let step = scan.next()
    while (step.done !== true) {
      const { position, bytes } = step.value
      this.#verify(position, position + bytes)
      yield step.value
      step = scan.next()
    }
    const { position, damage } = step.value
    if (damage !== null) throw new DamageError(this.path, position, damage)
  }

  /** Writes the index file. Called once the segment is synced; the file itself needs no sync. */
  saveIndex(): void {
    if (this.#bytes === 0 || this.#memory !== undefined) return
    this.#load()
    const sums = this.#blocks?.sums ?? []
    const bytes = this.#index.encode(this.#place.id, this.baseOffset, this.record(), sums)
    const file = this.#place.disk.open(this.indexPath, 'create')
    try {
      file.truncate(0)
      file.write(0, [bytes])
    } finally {
      file.close()
    }
    this.#indexedBytes = this.#bytes
  }

  /** Whether the index file covers the whole segment; a small one needs none. */
  get indexIsSaved(): boolean {
    if (this.#memory !== undefined) return true
    if (this.#indexedBytes < 0) this.#indexedBytes = this.#readIndexFile()?.bytes ?? 0
    return this.#indexedBytes === this.#bytes
  }

  /** Whether the index should be written now: the segment is synced, and this run wrote or read it. */
  get wantsIndex(): boolean {
    if (this.dirty || (!this.#loaded && this.#bytes === this.#trustedFrom)) return false
    return !this.indexIsSaved
  }

  /** Takes the files away; whoever holds the segment can still read it. */
  unlink(): void {
    const { cache, disk, small } = this.#place
    if (this.dirty) {
      this.#unsynced = undefined
      cache.release(this.path, 'writer')
    }
    cache.forget(this.path)
    // Its room first: a disk that does not let go keeps files, no memory.
    if (this.#memory !== undefined && !this.#unlinked) small.give(this.#bytes)
    this.#unlinked = true
    // One that is small may have had a file in an earlier run.
    disk.unlink(this.path)
    disk.unlink(this.indexPath)
  }

  /** Whether the first read would have to build the index first, by a walk of more than one step. */
  get needsPreparing(): boolean {
    return !this.#loaded && this.#bytes > LOAD_STEP_BYTES && this.#damage === undefined
  }

  /**
   * Makes index and checksums reach back to the segment's start, with a pause behind each MiB or so,
   * so that the first read of a large segment does not hold up everything else. Rejects with
   * DamageError and DiskError.
   */
  prepare(pause: () => Promise<unknown>): Promise<void> {
    if (this.#loaded) return Promise.resolve()
    // Whoever comes meanwhile waits for the same walk.
    this.#preparing ??= this.#prepare(pause).finally(() => {
      this.#preparing = undefined
    })
    return this.#preparing
  }

  async #prepare(pause: () => Promise<unknown>): Promise<void> {
    this.hold()
    try {
      const loading = this.#loading()
      while (!this.#loaded && loading.next().done !== true) await pause()
    } finally {
      this.letGo()
    }
  }

  #load(): void {
    if (this.#loaded) return
    if (this.#damage !== undefined) throw this.#damage
    const loading = this.#loading()
    while (loading.next().done !== true);
  }

  /** Steps behind each piece that was read. Somebody else may finish meanwhile; nothing is lost. */
  *#loading(): Generator<void, void> {
    const saved = this.#readIndexFile()
    const known = saved ?? (yield* this.#scan())
    const blocks = new BlockChecksums(known.blocks, this.#trustedFrom)
    // Grown since, perhaps also during the walk.
    while (!this.#loaded && blocks.bytes < this.#bytes) {
      const before = blocks.bytes
      blocks.extendFrom(this.#file(), Math.min(this.#bytes, before + LOAD_STEP_BYTES))
      if (blocks.bytes === before)
        throw new DamageError(this.path, before, 'the file ends too early')
      if (blocks.bytes < this.#bytes) yield
    }
    if (this.#loaded) return
    const later = this.#index
    this.#index = known.index
    this.#index.append(later)
    this.#blocks = blocks
    if (saved !== undefined) {
      this.#verified = new Uint8Array(known.blocks.length)
      this.#savedBlocks = new BlockChecksums(known.blocks, this.#trustedFrom)
    }
    this.#loaded = true
  }

  #readIndexFile(): { index: SegmentIndex; blocks: readonly number[]; bytes: number } | undefined {
    const { disk, id } = this.#place
    if (this.#memory !== undefined || !disk.exists(this.indexPath)) return undefined
    const file = disk.open(this.indexPath, 'read')
    try {
      const bytes = Buffer.allocUnsafe(file.size())
      file.read(0, bytes)
      const known = SegmentIndex.decode(bytes, id, this.baseOffset)
      if (known === null || known.summary.bytes !== this.#trustedFrom) return undefined
      // An index of other batches, as of another log, tells nothing about these.
      if (this.#expected !== undefined && known.headers !== this.#expected[0]) return undefined
      if (known.blocks.length !== Math.ceil(this.#trustedFrom / CHECKSUM_BLOCK_BYTES))
        return undefined
      return { index: known.index, blocks: known.blocks, bytes: known.summary.bytes }
    } finally {
      file.close()
    }
  }

  get #expectedSegment(): ExpectedSegment {
    const { path, baseOffset, revision } = this
    return {
      path,
      baseOffset,
      revision,
      bytes: this.#trustedFrom,
      headers: this.#expected,
      knowsEpoch: epoch => this.#place.knowsEpoch(epoch),
    }
  }

  *#scan(): Generator<void, { index: SegmentIndex; blocks: readonly number[] }> {
    const index = new SegmentIndex()
    const blocks = new BlockChecksums()
    let stop = LOAD_STEP_BYTES
    try {
      for (const batch of checkedBatches(this.#file(), this.#expectedSegment)) {
        const { buffer, at, bytes, baseOffset, position } = batch
        index.note(baseOffset, position, maxTimestampOf(buffer, at))
        blocks.extend(buffer.subarray(at, at + bytes))
        if (position < stop) continue
        stop = position + LOAD_STEP_BYTES
        yield
        if (this.#loaded) return { index, blocks: blocks.sums }
      }
    } catch (cause) {
      if (cause instanceof DamageError) this.#damage = cause
      throw cause
    }
    return { index, blocks: blocks.sums }
  }

  #verify(from: number, to: number): void {
    const verified = this.#verified
    const saved = this.#savedBlocks
    if (verified === undefined || saved === undefined || from >= this.#trustedFrom) return
    const file = this.#file()
    const last = Math.floor((Math.min(to, this.#trustedFrom) - 1) / CHECKSUM_BLOCK_BYTES)
    for (let block = Math.floor(from / CHECKSUM_BLOCK_BYTES); block <= last; block += 1) {
      if (verified[block] === 1) continue
      if (!saved.blockIsWhole(file, block)) {
        const at = block * CHECKSUM_BLOCK_BYTES
        throw new DamageError(this.path, at, 'a block of 64 KiB fails its checksum')
      }
      verified[block] = 1
    }
  }

  #positionOf(offset: Offset): number {
    let position = this.#index.placeOf(offset)?.position ?? 0
    const file = this.#file()
    for (;;) {
      // Behind the last batch that compaction has left there may be offsets without one.
      if (position >= this.#bytes && isSparse(this)) return this.#bytes
      const read = file.read(position, walkPiece)
      let at = 0
      while (at + BATCH_HEADER_BYTES <= read) {
        if (lastOffsetOf(walkPiece, at) >= offset) return position + at
        const bytes = batchBytesOf(walkPiece, at)
        if (bytes < BATCH_HEADER_BYTES) {
          throw new DamageError(this.path, position + at, `a batch claims ${bytes} bytes`)
        }
        at += bytes
      }
      if (at === 0) throw new DamageError(this.path, position, 'a batch header is cut off')
      position += at
    }
  }

  #endOfRange(position: number, maxBytes: number): number {
    if (this.#bytes - position <= maxBytes) return this.#bytes
    const boundary = this.#index.boundaryUpTo(position, position + maxBytes)
    if (boundary !== undefined) return boundary
    const header = walkPiece.subarray(0, BATCH_HEADER_BYTES)
    let end = position
    for (;;) {
      this.read(end, header)
      const bytes = batchBytesOf(header)
      if (bytes < BATCH_HEADER_BYTES) {
        throw new DamageError(this.path, end, `a batch claims ${bytes} bytes`)
      }
      if (end > position && end + bytes - position > maxBytes) return end
      end += bytes
      if (end >= this.#bytes) return this.#bytes
    }
  }
}
