/**
 * From a line to key and value, by the flags of `produce`. The value's bytes are those of the line,
 * never a re-written form of them.
 */
import { CommandError, EXIT } from 'millrace/errors'
import { keyText, valueAt } from '../text/field-path.ts'

/** Key and value of a line. Throws {@link BadLineError}. */
export type LineReader = (line: Buffer) => {
  readonly key: Buffer | string | null
  readonly value: Buffer | null
}

/** A line that cannot be a record; the message says why. */
export class BadLineError extends Error {
  override readonly name: string = 'BadLineError'
}

/** What decides how a line is read. */
export type LineReaderOptions = {
  /** A dotted path into each NDJSON line. */
  readonly key?: string
  /** What stands between key and value. */
  readonly keySeparator?: string
  /** A value that stands for null. */
  readonly nullValue?: string
  readonly input?: 'lines' | 'ndjson'
}

const PREVIEW_LENGTH_MAX = 60

/** The reader for these options. Throws a usage error when they contradict each other. */
export function lineReader(options: LineReaderOptions): LineReader {
  const { key, keySeparator, input } = options
  if (key !== undefined && keySeparator !== undefined) {
    throw new CommandError('--key and --key-separator exclude each other', EXIT.usage)
  }
  if (key !== undefined && input === 'lines') {
    throw new CommandError('--key needs NDJSON, not --input lines', EXIT.usage)
  }
  if (keySeparator === '') throw new CommandError('--key-separator is empty', EXIT.usage)
  const asValue = valueReader(options.nullValue)
  if (key !== undefined) return line => ({ key: fieldKey(line, key), value: asValue(line) })
  if (keySeparator !== undefined) return separated(keySeparator, asValue, input === 'ndjson')
  if (input === 'ndjson') {
    return line => {
      parseJson(line)
      return { key: null, value: asValue(line) }
    }
  }
  return line => ({ key: null, value: asValue(line) })
}

function valueReader(nullValue: string | undefined): (bytes: Buffer) => Buffer | null {
  if (nullValue === undefined) return bytes => bytes
  const mark = Buffer.from(nullValue)
  return bytes => (bytes.equals(mark) ? null : bytes)
}

function separated(
  separator: string,
  asValue: (bytes: Buffer) => Buffer | null,
  checked: boolean,
): LineReader {
  const mark = Buffer.from(separator)
  return line => {
    const at = line.indexOf(mark)
    if (at === -1) throw new BadLineError(`no ${JSON.stringify(separator)} in ${preview(line)}`)
    const value = asValue(line.subarray(at + mark.length))
    if (checked && value !== null) parseJson(value)
    return { key: line.subarray(0, at), value }
  }
}

function fieldKey(line: Buffer, path: string): string {
  const key = keyText(valueAt(parseJson(line), path))
  if (key === null) throw new BadLineError(`no field ${path} in ${preview(line)}`)
  return key
}

function parseJson(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString()) as unknown
  } catch {
    throw new BadLineError(`not JSON: ${preview(line)}`)
  }
}

function preview(line: Buffer): string {
  const text = line.subarray(0, PREVIEW_LENGTH_MAX).toString()
  return line.length > PREVIEW_LENGTH_MAX ? `${text}...` : text
}
