/**
 * A disk that can stop writing: from `freeze` on nothing of the folder changes any more, and whoever
 * writes all the same reads what he wrote.
 *
 * An engine that opens for reading only replays its journal like any other, and every byte must stay
 * where it is: what a damaged journal has lost may lie in segments alone. So writes go to blocks in
 * memory, and only where they differ from what the file holds there. After a kill nothing differs;
 * after a power cut at most what the journal holds, so `journal.max.bytes` bounds the memory.
 */
import {
  type Disk,
  DiskError,
  type DiskFile,
  type DiskSpace,
  type JournalWriter,
  type OpenMode,
  type OpenOptions,
  type Surroundings,
} from './disk.ts'

const BLOCK_BYTES = 4096

/** What has been written over a file: the file itself is seen where no block is. */
type Layer = {
  size: number
  /** Bytes of the file, from its start on, that are still seen. */
  seen: number
  readonly blocks: Map<number, Buffer>
}

/** Another disk, as it is until it is frozen. */
export class FreezableDisk implements Disk {
  readonly #disk: Disk
  readonly #layers = new Map<string, Layer>()
  #frozen = false

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** Nothing is written from here on. No file may be open for writing. */
  freeze(): void {
    this.#frozen = true
  }

  /** Whether nothing is written any more. */
  get frozen(): boolean {
    return this.#frozen
  }

  lock(): void {
    this.#disk.lock()
  }

  unlock(): void {
    this.#disk.unlock()
  }

  open(path: string, mode: OpenMode, options?: OpenOptions): DiskFile {
    if (!this.#frozen) return this.#disk.open(path, mode, options)
    const size = this.sizeOf(path)
    if (size === null && mode !== 'create') throw new DiskError('ENOENT', path, 'no such file')
    let layer = this.#layers.get(path)
    if (mode === 'read' && layer === undefined) return this.#disk.open(path, mode, options)
    layer ??= { size: size ?? 0, seen: size ?? 0, blocks: new Map() }
    const isThere = this.#disk.exists(path)
    const file = isThere ? this.#disk.open(path, 'read', options) : undefined
    this.#layers.set(path, layer)
    return new LayeredFile(path, layer, file)
  }

  exists(path: string): boolean {
    return this.#layers.has(path) || this.#disk.exists(path)
  }

  sizeOf(path: string): number | null {
    return this.#layers.get(path)?.size ?? this.#disk.sizeOf(path)
  }

  list(folder: string): readonly string[] {
    const names = this.#disk.list(folder)
    if (this.#layers.size === 0) return names
    const start = folder === '' ? '' : `${folder}/`
    const written = [...this.#layers.keys()]
      .filter(path => path.startsWith(start))
      .map(path => path.slice(start.length).split('/')[0] ?? '')
    return [...new Set([...names, ...written])].sort()
  }

  makeFolder(path: string): void {
    if (!this.#frozen) this.#disk.makeFolder(path)
  }

  rename(from: string, to: string): void {
    if (this.#frozen) throw readOnly(from)
    this.#disk.rename(from, to)
  }

  unlink(path: string): void {
    if (this.#frozen) throw readOnly(path)
    this.#disk.unlink(path)
  }

  removeFolder(path: string): void {
    if (this.#frozen) throw readOnly(path)
    this.#disk.removeFolder(path)
  }

  syncFolder(path: string): Promise<void> {
    return this.#frozen ? Promise.resolve() : this.#disk.syncFolder(path)
  }

  space(): DiskSpace {
    return this.#disk.space()
  }

  surroundings(): Surroundings {
    return this.#disk.surroundings()
  }

  openJournalWriter(count: number, bytes: number): JournalWriter {
    return this.#disk.openJournalWriter(count, bytes)
  }

  close(): Promise<void> {
    return this.#disk.close()
  }
}

const readOnly = (path: string): DiskError =>
  new DiskError('EROFS', path, 'the engine is open for reading only')

/** A file, and what has been written over it. */
class LayeredFile implements DiskFile {
  readonly path: string
  readonly #layer: Layer
  /** Absent where the disk has no such file. */
  readonly #file: DiskFile | undefined

  constructor(path: string, layer: Layer, file: DiskFile | undefined) {
    this.path = path
    this.#layer = layer
    this.#file = file
  }

  size(): number {
    return this.#layer.size
  }

  read(position: number, target: Uint8Array): number {
    const { size, blocks } = this.#layer
    const length = Math.max(0, Math.min(target.length, size - position))
    const wanted = target.subarray(0, length)
    this.#readSeen(position, wanted)
    if (blocks.size === 0) return length
    for (const { block, from, piece } of piecesOf(position, wanted)) {
      const written = blocks.get(block)
      if (written !== undefined) piece.set(written.subarray(from, from + piece.length))
    }
    return length
  }

  write(position: number, buffers: readonly Uint8Array[]): void {
    let at = position
    for (const buffer of buffers) {
      for (const { block, from, piece } of piecesOf(at, buffer)) this.#put(block, from, piece)
      at += buffer.length
    }
    if (at > position) this.#layer.size = Math.max(this.#layer.size, at)
  }

  #put(block: number, from: number, piece: Uint8Array): void {
    const layer = this.#layer
    const position = block * BLOCK_BYTES + from
    let written = layer.blocks.get(block)
    if (written === undefined) {
      if (position <= layer.seen && this.#holds(position, piece)) {
        layer.seen = Math.max(layer.seen, position + piece.length)
        return
      }
      written = Buffer.alloc(BLOCK_BYTES)
      this.#readSeen(block * BLOCK_BYTES, written)
      layer.blocks.set(block, written)
    }
    written.set(piece, from)
  }

  /** Whether the file itself has these bytes there. */
  #holds(position: number, bytes: Uint8Array): boolean {
    const found = Buffer.allocUnsafe(bytes.length)
    return this.#file?.read(position, found) === bytes.length && found.equals(bytes)
  }

  /** What is seen of the file; zeros behind it. */
  #readSeen(position: number, target: Uint8Array): void {
    const length = Math.max(0, Math.min(target.length, this.#layer.seen - position))
    const read = length === 0 ? 0 : (this.#file?.read(position, target.subarray(0, length)) ?? 0)
    target.fill(0, read)
  }

  sync(): Promise<void> {
    return Promise.resolve()
  }

  truncate(size: number): void {
    const layer = this.#layer
    layer.size = size
    layer.seen = Math.min(layer.seen, size)
    for (const [block, written] of layer.blocks) {
      const start = block * BLOCK_BYTES
      if (start >= size) layer.blocks.delete(block)
      else written.fill(0, Math.min(BLOCK_BYTES, size - start))
    }
  }

  close(): void {
    this.#file?.close()
  }
}

type Piece = { readonly block: number; readonly from: number; readonly piece: Uint8Array }

/** The bytes by the blocks that they lie in. */
function* piecesOf(position: number, bytes: Uint8Array): Generator<Piece> {
  for (let at = 0; at < bytes.length; ) {
    const block = Math.floor((position + at) / BLOCK_BYTES)
    const from = position + at - block * BLOCK_BYTES
    const length = Math.min(BLOCK_BYTES - from, bytes.length - at)
    yield { block, from, piece: bytes.subarray(at, at + length) }
    at += length
  }
}
