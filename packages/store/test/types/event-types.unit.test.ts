import type { CategoryOptions, EventTypeOptions, Json, StoreErrorCode } from '@millrace/store'
import { describe, expect, test } from 'vitest'
import { EventTypes } from '../../src/types/event-types.ts'

/** A Standard Schema from a plain function. */
const schema = (validate: (value: unknown) => unknown) => ({
  '~standard': { version: 1 as const, vendor: 'test', validate },
})

const types = (events: Record<string, EventTypeOptions>, closed = false): EventTypes =>
  new EventTypes('users', { events, closed })

const failure = (work: () => unknown): { code: StoreErrorCode; message: string } => {
  try {
    work()
  } catch (error) {
    return error as { code: StoreErrorCode; message: string }
  }
  throw new Error('it did not throw')
}

describe('what is written', () => {
  test('is what the schema made of the data', () => {
    const add = schema(value => ({ value: { ...(value as object), note: '' } }))
    expect(types({ Placed: { schema: add } }).validate('Placed', { total: 1 })).toEqual({
      total: 1,
      note: '',
    })
  })

  test('passes as it is when its type is not named', () => {
    expect(types({}).validate('Anything', [1, { a: null }])).toEqual([1, { a: null }])
  })

  test('is refused with type, category and path when the schema has issues', () => {
    const issues = [{ message: 'expected number', path: ['items', 3, { key: 'unit price' }] }]
    const it = failure(() =>
      types({ Placed: { schema: schema(() => ({ issues })) } }).validate('Placed', {}),
    )
    expect(it.code).toBe('INVALID_EVENT')
    expect(it.message).toBe(
      'event type "Placed" of category users: data.items[3]["unit price"]: expected number',
    )
  })

  test('names at most three issues and counts the rest', () => {
    const issues = Array.from({ length: 5 }, (_, i) => ({ message: `no ${i}` }))
    const it = failure(() => types({ A: { schema: schema(() => ({ issues })) } }).validate('A', {}))
    expect(it.message).toContain('data: no 2; and 2 more')
  })

  test('is refused when the schema is asynchronous, and its failure ends nothing', async () => {
    const late = schema(() => Promise.reject(new Error('late')))
    const it = failure(() => types({ A: { schema: late } }).validate('A', {}))
    expect(it).toMatchObject({ code: 'BAD_ARGUMENT' })
    expect(it.message).toContain('asynchronous')
    await new Promise(resolve => setImmediate(resolve))
  })

  test('is refused when the schema throws or gives nothing', () => {
    const thrown = schema(() => {
      throw new Error('boom')
    })
    expect(failure(() => types({ A: { schema: thrown } }).validate('A', {})).message).toContain(
      'its schema threw: boom',
    )
    const nothing = schema(() => undefined)
    expect(failure(() => types({ A: { schema: nothing } }).validate('A', {})).code).toBe(
      'INVALID_EVENT',
    )
  })

  test.each<[string, unknown, string]>([
    ['a date', { at: new Date(0) }, 'data.at is a Date, not a plain object'],
    ['a map deep inside', { a: [{ b: new Map() }] }, 'data.a[0].b is a Map'],
    ['not a number', { n: Number.NaN }, 'data.n is NaN'],
    ['infinity in a list', [1, Number.POSITIVE_INFINITY], 'data[1] is Infinity'],
    ['a big integer', { n: 1n }, 'data.n is a bigint'],
    ['a function', { f: () => 1 }, 'data.f is a function'],
    ['nothing', undefined, 'data is undefined'],
    ['a hole in a list', [undefined], 'data[0] is undefined'],
  ])('is refused when it holds what JSON would change: %s', (_, data, message) => {
    const it = failure(() => types({}).validate('A', data))
    expect(it.code).toBe('INVALID_EVENT')
    expect(it.message).toContain(message)
  })

  test('may leave out an optional field', () => {
    expect(JSON.stringify(types({}).validate('A', { a: undefined, b: 1 }))).toBe('{"b":1}')
  })

  test('may be nested a hundred deep and not deeper, rings included', () => {
    let deep: Json = 1
    for (let i = 0; i < 100; i++) deep = [deep]
    expect(types({}).validate('A', deep)).toBe(deep)
    expect(failure(() => types({}).validate('A', [deep])).message).toContain('deeper than 100')
    const ring: Record<string, unknown> = {}
    ring['self'] = ring
    expect(failure(() => types({}).validate('A', ring)).code).toBe('INVALID_EVENT')
  })

  test('is refused in a closed category when its type is not named, also names of Object', () => {
    const closed = types({ A: {} }, true)
    expect(closed.validate('A', 1)).toBe(1)
    for (const type of ['B', 'constructor', '__proto__']) {
      expect(failure(() => closed.validate(type, 1)).code).toBe('INVALID_EVENT')
    }
  })

  test('is an object where fields are personal', () => {
    const it = types({ A: { personal: { fields: ['name'] } } })
    expect(failure(() => it.validate('A', ['name'])).code).toBe('INVALID_EVENT')
    expect(it.validate('A', { name: 'x' })).toEqual({ name: 'x' })
  })
})

describe('what is read', () => {
  const it = types({
    Moved: {
      upcast: [
        data => ({ ...(data as object), v: 2 }),
        data => ({ ...(data as object), seen: (data as { v: number }).v, v: 3 }),
      ],
    },
  })

  test('goes through each step from its schema version on, in order', () => {
    expect(it.version('Moved')).toBe(3)
    expect(it.upcast('Moved', 1, { v: 1 })).toEqual({ v: 3, seen: 2 })
    expect(it.upcast('Moved', 2, { v: 9 })).toEqual({ v: 3, seen: 9 })
    const present = { v: 3 }
    expect(it.upcast('Moved', 3, present)).toBe(present)
  })

  test('fails when it is newer than the program', () => {
    const error = failure(() => it.upcast('Moved', 4, {}))
    expect(error.code).toBe('NEWER_SCHEMA')
    expect(error.message).toContain('schema version 4, this program knows 3')
  })

  test('passes in an open category and fails in a closed one when its type is unknown', () => {
    expect(it.upcast('Other', 7, { a: 1 })).toEqual({ a: 1 })
    expect(failure(() => types({ A: {} }, true).upcast('Other', 1, {})).code).toBe('NEWER_SCHEMA')
  })

  test('names type and step when a step throws, gives nothing or gives a promise', () => {
    const steps: [(data: Json) => Json, string][] = [
      [
        () => {
          throw new Error('no street')
        },
        'threw: no street',
      ],
      [() => undefined as unknown as Json, 'returned nothing'],
      [(() => Promise.resolve(1)) as unknown as (data: Json) => Json, 'is asynchronous'],
    ]
    for (const [step, why] of steps) {
      const error = failure(() => types({ M: { upcast: [data => data, step] } }).upcast('M', 1, {}))
      expect(error.code).toBe('UPCAST_FAILED')
      expect(error.message).toContain('"M" of category users from schema version 2 to 3')
      expect(error.message).toContain(why)
    }
  })

  test('fails for a schema version that never was', () => {
    for (const version of [0, -1, 1.5, Number.NaN]) {
      expect(failure(() => it.upcast('Moved', version, {})).code).toBe('UPCAST_FAILED')
    }
  })
})

describe('tags', () => {
  test('are computed from the data without its personal fields', () => {
    const it = types({
      A: {
        personal: { fields: ['mail'] },
        tags: data => Object.keys(data as object).map(key => `has:${key}`),
      },
    })
    expect(it.tagsOf('A', { mail: 'x@y', plan: 'free' })).toEqual(['has:plan'])
    expect(it.tagsOf('B', {})).toEqual([])
  })

  test('are bounded: sixteen of 128 bytes, and one more is refused', () => {
    const of = (tags: readonly string[]) => types({ A: { tags: () => tags } }).tagsOf('A', {})
    const sixteen = Array.from({ length: 16 }, (_, i) => `t:${i}`)
    expect(of(sixteen)).toEqual(sixteen)
    expect(of(['x'.repeat(128)])).toHaveLength(1)
    for (const bad of [[...sixteen, 'more'], ['ä'.repeat(65)], [''], [1 as unknown as string]]) {
      expect(failure(() => of(bad)).code).toBe('INVALID_EVENT')
    }
  })
})

describe('the options of a category', () => {
  test.each<[string, CategoryOptions['events'], string]>([
    ['no validator', { A: { schema: {} as never } }, 'Standard Schema'],
    ['a step that is no function', { A: { upcast: ['x' as never] } }, 'functions'],
    ['no personal fields', { A: { personal: { fields: [] } } }, '1 to 64'],
    ['a field that is none', { A: { personal: { fields: ['__proto__'] } } }, 'names of fields'],
    ['a field twice', { A: { personal: { fields: ['a', 'a'] } } }, 'twice'],
    ['a personal subject', { A: { personal: { fields: ['a'], subject: 'a' } } }, 'itself personal'],
    ['tags that are no function', { A: { tags: ['a'] as never } }, 'tags must be a function'],
  ])('are refused with the type named: %s', (_, events, message) => {
    const error = failure(() => new EventTypes('users', events === undefined ? {} : { events }))
    expect(error.code).toBe('BAD_ARGUMENT')
    expect(error.message).toContain('category users')
    expect(error.message).toContain(message)
  })

  test('are refused when a type has no name or one of more than 200 characters', () => {
    expect(types({ ['x'.repeat(200)]: {} }).version('x')).toBe(1)
    for (const name of ['', 'x'.repeat(201)]) {
      expect(failure(() => types({ [name]: {} })).code).toBe('BAD_ARGUMENT')
    }
  })

  test('are refused when a closed category names no type', () => {
    expect(failure(() => new EventTypes('users', { closed: true })).code).toBe('BAD_ARGUMENT')
  })

  test('give a hash that changes with the upcasters alone', () => {
    const step = (data: Json): Json => data
    const a = types({ A: { upcast: [step] }, B: {} }).hash()
    expect(types({ B: { tags: () => [] }, A: { upcast: [step] } }).hash()).toBe(a)
    expect(types({ A: { upcast: [step, step] } }).hash()).not.toBe(a)
    expect(types({ A: { upcast: [() => 1] } }).hash()).not.toBe(a)
    expect(types({ C: { upcast: [step] } }).hash()).not.toBe(a)
  })
})
