// Differences of JSON name each place that changed, came or went, and nothing else.
import { expect, test } from 'vitest'
import { jsonDifferences } from '../../src/text/json-differences.ts'

test('equal values differ nowhere', () => {
  expect(jsonDifferences({ a: [1, { b: null }] }, { a: [1, { b: null }] })).toEqual([])
})

test('each place that changed, came or went is named by its path', () => {
  const before = { stage: 'new', offers: [{ rate: 1 }, { rate: 2 }], gone: true }
  const after = { stage: 'open', offers: [{ rate: 1 }, { rate: 3 }, { rate: 4 }], came: null }
  expect(jsonDifferences(before, after)).toEqual([
    { path: 'stage', before: 'new', after: 'open' },
    { path: 'offers[1].rate', before: 2, after: 3 },
    { path: 'offers[2]', before: undefined, after: { rate: 4 } },
    { path: 'gone', before: true, after: undefined },
    { path: 'came', before: undefined, after: null },
  ])
})

test('another kind of value is one difference, not one for each field', () => {
  expect(jsonDifferences({ a: { b: 1 } }, { a: [1] })).toEqual([
    { path: 'a', before: { b: 1 }, after: [1] },
  ])
  expect(jsonDifferences(1, null)).toEqual([{ path: '', before: 1, after: null }])
})
