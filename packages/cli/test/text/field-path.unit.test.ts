import { describe, expect, test } from 'vitest'
import { keyText, valueAt } from '../../src/text/field-path.ts'

describe('a dotted path', () => {
  const value = { id: 'a', customer: { id: 7 }, items: [{ sku: 'x' }], 'a.b': 1, c: { 'd.e': 2 } }

  test('finds plain, nested, indexed and dotted names', () => {
    expect(valueAt(value, 'id')).toBe('a')
    expect(valueAt(value, 'customer.id')).toBe(7)
    expect(valueAt(value, 'items.0.sku')).toBe('x')
    expect(valueAt(value, 'a.b')).toBe(1)
    expect(valueAt(value, 'c.d.e')).toBe(2)
  })

  test('finds nothing where there is nothing, inherited names included', () => {
    expect(valueAt(value, 'absent')).toBeUndefined()
    expect(valueAt(value, 'id.length')).toBeUndefined()
    expect(valueAt(value, 'constructor')).toBeUndefined()
    expect(valueAt(null, 'id')).toBeUndefined()
    expect(valueAt('text', 'length')).toBeUndefined()
  })

  test('becomes a key: text as it is, other values as JSON, null and absent as none', () => {
    expect(keyText('a"b')).toBe('a"b')
    expect(keyText(7)).toBe('7')
    expect(keyText(false)).toBe('false')
    expect(keyText({ a: 1 })).toBe('{"a":1}')
    expect(keyText(null)).toBeNull()
    expect(keyText(undefined)).toBeNull()
  })
})
