import { CommandError } from 'millrace/errors'
import { describe, expect, test } from 'vitest'
import { BadLineError, lineReader } from '../../src/commands/line-reader.ts'

const read = (options: Parameters<typeof lineReader>[0], text: string) => {
  const { key, value } = lineReader(options)(Buffer.from(text))
  return [key === null ? null : key.toString(), value === null ? null : value.toString()]
}

describe('a line', () => {
  test('is a value without a key, whatever is in it', () => {
    expect(read({}, 'not json')).toEqual([null, 'not json'])
  })

  test('gives its key from a field, and its value as it was written', () => {
    const line = '{ "a" : {"id": 1.0}, "b":"\\u0041" }'
    expect(read({ key: 'a.id' }, line)).toEqual(['1', line])
    expect(read({ key: 'b' }, line)).toEqual(['A', line])
  })

  test('gives its key before the first separator', () => {
    expect(read({ keySeparator: '::' }, 'k::v::w')).toEqual(['k', 'v::w'])
    expect(read({ keySeparator: ':' }, ':v')).toEqual(['', 'v'])
  })

  test('can stand for null', () => {
    expect(read({ keySeparator: ':', nullValue: 'NULL' }, 'k:NULL')).toEqual(['k', null])
    expect(read({ keySeparator: ':', nullValue: '' }, 'k:')).toEqual(['k', null])
  })

  test.each([
    [{ key: 'id' }, '{"id":', /not JSON: \{"id":/],
    [{ key: 'id' }, '{"other":1}', /no field id in/],
    [{ key: 'id' }, '{"id":null}', /no field id in/],
    [{ key: 'id' }, '"text"', /no field id in/],
    [{ keySeparator: '\t' }, 'no tab', /no "\\t" in no tab/],
    [{ input: 'ndjson' as const }, 'nope', /not JSON/],
    [{ key: 'id' }, 'x'.repeat(1_000), /not JSON: x{60}\.\.\.$/],
  ])('is bad under %j when it is %s', (options, text, message) => {
    expect(() => read(options, text)).toThrow(BadLineError)
    expect(() => read(options, text)).toThrow(message)
  })
})

describe('options that contradict each other', () => {
  test.each([
    { key: 'id', keySeparator: ':' },
    { key: 'id', input: 'lines' as const },
    { keySeparator: '' },
  ])('%j are refused', options => {
    expect(() => lineReader(options)).toThrow(CommandError)
  })
})
