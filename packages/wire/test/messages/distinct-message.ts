/**
 * Messages in which every value differs from every other, and a way to list the values of any
 * object: so that another implementation can be held against ours without a table of its names.
 */

import { recordBatch } from '../../src/fuzz/batches.ts'
import { Random } from '../../src/fuzz/index.ts'
import { type Field, type FieldType, inRange } from '../../src/messages/index.ts'

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
        .map(field => [field.name, options.fixed?.[field.name] ?? value(field.type)]),
    )
  return struct(fields)
}

/** The values of an object as text, however deep: no booleans, nulls, small or empty ones. */
export function leaves(value: unknown, out: Set<string> = new Set()): Set<string> {
  if (Buffer.isBuffer(value)) {
    // A record batch is parsed by other implementations: its values are theirs.
    if (value.length > 0 && value.length < 60) out.add(value.toString('latin1'))
  } else if (typeof value === 'number' || typeof value === 'bigint') {
    if (value > 1000 && value < 2n ** 50n) out.add(String(value))
  } else if (typeof value === 'string') {
    if (value !== '') out.add(uuidText(value))
  } else if (value instanceof Map) {
    for (const [key, inner] of value) {
      leaves(key, out)
      leaves(inner, out)
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) leaves(inner, out)
  }
  return out
}

/** Both texts of a UUID are one. */
function uuidText(text: string): string {
  if (!/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(text)) return text
  return Buffer.from(text.replaceAll('-', ''), 'hex').toString('base64url')
}

/** What of `expected` is not in `actual`. */
export function missing(expected: unknown, actual: unknown): readonly string[] {
  const there = leaves(actual)
  return [...leaves(expected)].filter(leaf => !there.has(leaf))
}
