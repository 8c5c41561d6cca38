// Key-value views on SQLite.
import { expect, it } from 'vitest'
import { openSqlite } from '../../src/sql/index.ts'
import { memoryCache } from '../../src/views/index.ts'
import { keyValueCases } from './support/key-value-cases.ts'

keyValueCases(() => openSqlite({ file: ':memory:' }))

it('a cache in memory keeps its bound, and forgets what was set longest ago', async () => {
  const outside = { clock: { now: () => 0, monotonic: () => 0 } }
  const cache = memoryCache({ outside, settings: { 'view.cache.entries': 3 } })
  for (const key of ['a', 'b', 'c']) await cache.set(key, key, 10)
  await cache.set('a', 'again', 10)
  await cache.set('d', 'd', 10)
  const found = await Promise.all(['a', 'b', 'c', 'd'].map(key => cache.get(key)))
  expect(found).toEqual(['again', undefined, 'c', 'd'])
  await cache.delete('a')
  expect(await cache.get('a')).toBeUndefined()
})
