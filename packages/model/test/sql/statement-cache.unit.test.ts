// Prepared statements are kept within their bound, and those in use stay.
import { expect, it } from 'vitest'
import { StatementCache } from '../../src/sql/statement-cache.ts'

function counted(max: number) {
  const prepared: string[] = []
  const cache = new StatementCache(max, sql => {
    prepared.push(sql)
    return { sql }
  })
  return { cache, prepared }
}

it('prepares a text once', () => {
  const { cache, prepared } = counted(4)
  const first = cache.get('a')
  expect(cache.get('a')).toBe(first)
  expect(prepared).toEqual(['a'])
})

it('never holds more than its bound', () => {
  const { cache } = counted(10)
  for (let n = 0; n < 1000; n += 1) {
    cache.get(`select ${n}`)
    expect(cache.size).toBeLessThanOrEqual(10)
  }
})

it('keeps what is used among texts that are used once', () => {
  const { cache, prepared } = counted(10)
  for (let n = 0; n < 100; n += 1) {
    cache.get('often')
    cache.get(`once ${n}`)
  }
  expect(prepared.filter(sql => sql === 'often')).toEqual(['often'])
})

it('works with the smallest bound', () => {
  const { cache } = counted(1)
  for (const sql of ['a', 'b', 'a', 'c']) expect(cache.get(sql)).toEqual({ sql })
  expect(cache.size).toBeLessThanOrEqual(2)
})
