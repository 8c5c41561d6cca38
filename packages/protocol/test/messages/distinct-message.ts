/**
 * Messages in which every value differs from every other, and a way to find them again in any
 * object: so that another implementation can be held against ours without a table of its names.
 */

import { type Field, type FieldType, inRange } from '../../src/index.ts'
import { recordBatch } from '../support/fuzz/batches.ts'
import { Random } from '../support/fuzz/index.ts'

const ELEMENTS = 2

/** How the values are made. */
export type DistinctOptions = {
  /** 64-bit integers as bigint, for implementations that want them so. */
  readonly bigints?: boolean
  /** Fields that get this value instead. */
  readonly fixed?: Readonly<Record<string, unknown>>
}

/** A message whose strings, integers above 8 bits, ids and bytes are all different. */
export function distinctMessage(
  fields: readonly Field[],
  version: number,
  options: DistinctOptions = {},
): Record<string, unknown> {
  const fixed = new Map(Object.entries(options.fixed ?? {}))
  let count = 0
  const next = (): number => {
    count += 1
    return count
  }
  const value = (type: FieldType): unknown => {
    switch (type.kind) {
      case 'bool':
        return next() % 2 === 0
      case 'i8':
        return (next() % 100) + 1
      case 'i16':
        return 1000 + next()
      case 'u16':
        return 40_000 + next()
      case 'i32':
        return 1_000_000 + next()
      case 'i64':
        return options.bigints ? BigInt(2 ** 40 + next()) : 2 ** 40 + next()
      case 'uuid':
        return Buffer.alloc(16, next() % 256).toString('base64url')
      case 'str':
        return `text-${next()}`
      case 'bytes':
        return Buffer.from(`bytes-${next()}`)
      case 'records':
        return recordBatch(new Random(next()), 2)
      case 'array':
        return Array.from({ length: ELEMENTS }, () => value(type.element))
      case 'struct':
        return struct(type.fields)
    }
  }
  const struct = (inner: readonly Field[]): Record<string, unknown> =>
    Object.fromEntries(
      inner
        .filter(field => inRange(field.versions, version) && field.tag === undefined)
        .map(field => [
          field.name,
          fixed.has(field.name) ? fixed.get(field.name) : value(field.type),
        ]),
    )
  return struct(fields)
}

/** The values of an object as text, each with the names that it has there, however deep. */
function leaves(
  value: unknown,
  name = '',
  out: Map<string, Set<string>> = new Map(),
): ReadonlyMap<string, ReadonlySet<string>> {
  const text = leafText(value)
  if (text !== undefined) {
    out.set(text, (out.get(text) ?? new Set()).add(name))
  } else if (Array.isArray(value)) {
    for (const element of value) leaves(element, name, out)
  } else if (value instanceof Map) {
    for (const [key, inner] of value) leaves([key, inner], name, out)
  } else if (typeof value === 'object' && value !== null && !Buffer.isBuffer(value)) {
    for (const [inner, part] of Object.entries(value)) leaves(part, inner, out)
  }
  return out
}

/** What tells a value from others: nothing for booleans, nulls, small numbers, record batches. */
function leafText(value: unknown): string | undefined {
  if (Buffer.isBuffer(value)) {
    return value.length > 0 && value.length < 60 ? value.toString('latin1') : undefined
  }
  if (typeof value === 'number' || typeof value === 'bigint') {
    return value > 1000 && value < 2n ** 50n ? String(value) : undefined
  }
  return typeof value === 'string' && value !== '' ? uuidText(value) : undefined
}

/** Both texts of a UUID are one. */
function uuidText(text: string): string {
  if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(text)) return text
  return Buffer.from(text.replaceAll('-', ''), 'hex').toString('base64url')
}

/**
 * What is wrong with `actual`: values of `expected` that are not in it, or that have there the name
 * of another field of `expected`.
 */
export function differences(expected: unknown, actual: unknown): readonly string[] {
  const theirs = leaves(actual)
  const ours = leaves(expected)
  const names = new Set([...ours.values()].flatMap(found => [...found]))
  return [...ours].flatMap(([value, own]) => {
    const found = theirs.get(value)
    if (found === undefined) return [`${[...own].join()} ${value} is missing`]
    if ([...own].some(name => found.has(name))) return []
    const wrong = [...found].filter(name => names.has(name))
    return wrong.map(name => `${[...own].join()} ${value} came out as ${name}`)
  })
}
