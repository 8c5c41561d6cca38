import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  APIS,
  type Decoded,
  type Field,
  type FieldType,
  type HeartbeatRequest,
  type ProducePartition,
  parseGrammar,
} from '../../src/index.ts'

const MESSAGES = new URL('../../src/messages/', import.meta.url)

const TYPES: Readonly<Record<string, string>> = {
  bool: 'boolean',
  i8: 'number',
  i16: 'number',
  u16: 'number',
  i32: 'number',
  i64: 'number',
  uuid: 'string',
  str: 'string',
  bytes: 'Buffer',
  records: 'Records',
}

/** The interfaces in a source text: name, then each property's text by name. */
function interfacesOf(source: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const found = new Map<string, ReadonlyMap<string, string>>()
  for (const [, name, body] of source.matchAll(
    /export interface (\w+) extends Tagged \{([^}]*)\}/g,
  )) {
    const properties = [...(body ?? '').matchAll(/^ {2}readonly (\w+)(\??): (.+)$/gm)]
    found.set(
      name ?? '',
      new Map(properties.map(match => [match[1] ?? '', `${match[2]}: ${match[3]}`])),
    )
  }
  return found
}

/** What an interface must say about a field; `struct` stands in for the name of an interface. */
function declared(field: Field): string {
  const text = (type: FieldType): string => {
    if (type.kind === 'struct') return 'struct'
    if (type.kind === 'array') return `readonly ${text(type.element)}[]`
    return TYPES[type.kind] ?? type.kind
  }
  const orNull = field.nullable !== undefined && field.type.kind !== 'records' ? ' | null' : ''
  return `${field.optional ? '?' : ''}: ${text(field.type)}${orNull}`
}

function structOf(type: FieldType): readonly Field[] | undefined {
  if (type.kind === 'array') return structOf(type.element)
  return type.kind === 'struct' ? type.fields : undefined
}

const kebab = (name: string): string => name.replace(/(?<=.)[A-Z]/g, '-$&').toLowerCase()

describe('the interfaces of each message file', () => {
  for (const api of APIS.values()) {
    test(`${api.name}: exactly the fields of its grammar, in its order, with its types`, () => {
      const interfaces = interfacesOf(
        readFileSync(new URL(`${kebab(api.name)}.ts`, MESSAGES), 'utf8'),
      )
      const visited = new Set<string>()
      const visit = (name: string, fields: readonly Field[]): void => {
        visited.add(name)
        const properties = interfaces.get(name)
        expect(properties && [...properties.keys()], name).toEqual(fields.map(field => field.name))
        for (const field of fields) {
          const text = properties?.get(field.name) ?? ''
          const inner = structOf(field.type)
          const innerName = inner && /(\w+)(\[\])*( \| null)?$/.exec(text)?.[1]
          const expected = declared(field).replace('struct', innerName ?? 'struct')
          expect(text, `${name}.${field.name}`).toBe(expected)
          if (inner !== undefined) visit(innerName ?? '', inner)
        }
      }
      visit(`${api.name}Request`, api.request.fields)
      visit(`${api.name}Response`, api.response.fields)
      expect([...interfaces.keys()].sort()).toEqual([...visited].sort())
    })
  }

  test('decoded have every field, and bytes for records', () => {
    // Compiles or does not: that is the test.
    const heartbeat: Required<Omit<HeartbeatRequest, 'unknownTags'>> =
      {} as Decoded<HeartbeatRequest>
    const records: Buffer | null = ({} as Decoded<ProducePartition>).records
    expect([heartbeat, records]).toBeDefined()
  })
})

describe('the notation', () => {
  test('reads versions, nullability, tags and defaults', () => {
    const [a, b, c, d] = parseGrammar(
      'a:str?2-7[1+] b:[]{ c:i32=min }?<tag3> c:i64=-1 d:bool[8]=true',
    )
    expect(a).toMatchObject({
      versions: { from: 1 },
      nullable: { from: 2, to: 7 },
      defaultValue: '',
    })
    expect(b).toMatchObject({ tag: 3, defaultValue: null, optional: true })
    expect(b && structOf(b.type)?.[0]?.defaultValue).toBe(-2_147_483_648)
    expect(c).toMatchObject({ defaultValue: -1, optional: true })
    expect(d).toMatchObject({ versions: { from: 8, to: 8 }, defaultValue: true })
  })

  test('a fault in a grammar says where it is', () => {
    expect(() => parseGrammar('a:i32 b:i33 c:str')).toThrow(/a type expected/)
    expect(() => parseGrammar('a:{ b:i32')).toThrow(/"}" expected/)
    expect(() => parseGrammar('a:i32[x]')).toThrow(/versions expected/)
    expect(() => parseGrammar('a:i32 ,')).toThrow(/a field expected at ","/)
  })
})
