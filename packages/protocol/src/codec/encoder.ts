/**
 * Compiles a grammar into an encoder for one version, the mirror of the decoder.
 *
 * A field that the version does not have is not written, whatever it holds. One that may be left
 * out is written with its default; a tagged one that equals its default is not written at all.
 * Unknown tags go out where they came in, in ascending order among the known ones.
 */
import { ProtocolError } from '../errors.ts'
import type { Struct } from './decoder.ts'
import { type Field, type FieldType, inRange } from './grammar.ts'
import type { External, UnknownTag } from './types.ts'
import { Writer } from './writer.ts'

/** Writes one value. */
export type Write<Value> = (writer: Writer, value: Value) => void

/** Writes one value, with pauses. */
export type WriteInSteps<Value> = (writer: Writer, value: Value) => Generator<void, void>

const TAG_BYTES_INITIAL = 64

/** Compiles the encoder of a struct (or of a whole message) for one version. */
export function compileEncoder(
  fields: readonly Field[],
  version: number,
  flexible: boolean,
): Write<Struct> {
  const present = fields.filter(field => inRange(field.versions, version))
  const untagged = present.filter(field => field.tag === undefined)
  const names = untagged.map(field => field.name)
  const writes = untagged.map(field => fieldWriter(field, version, flexible))
  const fallbacks = untagged.map(field => (field.optional ? field.defaultValue : undefined))
  const count = names.length
  const writeFields: Write<Struct> = (writer, struct) => {
    for (let index = 0; index < count; index += 1) {
      const name = names[index] as string
      const given = struct[name]
      const value = given === undefined ? fallbacks[index] : given
      if (value === undefined) throw new ProtocolError('VALUE_OUT_OF_RANGE', `${name} is missing`)
      ;(writes[index] as Write<unknown>)(writer, value)
    }
  }
  if (!flexible) return writeFields
  const tagged = present
    .flatMap(field => (field.tag === undefined ? [] : [{ field, tag: field.tag }]))
    .map(({ field, tag }) => ({ field, tag, write: fieldWriter(field, version, true) }))
  return (writer, struct) => {
    writeFields(writer, struct)
    if (hasTags(struct, tagged)) writeTags(writer, struct, tagged)
    else writer.uvarint(0)
  }
}

/**
 * {@link compileEncoder} with a pause behind each element of an array of structs, and of the arrays of
 * structs within those: what is further in is small, or has been bounded before.
 */
export function compileStepwiseEncoder(
  fields: readonly Field[],
  version: number,
  flexible: boolean,
  depth = 0,
): WriteInSteps<Struct> {
  const present = fields.filter(
    ({ versions, tag }) => inRange(versions, version) && tag === undefined,
  )
  const steps = present.map(field => {
    const { name, type, defaultValue, optional } = field
    const fallback = optional ? defaultValue : undefined
    if (depth < STEPS_DEPTH && type.kind === 'array' && type.element.kind === 'struct') {
      const write = compileStepwiseEncoder(type.element.fields, version, flexible, depth + 1)
      const nullable = inRange(field.nullable, version)
      return { name, fallback, pieces: arrayInSteps(write, flexible, nullable), write: undefined }
    }
    return { name, fallback, pieces: undefined, write: fieldWriter(field, version, flexible) }
  })
  // Behind the fields comes the section of tags, which a struct without fields has alone.
  const tagged = fields.filter(({ tag }) => tag !== undefined)
  const finish = compileEncoder(tagged, version, flexible)
  return function* (writer, struct) {
    for (const { name, fallback, pieces, write } of steps) {
      const given = struct[name]
      const value = given === undefined ? fallback : given
      if (value === undefined) throw new ProtocolError('VALUE_OUT_OF_RANGE', `${name} is missing`)
      if (pieces !== undefined) yield* pieces(writer, value as readonly Struct[] | null)
      else write?.(writer, value)
    }
    finish(writer, struct)
  }
}

/** Messages have topics, and topics partitions. */
const STEPS_DEPTH = 2

function arrayInSteps(
  write: WriteInSteps<Struct>,
  flexible: boolean,
  nullable: boolean,
): WriteInSteps<readonly Struct[] | null> {
  return function* (writer, value) {
    if (value === null && !nullable) unexpectedNull('array')
    const count = value === null ? -1 : value.length
    if (flexible) writer.uvarint(count + 1)
    else writer.i32(count)
    for (const element of value ?? []) {
      yield* write(writer, element)
      yield
    }
  }
}

/** Whether there may be something to write: cheap, because mostly there is not. */
function hasTags(struct: Struct, tagged: readonly TaggedWrite[]): boolean {
  for (const { field } of tagged) if (struct[field.name] !== undefined) return true
  return struct['unknownTags'] !== undefined
}

type TaggedWrite = { readonly field: Field; readonly tag: number; readonly write: Write<unknown> }

function writeTags(writer: Writer, struct: Struct, tagged: readonly TaggedWrite[]): void {
  const sections: { readonly tag: number; readonly put: () => void }[] = []
  for (const { field, tag, write } of tagged) {
    const value = struct[field.name]
    if (value === undefined || isDefault(value, field)) continue
    sections.push({
      tag,
      put: () => {
        const inside = new Writer({ sizePrefix: false, initialBytes: TAG_BYTES_INITIAL })
        write(inside, value)
        const { byteLength, pieces } = inside.finish()
        writer.uvarint(byteLength)
        for (const piece of pieces) writer.bytes(piece)
      },
    })
  }
  for (const { tag, data } of (struct['unknownTags'] ?? []) as readonly UnknownTag[]) {
    if (tagged.some(known => known.tag === tag)) {
      throw new ProtocolError('VALUE_OUT_OF_RANGE', `tag ${tag} is not unknown`)
    }
    sections.push({
      tag,
      put: () => {
        writer.uvarint(data.length)
        writer.bytes(data)
      },
    })
  }
  sections.sort((left, right) => left.tag - right.tag)
  writer.uvarint(sections.length)
  for (const { tag, put } of sections) {
    writer.uvarint(tag)
    put()
  }
}

/** Writes a bare tag section, as headers have it. */
export function writeUnknownTags(writer: Writer, unknownTags: readonly UnknownTag[]): void {
  writeTags(writer, { unknownTags }, [])
}

function isDefault(value: unknown, field: Field): boolean {
  if (value === field.defaultValue) return true
  if (value === null || field.defaultValue === null) return false
  const { type } = field
  if (type.kind === 'array') return (value as readonly unknown[]).length === 0
  if (type.kind === 'bytes') return (value as Buffer).length === 0
  if (type.kind !== 'struct') return false
  const struct = value as Struct
  return (
    struct['unknownTags'] === undefined &&
    type.fields.every(part => {
      const inner = struct[part.name]
      return inner === undefined || isDefault(inner, part)
    })
  )
}

function fieldWriter(field: Field, version: number, flexible: boolean): Write<unknown> {
  const { type } = field
  const nullable = inRange(field.nullable, version)
  if (type.kind !== 'struct') return valueWriter(type, version, flexible, nullable)
  const write = compileEncoder(type.fields, version, flexible)
  return (writer, value) => {
    if (nullable) writer.i8(value === null ? -1 : 1)
    if (value !== null) write(writer, value as Struct)
    else if (!nullable) unexpectedNull(field.name)
  }
}

function unexpectedNull(what: string): never {
  throw new ProtocolError('VALUE_OUT_OF_RANGE', `null as ${what}`)
}

function valueWriter(
  type: FieldType,
  version: number,
  flexible: boolean,
  nullable: boolean,
): Write<unknown> {
  switch (type.kind) {
    case 'bool':
      return (writer, value) => writer.bool(value as boolean)
    case 'i8':
      return (writer, value) => writer.i8(value as number)
    case 'i16':
      return (writer, value) => writer.i16(value as number)
    case 'u16':
      return (writer, value) => writer.u16(value as number)
    case 'i32':
      return (writer, value) => writer.i32(value as number)
    case 'i64':
      return (writer, value) => writer.i64(value as number)
    case 'uuid':
      return (writer, value) => writer.uuid(value as string)
    case 'str':
      return stringWriter(flexible, nullable) as Write<unknown>
    case 'bytes':
    case 'records':
      return bytesWriter(flexible, nullable) as Write<unknown>
    case 'array':
      return arrayWriter(type.element, version, flexible, nullable) as Write<unknown>
    case 'struct':
      return compileEncoder(type.fields, version, flexible) as Write<unknown>
  }
}

function stringWriter(flexible: boolean, nullable: boolean): Write<string | null> {
  if (flexible) {
    return (writer, value) => {
      if (value !== null) writer.compactString(value)
      else if (nullable) writer.uvarint(0)
      else unexpectedNull('str')
    }
  }
  return (writer, value) => {
    if (value !== null) writer.string16(value)
    else if (nullable) writer.i16(-1)
    else unexpectedNull('str')
  }
}

function bytesWriter(flexible: boolean, nullable: boolean): Write<Buffer | External | null> {
  return (writer, value) => {
    if (value === null && !nullable) unexpectedNull('bytes')
    const length = value === null ? -1 : value.byteLength
    if (flexible) writer.uvarint(length + 1)
    else writer.i32(length)
    if (value !== null) writer.bytes(value)
  }
}

function arrayWriter(
  element: FieldType,
  version: number,
  flexible: boolean,
  nullable: boolean,
): Write<readonly unknown[] | null> {
  const write = valueWriter(element, version, flexible, false)
  return (writer, value) => {
    if (value === null && !nullable) unexpectedNull('array')
    const count = value === null ? -1 : value.length
    if (flexible) writer.uvarint(count + 1)
    else writer.i32(count)
    if (value === null) return
    for (let index = 0; index < count; index += 1) write(writer, value[index])
  }
}
