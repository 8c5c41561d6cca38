import fc from 'fast-check'
import { expect, test } from 'vitest'
import { notJson } from '../../src/define/json.ts'

test('JSON is JSON, and comes back as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      const kept = JSON.parse(JSON.stringify(value))
      return notJson(kept) === undefined
    }),
  )
})

test('what JSON changes is named with its place', () => {
  const bad: [unknown, string][] = [
    [undefined, ': undefined'],
    [1n, ': bigint'],
    [Number.NaN, ': NaN'],
    [{ a: [1, { b: Number.POSITIVE_INFINITY }] }, '.a[1].b: Infinity'],
    [{ a: new Date(0) }, '.a: a Date'],
    [{ a: new Set() }, '.a: a Set'],
    [[undefined], '[0]: undefined'],
    [{ a: () => 1 }, '.a: function'],
    [{ a: new (class Money {})() }, '.a: a Money'],
  ]
  for (const [value, place] of bad) expect(notJson(value)).toBe(place)
  expect(notJson({ a: undefined, b: Object.create(null) })).toBeUndefined()
})
