/**
 * Reads the grammar of a message: the text that opens each file of `messages/`.
 *
 *   message  := field*
 *   field    := name ':' type modifier*
 *   type     := 'bool' | 'i8' | 'i16' | 'u16' | 'i32' | 'i64' | 'uuid' | 'str' | 'bytes' | 'records'
 *             | '[]' type | '{' field* '}'
 *   modifier := '[' versions ']'     the versions that have the field; without: all of its struct
 *             | '?' versions?        the versions in which it may be null; alone: all
 *             | '<tag' number '>'    a tagged field
 *             | '=' literal          the default; without: null where `?` stands alone, else the
 *                                    type's zero
 *   versions := '3' | '3+' | '3-5'
 *   literal  := integer | 'true' | 'min' | 'max' (of the type)
 *
 * Fields stand in wire order. A fault in a grammar is a fault of the program: a plain `Error`.
 */
import { ZERO_UUID } from './types.ts'

/** Versions from `from` to `to`, both included; `to` may be Infinity. */
export type VersionRange = { readonly from: number; readonly to: number }

const PRIMITIVES = [
  'bool',
  'i8',
  'i16',
  'u16',
  'i32',
  'i64',
  'uuid',
  'str',
  'bytes',
  'records',
] as const

/** A type without parts. */
export type PrimitiveName = (typeof PRIMITIVES)[number]

/** The type of a field. */
export type FieldType =
  | { readonly kind: PrimitiveName }
  | { readonly kind: 'array'; readonly element: FieldType }
  | { readonly kind: 'struct'; readonly fields: readonly Field[] }

/** A field as its grammar states it. */
export type Field = {
  readonly name: string
  readonly type: FieldType
  readonly versions: VersionRange
  /** Versions in which it may be null; undefined: none. */
  readonly nullable: VersionRange | undefined
  readonly tag: number | undefined
  /** What it is where it is absent. */
  readonly defaultValue: unknown
  /** Whether an encoder may leave it out: it has versions, a tag or a default of its own. */
  readonly optional: boolean
}

const ALWAYS: VersionRange = { from: 0, to: Number.POSITIVE_INFINITY }

/** Whether `version` lies in `range`. */
export function inRange(range: VersionRange | undefined, version: number): boolean {
  return range !== undefined && version >= range.from && version <= range.to
}

/** Parses the grammar of a message into its fields. */
export function parseGrammar(text: string): readonly Field[] {
  const source = new GrammarText(text)
  const fields = parseFields(source)
  source.expectEnd()
  return fields
}

/** The text and a position in it. */
class GrammarText {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** What `pattern` (sticky) matches here, or undefined. */
  match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found === null) return undefined
    this.#at += found[0].length
    return found
  }

  expectEnd(): void {
    this.match(/\s*/y)
    if (this.#at !== this.#text.length) this.fail('a field')
  }

  fail(wanted: string): never {
    const here = this.#text.slice(this.#at, this.#at + 20)
    throw new Error(`grammar: ${wanted} expected at "${here}" in: ${this.#text}`)
  }
}

function parseFields(source: GrammarText): readonly Field[] {
  const fields: Field[] = []
  for (;;) {
    const name = source.match(/\s*([a-z][A-Za-z0-9]*):/y)?.[1]
    if (name === undefined) return fields
    fields.push(parseModifiers(source, name, parseType(source)))
  }
}

function parseType(source: GrammarText): FieldType {
  if (source.match(/\[\]/y) !== undefined) return { kind: 'array', element: parseType(source) }
  if (source.match(/\{/y) !== undefined) {
    const fields = parseFields(source)
    if (source.match(/\s*\}/y) === undefined) source.fail('"}"')
    return { kind: 'struct', fields }
  }
  const word = source.match(/[a-z0-9]+/y)?.[0]
  const kind = PRIMITIVES.find(name => name === word)
  return kind === undefined ? source.fail('a type') : { kind }
}

function parseModifiers(source: GrammarText, name: string, type: FieldType): Field {
  let versions: VersionRange | undefined
  let nullable: VersionRange | undefined
  let tag: number | undefined
  let literal: string | undefined
  for (;;) {
    if (source.match(/\[/y) !== undefined) {
      versions = parseVersions(source) ?? source.fail('versions')
      if (source.match(/\]/y) === undefined) source.fail('"]"')
    } else if (source.match(/\?/y) !== undefined) {
      nullable = parseVersions(source) ?? ALWAYS
    } else {
      const found = source.match(/<tag(\d+)>|=(-?\d+|true|min|max)/y)
      if (found === undefined) break
      if (found[1] !== undefined) tag = Number(found[1])
      if (found[2] !== undefined) literal = found[2]
    }
  }
  return {
    name,
    type,
    versions: versions ?? ALWAYS,
    nullable,
    tag,
    defaultValue:
      literal !== undefined ? literalValue(literal, type) : nullable === ALWAYS ? null : zero(type),
    optional: versions !== undefined || tag !== undefined || literal !== undefined,
  }
}

function parseVersions(source: GrammarText): VersionRange | undefined {
  const found = source.match(/(\d+)(?:(\+)|-(\d+))?/y)
  if (found === undefined) return undefined
  const from = Number(found[1])
  if (found[2] !== undefined) return { from, to: Number.POSITIVE_INFINITY }
  return { from, to: found[3] === undefined ? from : Number(found[3]) }
}

const EXTREMES: Readonly<Record<string, readonly [min: number, max: number]>> = {
  i8: [-0x80, 0x7f],
  i16: [-0x8000, 0x7fff],
  i32: [-0x8000_0000, 0x7fff_ffff],
}

function literalValue(literal: string, type: FieldType): unknown {
  if (literal === 'true') return true
  if (literal !== 'min' && literal !== 'max') return Number(literal)
  const extreme = EXTREMES[type.kind]?.[literal === 'min' ? 0 : 1]
  if (extreme === undefined) throw new Error(`grammar: no ${literal} of ${type.kind}`)
  return extreme
}

/** What a field of this type is when nothing else is said. Frozen: it is shared. */
function zero(type: FieldType): unknown {
  switch (type.kind) {
    case 'bool':
      return false
    case 'str':
      return ''
    case 'uuid':
      return ZERO_UUID
    case 'bytes':
      return Buffer.alloc(0)
    case 'records':
      return null
    case 'array':
      return Object.freeze([])
    case 'struct':
      return Object.freeze(
        Object.fromEntries(type.fields.map(field => [field.name, field.defaultValue])),
      )
    default:
      return 0
  }
}
