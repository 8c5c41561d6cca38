/**
 * Compiles a grammar into a decoder for one version: closures that know their version, so that
 * nothing about versions is decided while bytes are read.
 *
 * A decoded struct has all fields of its grammar, always in the same order, so that objects of one
 * struct share one hidden class; fields that the version does not have hold their default.
 */
import { ProtocolError } from '../errors.ts'
import { type Field, type FieldType, inRange } from './grammar.ts'
import type { Reader } from './reader.ts'
import type { UnknownTag } from './types.ts'

/** A decoded struct, before its type is known. */
export type Struct = Record<string, unknown>

/** Reads one value. */
export type Read<Value> = (reader: Reader) => Value

/** Compiles the decoder of a struct (or of a whole message) for one version. */
export function compileDecoder(
  fields: readonly Field[],
  version: number,
  flexible: boolean,
): Read<Struct> {
  const names = fields.map(field => field.name)
  const present = fields.filter(field => inRange(field.versions, version))
  const reads = fields.map(field => {
    const absent = field.tag !== undefined || !present.includes(field)
    if (!absent) return fieldReader(field, version, flexible)
    const value = field.defaultValue
    return () => value
  })
  const count = names.length
  const readFields: Read<Struct> = reader => {
    const struct: Struct = {}
    for (let index = 0; index < count; index += 1) {
      struct[names[index] as string] = (reads[index] as Read<unknown>)(reader)
    }
    return struct
  }
  if (!flexible) return readFields
  const tagged = new Map<number, TaggedRead>()
  for (const field of present) {
    if (field.tag === undefined) continue
    tagged.set(field.tag, { name: field.name, read: fieldReader(field, version, true) })
  }
  return reader => {
    const struct = readFields(reader)
    const tagCount = reader.tagCount()
    if (tagCount > 0) readTags(reader, tagCount, tagged, struct)
    return struct
  }
}

type TaggedRead = { readonly name: string; readonly read: Read<unknown> }

function readTags(
  reader: Reader,
  tagCount: number,
  tagged: ReadonlyMap<number, TaggedRead>,
  struct: Struct,
): void {
  const unknownTags: UnknownTag[] = []
  let before = -1
  for (let index = 0; index < tagCount; index += 1) {
    const tag = reader.uvarint()
    if (tag <= before) throw new ProtocolError('BAD_TAG', `tag ${tag} behind tag ${before}`)
    before = tag
    const size = reader.uvarint()
    const known = tagged.get(tag)
    if (known === undefined) {
      unknownTags.push({ tag, data: reader.unknownTag(size) })
      continue
    }
    const end = reader.at + size
    struct[known.name] = known.read(reader)
    if (reader.at !== end) throw new ProtocolError('BAD_TAG', `tag ${tag} of ${size} bytes`)
  }
  if (unknownTags.length > 0) struct['unknownTags'] = unknownTags
}

/** Compiles the decoder of a bare tag section, as headers have it. */
export function readUnknownTags(reader: Reader): readonly UnknownTag[] {
  const tagCount = reader.tagCount()
  if (tagCount === 0) return []
  const struct: { unknownTags?: readonly UnknownTag[] } & Struct = {}
  readTags(reader, tagCount, new Map(), struct)
  return struct.unknownTags ?? []
}

function fieldReader(field: Field, version: number, flexible: boolean): Read<unknown> {
  const { type } = field
  const nullable = inRange(field.nullable, version)
  if (type.kind === 'struct') {
    const read = compileDecoder(type.fields, version, flexible)
    // The presence byte: -1, and any negative, is null.
    return nullable ? reader => (reader.i8() < 0 ? null : read(reader)) : read
  }
  return valueReader(type, version, flexible, nullable)
}

function valueReader(
  type: FieldType,
  version: number,
  flexible: boolean,
  nullable: boolean,
): Read<unknown> {
  switch (type.kind) {
    case 'bool':
      return reader => reader.bool()
    case 'i8':
      return reader => reader.i8()
    case 'i16':
      return reader => reader.i16()
    case 'u16':
      return reader => reader.u16()
    case 'i32':
      return reader => reader.i32()
    case 'i64':
      return reader => reader.i64()
    case 'uuid':
      return reader => reader.uuid()
    case 'str':
      return stringReader(flexible, nullable)
    case 'bytes':
    case 'records':
      return bytesReader(flexible, nullable)
    case 'array':
      return arrayReader(type.element, version, flexible, nullable)
    case 'struct':
      return compileDecoder(type.fields, version, flexible)
  }
}

function unexpectedNull(reader: Reader): never {
  throw new ProtocolError('UNEXPECTED_NULL', `before byte ${reader.at}`)
}

function stringReader(flexible: boolean, nullable: boolean): Read<string | null> {
  const nothing = nullable ? () => null : unexpectedNull
  if (flexible) {
    return reader => {
      const length = reader.compactLength()
      return length < 0 ? nothing(reader) : reader.text(length)
    }
  }
  return reader => {
    const length = reader.length16()
    return length < 0 ? nothing(reader) : reader.text(length)
  }
}

function bytesReader(flexible: boolean, nullable: boolean): Read<Buffer | null> {
  const nothing = nullable ? () => null : unexpectedNull
  if (flexible) {
    return reader => {
      const length = reader.compactLength()
      return length < 0 ? nothing(reader) : reader.view(length)
    }
  }
  return reader => {
    const length = reader.length32()
    return length < 0 ? nothing(reader) : reader.view(length)
  }
}

function arrayReader(
  element: FieldType,
  version: number,
  flexible: boolean,
  nullable: boolean,
): Read<readonly unknown[] | null> {
  const nothing = nullable ? () => null : unexpectedNull
  const read = valueReader(element, version, flexible, false)
  const elementBytesMin = bytesMin(element, version, flexible)
  return reader => {
    const count = flexible ? reader.compactLength() : reader.length32()
    if (count < 0) return nothing(reader)
    reader.claimElements(count, elementBytesMin)
    const elements: unknown[] = []
    for (let index = 0; index < count; index += 1) elements.push(read(reader))
    return elements
  }
}

const FIXED_BYTES: Readonly<Record<string, number>> = {
  bool: 1,
  i8: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  i64: 8,
  uuid: 16,
}

/** The fewest bytes that a value can take; at least 1 for everything that is in an array. */
function bytesMin(type: FieldType, version: number, flexible: boolean): number {
  if (type.kind === 'struct') {
    let sum = flexible ? 1 : 0
    for (const field of type.fields) {
      if (field.tag !== undefined || !inRange(field.versions, version)) continue
      const nullableStruct = field.type.kind === 'struct' && inRange(field.nullable, version)
      sum += nullableStruct ? 1 : bytesMin(field.type, version, flexible)
    }
    return sum
  }
  const fixed = FIXED_BYTES[type.kind]
  if (fixed !== undefined) return fixed
  if (flexible) return 1
  return type.kind === 'str' ? 2 : 4
}
