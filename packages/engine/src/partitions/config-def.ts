/**
 * Kinds of configuration values, read as Kafka's ConfigDef reads them: space around a value does not
 * count, booleans in any case, whole numbers with a sign, lists by commas with space around them. What
 * is kept is the canonical text (`compact,delete`, `1000`, `true`), so that every reader after this one
 * sees one spelling.
 */
import { type ConfigType, LogError } from '@millrace/log'

/** The largest value of Kafka's LONG: for ever, without a limit. */
export const FOREVER = '9223372036854775807'
const LONG_MIN = '-9223372036854775808'
const INT_MAX = '2147483647'

/** A key of a configuration. */
export type ConfigKey = {
  readonly type: ConfigType
  readonly default: string
  readonly doc: string
  /** The canonical text of a value; a {@link Refused} that says what would be right. */
  readonly parse: (value: string) => string | Refused
}

/** Why a value is not taken. */
export class Refused {
  readonly why: string

  constructor(why: string) {
    this.why = why
  }
}

/** A whole number of 64 bits. */
export const long = (fallback: string, min: number | string, doc: string): ConfigKey =>
  whole('long', fallback, [String(min), FOREVER], doc)

/** A whole number of 64 bits, of any sign. */
export const anyLong = (fallback: string, doc: string): ConfigKey => long(fallback, LONG_MIN, doc)

/** A whole number of 32 bits. */
export const int = (fallback: string, min: number, doc: string, max: string = INT_MAX): ConfigKey =>
  whole('int', fallback, [String(min), max], doc)

function whole(
  type: 'int' | 'long',
  fallback: string,
  [min, max]: readonly [min: string, max: string],
  doc: string,
): ConfigKey {
  return {
    type,
    default: fallback,
    doc,
    parse: value => {
      const text = value.trim()
      if (!/^[+-]?\d{1,19}$/.test(text)) return new Refused('must be a whole number')
      const number = BigInt(text.startsWith('+') ? text.slice(1) : text)
      if (number >= BigInt(min) && number <= BigInt(max)) return String(number)
      return new Refused(`must lie in ${min} to ${max}`)
    },
  }
}

/** A whole number of 32 bits from `min` to `max`, or -1. */
export const intOrMinusOne = (
  fallback: string,
  [min, max]: readonly [min: number, max: number],
  doc: string,
): ConfigKey => {
  const key = int(fallback, min, doc, String(max))
  return {
    ...key,
    parse: value => {
      if (value.trim() === '-1') return '-1'
      const parsed = key.parse(value)
      return parsed instanceof Refused ? new Refused(`${parsed.why}, or be -1`) : parsed
    },
  }
}

/** One of some words, in exactly this case. */
export const choice = (fallback: string, choices: readonly string[], doc: string): ConfigKey => ({
  type: 'string',
  default: fallback,
  doc,
  parse: value =>
    choices.includes(value.trim())
      ? value.trim()
      : new Refused(`must be one of ${choices.join(', ')}`),
})

/** Any text. */
export const text = (fallback: string, doc: string): ConfigKey => ({
  type: 'string',
  default: fallback,
  doc,
  parse: value => value.trim(),
})

/** true or false, in any case. */
export const flag = (fallback: string, doc: string): ConfigKey => ({
  type: 'boolean',
  default: fallback,
  doc,
  parse: value => {
    const word = value.trim().toLowerCase()
    return word === 'true' || word === 'false' ? word : new Refused('must be true or false')
  },
})

/** A number with a fraction, from `min` to `max`. */
export const fraction = (
  fallback: string,
  [min, max]: readonly [min: number, max: number],
  doc: string,
): ConfigKey => ({
  type: 'double',
  default: fallback,
  doc,
  parse: value => {
    // Java's spellings: 0.5d, .5f. Its hexadecimal ones nobody writes.
    const digits = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)[df]?$/i.exec(value.trim())?.[1]
    const number = Number(digits ?? 'nothing')
    return number >= min && number <= max
      ? String(number)
      : new Refused(`must lie in ${min} to ${max}`)
  },
})

/** Words separated by commas; the same word twice counts once. */
export const list = (
  fallback: string,
  areRight: (words: readonly string[]) => boolean,
  wanted: string,
  doc: string,
): ConfigKey => ({
  type: 'list',
  default: fallback,
  doc,
  parse: value => {
    const words = wordsOf(value)
    return areRight(words) ? [...new Set(words)].join(',') : new Refused(`must be ${wanted}`)
  },
})

/** The words of a list's text; none of the empty text. */
export function wordsOf(value: string): readonly string[] {
  const trimmed = value.trim()
  return trimmed === '' ? [] : trimmed.split(/\s*,\s*/)
}

/** The canonical text of a value. Throws INVALID_CONFIG that names the key and what would be right. */
export function parseConfig(name: string, key: ConfigKey, value: string): string {
  const parsed = key.parse(value)
  if (!(parsed instanceof Refused)) return parsed
  throw new LogError('INVALID_CONFIG', `${name}=${value}: ${parsed.why}`)
}
