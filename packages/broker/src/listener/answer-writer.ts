/**
 * Streams the answers of one connection into its socket, in order, without holding them.
 *
 * Answers come as pieces: buffers, and slices that still lie in a file. Small pieces and slices are
 * gathered into chunks of at most 1 MiB, so that several answers, or the hundred partitions of one,
 * are one write; large buffers go as they are. Nothing is read from a slice before the socket has
 * room: at most `unsentBytesMax` are handed over and not taken by the peer. A slice is released
 * when its last byte has been copied, or when the connection ends.
 */
import type { Socket } from 'node:net'
import type { BytesInFlight } from './bytes-in-flight.ts'
import { CHUNK_BYTES_LARGE, type ChunkPool } from './chunk-pool.ts'

/** Bytes elsewhere, such as a range of a file. Released exactly once. */
export interface ByteSource {
  readonly byteLength: number
  read(from: number, target: Buffer): void
  release(): void
}

/** A piece of an answer. */
export type Piece = Buffer | ByteSource

/** What all connections of a node share for writing. */
export type WriterNode = {
  readonly chunks: ChunkPool
  readonly bytes: BytesInFlight
  readonly unsentBytesMax: number
  /** Runs a callback in a later turn of the event loop. */
  readonly soon: (callback: () => void) => void
}

/** Who the writer reports to. */
export interface WriterOwner {
  /** All that was added is handed over. */
  hasRoom(): void
  /** A slice cannot be read: the answer can only be cut off, with its connection. */
  cannotRead(cause: unknown): void
}

/** Below this a buffer is copied among others, and an answer needs no chunk of the pool. */
const COPY_BELOW_BYTES = 16 * 1024

/** What is known of one write until the socket has taken it. */
type Handed = {
  /** To be given back to the pool. */
  readonly chunk: Buffer | undefined
  readonly bytes: number
  /** To be released from the bytes in flight. */
  readonly charged: number
}

/** One connection's way out. */
export class AnswerWriter {
  readonly #socket: Socket
  readonly #node: WriterNode
  readonly #owner: WriterOwner
  readonly #taken: () => void
  #pieces: Piece[] = []
  #head = 0
  /** Bytes of the first piece that are gone already. */
  #at = 0
  #queuedBytes = 0
  #handed: Handed[] = []
  #unsentBytes = 0
  #turnBytes = 0
  #pumpIsDue = false
  #closed = false
  #takenBytes = 0
  /** Who wants to know when all that was added before has been taken, in order. */
  #marks: { readonly at: number; readonly reached: () => void }[] = []

  constructor(socket: Socket, node: WriterNode, owner: WriterOwner) {
    this.#socket = socket
    this.#node = node
    this.#owner = owner
    // One function for all writes; they complete in order.
    this.#taken = () => this.#onTaken()
  }

  /** Bytes that wait for the socket or lie in it. */
  get pendingBytes(): number {
    return this.#queuedBytes + this.#unsentBytes
  }

  /** Bytes in the socket that the peer has not taken. */
  get unsentBytes(): number {
    return this.#unsentBytes
  }

  /** Bytes that the peer has taken since the start: who does not move, is stalled. */
  get takenBytes(): number {
    return this.#takenBytes
  }

  /** Puts the pieces of an answer behind the others. Their buffers' bytes are charged already. */
  add(pieces: readonly Piece[], byteLength: number): void {
    for (const piece of pieces) this.#pieces.push(piece)
    this.#queuedBytes += byteLength
  }

  /** Calls back when the socket has taken all that was added so far. For traces. */
  mark(reached: () => void): void {
    this.#marks.push({ at: this.#takenBytes + this.pendingBytes, reached })
  }

  /** Hands over what the socket has room for. */
  pump(): void {
    while (this.#queuedBytes > 0 && !this.#closed) {
      if (this.#turnBytes >= this.#node.unsentBytesMax) {
        // A fast reader must not keep the others from being served.
        this.#pumpLater()
        return
      }
      if (!this.#handOver()) return
    }
  }

  /** Ends it: what is queued is released. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    let charged = 0
    for (let index = this.#head; index < this.#pieces.length; index += 1) {
      const piece = this.#pieces[index] as Piece
      if (!Buffer.isBuffer(piece)) piece.release()
      else charged += piece.length - (index === this.#head ? this.#at : 0)
    }
    this.#pieces = []
    this.#head = 0
    this.#at = 0
    this.#queuedBytes = 0
    for (const handed of this.#handed.splice(0)) {
      charged += handed.charged
      // The socket may still read from the chunk: it is dropped, not used again.
      if (handed.chunk !== undefined) this.#node.chunks.lose(handed.chunk)
    }
    this.#unsentBytes = 0
    if (charged > 0) this.#node.bytes.release(charged)
  }

  #handOver(): boolean {
    const room = this.#node.unsentBytesMax - this.#unsentBytes
    if (room <= 0) return false
    const first = this.#pieces[this.#head] as Piece
    if (Buffer.isBuffer(first)) {
      const rest = first.length - this.#at
      if (rest >= COPY_BELOW_BYTES || rest === this.#queuedBytes) {
        return this.#handOverBuffer(first, Math.min(rest, room, CHUNK_BYTES_LARGE))
      }
    }
    const wanted = Math.min(this.#queuedBytes, room, CHUNK_BYTES_LARGE)
    if (wanted < COPY_BELOW_BYTES) {
      return this.#fill(Buffer.allocUnsafe(wanted), undefined)
    }
    const chunk = this.#node.chunks.take(wanted, this.#handed.length === 0)
    if (chunk === undefined) return false
    return this.#fill(wanted < chunk.length ? chunk.subarray(0, wanted) : chunk, chunk)
  }

  #handOverBuffer(piece: Buffer, bytes: number): boolean {
    const part = bytes === piece.length ? piece : piece.subarray(this.#at, this.#at + bytes)
    this.#advance(piece.length, bytes)
    this.#write(part, undefined, bytes)
    return true
  }

  /** Copies pieces into `target` until it is full or a large buffer comes. */
  #fill(target: Buffer, chunk: Buffer | undefined): boolean {
    let filled = 0
    let charged = 0
    try {
      while (filled < target.length && this.#queuedBytes > 0) {
        const piece = this.#pieces[this.#head] as Piece
        const rest = piece.byteLength - this.#at
        const bytes = Math.min(rest, target.length - filled)
        if (Buffer.isBuffer(piece)) {
          if (rest >= COPY_BELOW_BYTES) break
          piece.copy(target, filled, this.#at, this.#at + bytes)
          charged += bytes
          this.#advance(piece.length, bytes)
        } else {
          piece.read(this.#at, target.subarray(filled, filled + bytes))
          this.#advance(piece.byteLength, bytes)
          if (bytes === rest) piece.release()
        }
        filled += bytes
      }
    } catch (cause) {
      if (chunk !== undefined) this.#node.chunks.give(chunk)
      if (charged > 0) this.#node.bytes.release(charged)
      this.#owner.cannotRead(cause)
      return false
    }
    this.#write(filled < target.length ? target.subarray(0, filled) : target, chunk, charged)
    return true
  }

  #advance(pieceBytes: number, bytes: number): void {
    this.#queuedBytes -= bytes
    this.#at += bytes
    if (this.#at < pieceBytes) return
    this.#at = 0
    this.#head += 1
    if (this.#head === this.#pieces.length) {
      this.#pieces = []
      this.#head = 0
    } else if (this.#head >= 1024) {
      this.#pieces = this.#pieces.slice(this.#head)
      this.#head = 0
    }
  }

  #write(bytes: Buffer, chunk: Buffer | undefined, charged: number): void {
    this.#unsentBytes += bytes.length
    this.#turnBytes += bytes.length
    this.#handed.push({ chunk, bytes: bytes.length, charged })
    this.#socket.write(bytes, this.#taken)
  }

  #onTaken(): void {
    const handed = this.#handed.shift()
    // After close() the calls for lost writes still come.
    if (handed === undefined) return
    this.#unsentBytes -= handed.bytes
    this.#takenBytes += handed.bytes
    if (handed.chunk !== undefined) this.#node.chunks.give(handed.chunk)
    if (handed.charged > 0) this.#node.bytes.release(handed.charged)
    while ((this.#marks[0]?.at ?? Number.POSITIVE_INFINITY) <= this.#takenBytes) {
      this.#marks.shift()?.reached()
    }
    if (this.#unsentBytes === 0 && this.#queuedBytes === 0) this.#turnBytes = 0
    this.pump()
    if (this.#queuedBytes === 0) this.#owner.hasRoom()
  }

  #pumpLater(): void {
    if (this.#pumpIsDue) return
    this.#pumpIsDue = true
    this.#node.soon(() => {
      this.#pumpIsDue = false
      this.#turnBytes = 0
      this.pump()
    })
  }
}
