/**
 * Lines of a byte stream, as views on the chunks that came: nothing is decoded, and only a line that
 * spans chunks is copied. A line ends with LF or CRLF, which are not part of it; the last line may
 * lack its end. A line longer than `lineBytesMax` is refused, so that memory stays bounded.
 */
const LF = 0x0a
const CR = 0x0d

/** A line is longer than the splitter keeps. */
export class LineTooLongError extends Error {
  override readonly name: string = 'LineTooLongError'
  /** Counted from 1. */
  readonly line: number

  constructor(line: number, limit: number) {
    super(`line ${line} is longer than ${limit} bytes`)
    this.line = line
  }
}

export class LineSplitter {
  #lineBytesMax: number
  #pieces: Buffer[] = []
  #pieceBytes = 0
  #lines = 0

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  /** The lines that end within `chunk`. They stay valid as long as the chunk is not reused. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = []
    let from = 0
    for (;;) {
      const end = chunk.indexOf(LF, from)
      if (end === -1) break
      lines.push(this.#line(chunk.subarray(from, end)))
      from = end + 1
    }
    if (from < chunk.length) {
      this.#pieces.push(chunk.subarray(from))
      this.#pieceBytes += chunk.length - from
      this.#check(this.#pieceBytes)
    }
    return lines
  }

  /** The last line when the stream ended without a line end, else null. */
  end(): Buffer | null {
    return this.#pieceBytes === 0 ? null : this.#line(Buffer.alloc(0))
  }

  #line(tail: Buffer): Buffer {
    this.#check(this.#pieceBytes + tail.length)
    this.#lines += 1
    if (this.#pieces.length === 0) return withoutCr(tail)
    const line = Buffer.concat([...this.#pieces, tail])
    this.#pieces = []
    this.#pieceBytes = 0
    return withoutCr(line)
  }

  #check(bytes: number): void {
    if (bytes > this.#lineBytesMax) throw new LineTooLongError(this.#lines + 1, this.#lineBytesMax)
  }
}

function withoutCr(line: Buffer): Buffer {
  return line.length > 0 && line[line.length - 1] === CR ? line.subarray(0, -1) : line
}
