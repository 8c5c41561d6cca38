/**
 * Templates of `consume --format`: text with placeholders in double braces, compiled once.
 *
 *   {{topic}} {{partition}} {{offset}} {{timestamp}} {{time}} {{key}} {{value}} {{headers}}
 *   {{header.NAME}}   the last header of that name
 *   {{value.FIELD}}   a dotted path into a JSON value, as in --key
 *
 * `\n`, `\t`, `\0` and `\\` are written as in most languages. What is absent is empty. Every record
 * ends with a line end of its own.
 */
import { keyText, valueAt } from './field-path.ts'
import { headersJson, type RecordView } from './record-view.ts'

/** A compiled template. */
export type Template = (record: RecordView) => string

type Part = (record: RecordView) => string

const PLAIN: Readonly<Record<string, Part>> = {
  topic: record => record.topic,
  partition: record => String(record.partition),
  offset: record => String(record.offset),
  timestamp: record => String(record.timestamp),
  time: record => new Date(record.timestamp).toISOString(),
  key: record => record.key?.toString() ?? '',
  value: record => record.value?.toString() ?? '',
  headers: record => JSON.stringify(headersJson(record)),
}
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', '0': '\0', '\\': '\\' }

/** Names that may stand in double braces, for messages and help. */
export const TEMPLATE_NAMES: readonly string[] = [
  ...Object.keys(PLAIN),
  'header.NAME',
  'value.FIELD',
]

/** Compiles a template. Throws RangeError naming an unknown placeholder and those allowed. */
export function compileTemplate(text: string): Template {
  const parts: Part[] = []
  let from = 0
  for (const match of text.matchAll(/\{\{\s*([^{}]*?)\s*\}\}/g)) {
    parts.push(literal(text.slice(from, match.index)), placeholder(match[1] ?? ''))
    from = match.index + match[0].length
  }
  parts.push(literal(text.slice(from)))
  return record => {
    let line = ''
    for (const part of parts) line += part(record)
    return line
  }
}

function literal(text: string): Part {
  const written = text.replaceAll(/\\([nt0\\])/g, (_, letter: string) => ESCAPES[letter] ?? letter)
  return () => written
}

function placeholder(name: string): Part {
  const plain = Object.hasOwn(PLAIN, name) ? PLAIN[name] : undefined
  if (plain !== undefined) return plain
  if (name.startsWith('header.')) {
    const wanted = name.slice('header.'.length)
    return record => record.headers.findLast(({ key }) => key === wanted)?.value?.toString() ?? ''
  }
  if (name.startsWith('value.')) {
    const path = name.slice('value.'.length)
    return record => keyText(valueAt(parsed(record), path)) ?? ''
  }
  throw new RangeError(`{{${name}}} is not known; there are ${TEMPLATE_NAMES.join(', ')}`)
}

/** The value as JSON; a value that is not JSON has no fields. */
function parsed(record: RecordView): unknown {
  try {
    return record.value === null ? undefined : (JSON.parse(record.value.toString()) as unknown)
  } catch {
    return undefined
  }
}
