import { expect, test } from 'vitest'
import { Lru } from '../src/lru.ts'

test('what was not used for longest goes first', () => {
  const lru = new Lru<string, number>(2)
  lru.set('a', 1)
  lru.set('b', 2)
  expect(lru.get('a')).toBe(1)
  lru.set('c', 3)
  expect([lru.get('a'), lru.get('b'), lru.get('c')]).toEqual([1, undefined, 3])
  lru.set('a', 4)
  expect([lru.size, lru.get('a')]).toEqual([2, 4])
})

test('a bound of nothing keeps nothing', () => {
  const lru = new Lru<string, number>(0)
  lru.set('a', 1)
  expect([lru.size, lru.get('a')]).toEqual([0, undefined])
})

test('entries can be taken out by key and by what they hold', () => {
  const lru = new Lru<string, number>(9)
  for (let i = 0; i < 6; i++) lru.set(String(i), i)
  lru.delete('1')
  expect(lru.deleteWhere(value => value % 2 === 0)).toBe(3)
  expect([lru.get('0'), lru.get('1'), lru.get('3'), lru.get('5')]).toEqual([
    undefined,
    undefined,
    3,
    5,
  ])
})
