/**
 * Records as `consume` prints them: one a line, as JSON, as bare values, or by a template. Values
 * pass as bytes. What is printed is gathered into pieces of CHUNK_BYTES before it is written.
 */

import { type RecordView, recordJson } from './record-view.ts'
import { compileTemplate } from './template.ts'

const CHUNK_BYTES = 64 * 1024
const LINE_END = Buffer.from('\n')

/** Prints a record without its line end. */
type Print = (record: RecordView) => string | Buffer

export class RecordPrinter {
  #print: Print
  #write: (bytes: Buffer) => void
  #pieces: Buffer[] = []
  #bytes = 0

  /** @param format json, value, or a template; throws RangeError on a bad one */
  constructor(format: string, write: (bytes: Buffer) => void) {
    this.#print = printOf(format)
    this.#write = write
  }

  add(record: RecordView): void {
    const printed = this.#print(record)
    const piece = typeof printed === 'string' ? Buffer.from(printed) : printed
    this.#pieces.push(piece, LINE_END)
    this.#bytes += piece.length + 1
    if (this.#bytes >= CHUNK_BYTES) this.flush()
  }

  flush(): void {
    if (this.#bytes === 0) return
    this.#write(Buffer.concat(this.#pieces, this.#bytes))
    this.#pieces = []
    this.#bytes = 0
  }
}

function printOf(format: string): Print {
  if (format === 'json') return recordJson
  if (format === 'value') return record => record.value ?? ''
  if (format.includes('{{')) return compileTemplate(format)
  throw new RangeError(`--format must be json, value, or a template with {{...}}, not "${format}"`)
}
