/**
 * Cuts a byte stream into frames: a 32-bit size, then as many bytes.
 *
 * A frame that lies whole in one chunk of the socket is a view of it, without a copy, unless it is given
 * memory for frames: then chunks may be written over as soon as `push` and `next` are done with them, and
 * `keepRest` has been called. Any other is
 * gathered in a buffer that grows with what has arrived, never with what was announced: 64 KiB at
 * first, then up to four times what is there. The size is judged before a byte of the frame is kept.
 */
import { ProtocolError } from '../errors.ts'

const SIZE_BYTES = 4
const GATHER_BYTES_INITIAL = 64 * 1024
const GATHER_GROWTH = 4

/** First bytes by which other protocols give themselves away. */
const STRANGERS: readonly (readonly [bytes: number, mask: number, name: string])[] = [
  [0x16030000, -0x10000, 'a TLS handshake'],
  [0x15030000, -0x10000, 'a TLS alert'],
  [0x47455420, -1, 'HTTP'], // "GET "
  [0x504f5354, -1, 'HTTP'], // "POST"
  [0x50555420, -1, 'HTTP'], // "PUT "
  [0x48454144, -1, 'HTTP'], // "HEAD"
]

/** Where frames lie that outlive the chunk they came in. */
export interface FrameMemory {
  /** A buffer of at least so many bytes. */
  take(bytes: number): Buffer
  /** The memory of a frame, or of the beginning of one, is not needed any more. */
  give(frame: Buffer): void
}

/** The frames of one connection. */
export class FrameAssembler {
  readonly #frameBytesMax: number
  readonly #memory: FrameMemory | undefined
  /** The chunk that is being cut, and where the rest of it begins. */
  #chunk: Buffer | undefined
  #at = 0
  /** Bytes of a size that a chunk has torn. */
  #sizeBytes = 0
  #sizeValue = 0
  /** The frame that is being gathered; its size is `#frameBytes`, of which `#gathered` are there. */
  #frameBytes = -1
  #gather: Buffer | undefined
  #gathered = 0

  /** @param memory for frames, where chunks are only lent */
  constructor(frameBytesMax: number, memory?: FrameMemory) {
    this.#frameBytesMax = frameBytesMax
    this.#memory = memory
  }

  /** Whether a frame has begun that is not whole yet. Meaningful once {@link next} gave undefined. */
  get midFrame(): boolean {
    return this.#sizeBytes > 0 || this.#frameBytes >= 0
  }

  /** Gives it the next bytes of the stream. Only after {@link next} has returned undefined. */
  push(chunk: Buffer): void {
    this.#chunk = chunk
    this.#at = 0
  }

  /** The next whole frame without its size, or undefined. Throws FRAME_TOO_LARGE. */
  next(): Buffer | undefined {
    const chunk = this.#chunk
    if (chunk === undefined) return undefined
    if (this.#frameBytes < 0) {
      const available = chunk.length - this.#at
      if (this.#sizeBytes === 0 && available >= SIZE_BYTES) {
        const size = chunk.readInt32BE(this.#at)
        this.#judge(size)
        const end = this.#at + SIZE_BYTES + size
        if (end <= chunk.length) {
          const frame = this.#own(chunk.subarray(this.#at + SIZE_BYTES, end))
          this.#at = end
          if (end === chunk.length) this.#chunk = undefined
          return frame
        }
        this.#at += SIZE_BYTES
        this.#frameBytes = size
      } else if (!this.#readTornSize(chunk)) return undefined
    }
    return this.#gatherFrom(chunk)
  }

  /** Copies what is left of the chunk, which will be written over. */
  keepRest(): void {
    if (this.#chunk === undefined || this.#memory === undefined) return
    this.#chunk = Buffer.from(this.#chunk.subarray(this.#at))
    this.#at = 0
  }

  #own(view: Buffer): Buffer {
    if (this.#memory === undefined) return view
    const frame = this.#memory.take(view.length).subarray(0, view.length)
    view.copy(frame)
    return frame
  }

  #readTornSize(chunk: Buffer): boolean {
    while (this.#sizeBytes < SIZE_BYTES && this.#at < chunk.length) {
      this.#sizeValue = (this.#sizeValue << 8) | (chunk[this.#at] ?? 0)
      this.#at += 1
      this.#sizeBytes += 1
    }
    if (this.#sizeBytes < SIZE_BYTES) {
      this.#chunk = undefined
      return false
    }
    const size = this.#sizeValue
    this.#judge(size)
    this.#frameBytes = size
    this.#sizeBytes = 0
    this.#sizeValue = 0
    return true
  }

  #judge(size: number): void {
    if (size >= 0 && size <= this.#frameBytesMax) return
    const stranger = STRANGERS.find(([bytes, mask]) => (size & mask) === bytes)
    const looks = stranger === undefined ? '' : `, which looks like ${stranger[2]}`
    throw new ProtocolError(
      'FRAME_TOO_LARGE',
      `size ${size}, at most ${this.#frameBytesMax} allowed${looks}`,
    )
  }

  #gatherFrom(chunk: Buffer): Buffer | undefined {
    const take = Math.min(this.#frameBytes - this.#gathered, chunk.length - this.#at)
    const buffer = this.#room(this.#gathered + take)
    chunk.copy(buffer, this.#gathered, this.#at, this.#at + take)
    this.#gathered += take
    this.#at += take
    if (this.#at === chunk.length) this.#chunk = undefined
    if (this.#gathered < this.#frameBytes) return undefined
    const frame = buffer.subarray(0, this.#frameBytes)
    this.#frameBytes = -1
    this.#gather = undefined
    this.#gathered = 0
    return frame
  }

  /** The buffer of the frame, with room for its first `bytes`. */
  #room(bytes: number): Buffer {
    const before = this.#gather
    if (before !== undefined && before.length >= bytes) return before
    const wanted = Math.max(GATHER_BYTES_INITIAL, bytes * GATHER_GROWTH)
    const size = Math.min(this.#frameBytes, wanted)
    const buffer = this.#memory?.take(size) ?? Buffer.allocUnsafeSlow(size)
    before?.copy(buffer, 0, 0, this.#gathered)
    if (before !== undefined) this.#memory?.give(before)
    this.#gather = buffer
    return buffer
  }
}
