/**
 * The bytes of one simulated file: what programs see (the page cache), what survives a power cut
 * (the durable image), and the changes in between, in order.
 *
 * A change keeps whole sectors as the page cache had them after it, because that is what a kernel
 * hands to a device: a sector holds its old bytes or those after one of the changes, never a mixture.
 * A sync applies the changes to the durable image. A failed sync forgets them: the pages count as
 * clean, can still be read, and no later sync writes them (Rebello et al., USENIX ATC 2020).
 */
import type { Choose } from '@millrace/base/simulation'

/** What a device writes whole. Cuts lie at multiples of it. */
export const SECTOR_BYTES = 512

/** How much of the legal outcomes a power cut draws from. */
export type CutDetail =
  /** Tears that miss the first, the middle or the last sector: few enough to enumerate. */
  | 'few'
  /** Any subset of sectors: to be sampled. */
  | 'any'

type Change = {
  readonly seq: number
  /** Size of the file after the change. */
  readonly size: number
  /** Where the sectors begin; a truncation has none. */
  readonly start: number
  readonly sectors: Buffer | undefined
}

/** A change of which some sectors have reached the device. */
type Kept = { readonly change: Change; readonly sectors: (sector: number) => boolean }

type Extent = { readonly size: number; readonly floor: number }

const NO_BYTES = Buffer.alloc(0)
const NO_STALE_BYTES = Buffer.alloc(SECTOR_BYTES, 0xd5)

/** A file's content, apart from its names. */
export class SimInode {
  /** Names plus open files: at zero its room is free again. */
  links = 0
  #cache: Buffer = NO_BYTES
  #size = 0
  #durable: Buffer = NO_BYTES
  #durableSize = 0
  #pending: Change[] = []
  #seq = 0

  /** A file whose content is durable. */
  static durable(bytes: Uint8Array): SimInode {
    const inode = new SimInode()
    inode.#durable = Buffer.from(bytes)
    inode.#durableSize = bytes.length
    inode.#cache = Buffer.from(bytes)
    inode.#size = bytes.length
    return inode
  }

  get size(): number {
    return this.#size
  }

  /** Changes that no sync has covered. */
  get pendingChanges(): number {
    return this.#pending.length
  }

  /** The content as programs see it. */
  get bytes(): Buffer {
    return this.#cache.subarray(0, this.#size)
  }

  /** The content that survives any power cut. */
  get durableBytes(): Buffer {
    return this.#durable.subarray(0, this.#durableSize)
  }

  read(position: number, target: Uint8Array): number {
    const end = Math.min(this.#size, position + target.length)
    if (end <= position) return 0
    target.set(this.#cache.subarray(position, end))
    return end - position
  }

  write(position: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return
    const end = position + bytes.length
    this.#cache = grown(this.#cache, end)
    this.#cache.set(bytes, position)
    // A gap behind the old end is part of the change: it reads as zeros from now on.
    const start = floorSector(Math.min(position, this.#size))
    this.#size = Math.max(this.#size, end)
    this.#push(start, ceilSector(end))
  }

  truncate(size: number): void {
    if (size === this.#size) return
    if (size < this.#size) this.#cache.fill(0, size, this.#size)
    else this.#cache = grown(this.#cache, size)
    this.#size = size
    this.#push(0, 0)
  }

  /** Marks what a sync that begins now will cover. */
  beginSync(): number {
    return this.#seq
  }

  /** The sync that began at this mark has succeeded. */
  endSync(mark: number): void {
    for (const change of this.#pending) {
      if (change.seq <= mark) this.#applyDurably(change)
    }
    this.#pending = this.#pending.filter(change => change.seq > mark)
  }

  /** It has failed: what it covered is clean now, and gone after a power cut. */
  failSync(mark: number): void {
    this.#pending = this.#pending.filter(change => change.seq > mark)
  }

  /** Changes bytes at rest, behind everybody's back. */
  corrupt(position: number, bytes: Uint8Array): void {
    this.#cache.set(bytes.subarray(0, Math.max(0, this.#size - position)), position)
    const durable = bytes.subarray(0, Math.max(0, this.#durableSize - position))
    if (durable.length > 0) this.#durable.set(durable, position)
  }

  /** The same state once more: what a killed process leaves behind. */
  clone(): SimInode {
    const copy = new SimInode()
    copy.#cache = Buffer.from(this.#cache)
    copy.#size = this.#size
    copy.#durable = Buffer.from(this.#durable)
    copy.#durableSize = this.#durableSize
    copy.#pending = [...this.#pending]
    copy.#seq = this.#seq
    return copy
  }

  /**
   * What a power cut leaves: the durable image and a legal part of the pending changes. The size may
   * be that after any of them; each keeps all, none or some of its sectors, whatever the others do;
   * what is inside the size and was not kept reads as zeros or as stale bytes.
   */
  afterPowerCut(choose: Choose, detail: CutDetail, staleBytes: Buffer): SimInode {
    if (this.#pending.length === 0) return SimInode.durable(this.durableBytes)
    const { size, floor } = this.#chooseSize(choose)
    const image = Buffer.alloc(ceilSector(Math.max(size, this.#durableSize)))
    image.set(this.durableBytes)
    const kept = this.#keptSectors(choose, detail, size)
    const stale = leavesGap(floor, size, kept) && choose(2) === 1
    if (!stale) image.fill(0, Math.min(floor, image.length))
    else if (staleBytes.length === 0) fillWith(image, this.#durableSize, NO_STALE_BYTES)
    else fillWith(image, this.#durableSize, staleBytes)
    for (const { change, sectors } of kept) copySectors(image, change, sectors)
    return SimInode.durable(image.subarray(0, size))
  }

  /**
   * The size after one of the changes, or before all. What lies behind `floor` was cut off, or not
   * there, at some time before: if no sector of it is kept it may be anything that once was there.
   */
  #chooseSize(choose: Choose): Extent {
    let floor = this.#durableSize
    const extents: Extent[] = [{ size: floor, floor }]
    for (const { size } of this.#pending) {
      floor = Math.min(floor, size)
      if (!extents.some(known => known.size === size && known.floor === floor)) {
        extents.push({ size, floor })
      }
    }
    const extent = extents[extents.length === 1 ? 0 : choose(extents.length)]
    return extent ?? { size: this.#durableSize, floor: this.#durableSize }
  }

  #keptSectors(choose: Choose, detail: CutDetail, size: number): Kept[] {
    const kept: Kept[] = []
    for (const change of this.#pending) {
      if (change.sectors === undefined || change.start >= size) continue
      const count = Math.ceil(Math.min(change.sectors.length, size - change.start) / SECTOR_BYTES)
      const sectors = detail === 'few' ? fewTears(choose, count) : anyTear(choose, count)
      if (sectors !== undefined) kept.push({ change, sectors })
    }
    return kept
  }

  #push(start: number, end: number): void {
    this.#seq += 1
    let sectors: Buffer | undefined
    if (end > start) {
      this.#cache = grown(this.#cache, end)
      sectors = Buffer.from(this.#cache.subarray(start, end))
    }
    this.#pending.push({ seq: this.#seq, size: this.#size, start, sectors })
  }

  #applyDurably(change: Change): void {
    if (change.size < this.#durableSize) this.#durable.fill(0, change.size, this.#durableSize)
    this.#durableSize = change.size
    this.#durable = grown(this.#durable, change.size)
    if (change.sectors === undefined) return
    this.#durable = grown(this.#durable, change.start + change.sectors.length)
    this.#durable.set(change.sectors, change.start)
  }
}

/** All, none, or all but the first, the middle or the last sector; or the first alone. */
function fewTears(choose: Choose, count: number): ((sector: number) => boolean) | undefined {
  const missing = [...new Set([0, count >> 1, count - 1])]
  const tears = count === 1 ? 0 : missing.length + (count > 2 ? 1 : 0)
  const outcome = choose(2 + tears)
  if (outcome === 0) return undefined
  if (outcome === 1) return () => true
  const hole = missing[outcome - 2]
  return hole === undefined ? sector => sector === 0 : sector => sector !== hole
}

/** All, none, a front part, a back part, or any subset. */
function anyTear(choose: Choose, count: number): ((sector: number) => boolean) | undefined {
  const outcome = choose(count === 1 ? 2 : 5)
  if (outcome === 0) return undefined
  if (outcome === 1) return () => true
  if (outcome === 4) {
    const kept = new Uint8Array(count)
    for (let i = 0; i < count; i += 1) kept[i] = choose(2)
    return sector => kept[sector] === 1
  }
  const cut = 1 + choose(count - 1)
  return outcome === 2 ? sector => sector < cut : sector => sector >= cut
}

/** Whether some sector between floor and size was not written. */
function leavesGap(floor: number, size: number, kept: readonly Kept[]): boolean {
  if (size <= floor) return false
  const written = new Set<number>()
  for (const { change, sectors } of kept) {
    const first = change.start / SECTOR_BYTES
    const count = (change.sectors?.length ?? 0) / SECTOR_BYTES
    for (let i = 0; i < count; i += 1) if (sectors(i)) written.add(first + i)
  }
  for (let at = floorSector(floor); at < size; at += SECTOR_BYTES) {
    if (!written.has(at / SECTOR_BYTES)) return true
  }
  return false
}

function copySectors(image: Buffer, change: Change, kept: (sector: number) => boolean): void {
  const { sectors, start } = change
  if (sectors === undefined) return
  for (let i = 0; i * SECTOR_BYTES < sectors.length; i += 1) {
    const at = start + i * SECTOR_BYTES
    if (at >= image.length) return
    if (kept(i)) sectors.copy(image, at, i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES)
  }
}

function fillWith(image: Buffer, from: number, pattern: Buffer): void {
  for (let at = floorSector(from); at < image.length; at += pattern.length) {
    const begin = Math.max(at, from)
    // A pattern may be shorter than the part of the sector that is kept.
    if (begin - at < pattern.length) pattern.copy(image, begin, begin - at)
  }
}

/** Room for `end` bytes, in whole sectors, zeros behind the old ones; doubled to stay cheap. */
function grown(buffer: Buffer, end: number): Buffer {
  if (end <= buffer.length) return buffer
  const next = Buffer.alloc(ceilSector(Math.max(end, Math.min(buffer.length * 2, end + (1 << 20)))))
  next.set(buffer)
  return next
}

const floorSector = (at: number): number => at - (at % SECTOR_BYTES)
const ceilSector = (at: number): number => floorSector(at + SECTOR_BYTES - 1)
