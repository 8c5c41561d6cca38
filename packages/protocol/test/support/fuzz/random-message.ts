/**
 * Makes random messages from their grammar: what the interface of `messages/` allows, edges first.
 *
 * A message holds defaults where the version has no field, so that what is decoded from its bytes
 * equals it. Arrays are short, and shorter the deeper they lie, so that a message stays small.
 */
import { type Field, type FieldType, inRange } from '../../../src/codec/grammar.ts'
import type { UnknownTag } from '../../../src/codec/types.ts'
import type { Random } from './random.ts'

/** How to make messages. */
export type RandomMessageOptions = {
  readonly version: number
  readonly flexible: boolean
  /** Gives a field another value than a random one of its type; undefined: does not. */
  readonly override?: (field: Field) => unknown
}

const UNKNOWN_TAG_FIRST = 100
const ELEMENTS_MAX = 4
const TEXTS = [
  '',
  'a',
  'loans',
  'grüße',
  '日本語',
  '🦭',
  'topic.with-all_3',
  'x'.repeat(200),
] as const

/** A random message. */
export function randomMessage(
  random: Random,
  fields: readonly Field[],
  options: RandomMessageOptions,
  depth = 0,
): Record<string, unknown> {
  const message: Record<string, unknown> = {}
  for (const field of fields) {
    message[field.name] = inRange(field.versions, options.version)
      ? fieldValue(random, field, options, depth)
      : field.defaultValue
  }
  if (options.flexible && random.oneIn(8)) message['unknownTags'] = unknownTags(random)
  return message
}

function unknownTags(random: Random): readonly UnknownTag[] {
  let tag = UNKNOWN_TAG_FIRST
  return Array.from({ length: 1 + random.below(3) }, () => {
    tag += 1 + random.below(1000)
    return { tag, data: random.bytes(random.below(20)) }
  })
}

function fieldValue(
  random: Random,
  field: Field,
  options: RandomMessageOptions,
  depth: number,
): unknown {
  if (field.tag !== undefined && random.oneIn(2)) return field.defaultValue
  const given = options.override?.(field)
  if (given !== undefined) return given
  if (inRange(field.nullable, options.version) && random.oneIn(4)) return null
  return typeValue(random, field.type, options, depth)
}

function typeValue(
  random: Random,
  type: FieldType,
  options: RandomMessageOptions,
  depth: number,
): unknown {
  switch (type.kind) {
    case 'bool':
      return random.oneIn(2)
    case 'i8':
      return random.pick([0, 1, -1, 127, -128, random.below(256) - 128])
    case 'i16':
      return random.pick([0, 1, -1, 32_767, -32_768, random.below(65_536) - 32_768])
    case 'u16':
      return random.pick([0, 1, 32_767, 32_768, 65_535, random.below(65_536)])
    case 'i32':
      return random.pick([0, 1, -1, 0x7fff_ffff, -0x8000_0000, random.bits() | 0])
    case 'i64':
      return int64(random)
    case 'uuid':
      return random.bytes(16).toString('base64url')
    case 'str':
      return random.pick(TEXTS)
    case 'bytes':
    case 'records':
      return random.bytes(random.pick([0, 1, 60, 127, 128, 300, 2000]))
    case 'array': {
      const length = random.below(Math.max(2, ELEMENTS_MAX - depth))
      return Array.from({ length }, () => typeValue(random, type.element, options, depth + 1))
    }
    case 'struct':
      return randomMessage(random, type.fields, options, depth)
  }
}

function int64(random: Random): number {
  const large = (random.bits() & 0x1f_ffff) * 0x1_0000_0000 + random.bits()
  const max = Number.MAX_SAFE_INTEGER
  return random.pick([0, 1, -1, max, -max, 0xffff_ffff, -0x1_0000_0000, large, -large])
}
