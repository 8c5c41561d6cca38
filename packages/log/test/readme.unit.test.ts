// What the README of log says is so: names, tests.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { exportsOf, namedTests } from '../../../test/support/readme.ts'

const home = new URL('../', import.meta.url)
const readme = readFileSync(new URL('README.md', home), 'utf8')

test('names everything that is public', () => {
  const missing = exportsOf(home).filter(name => !new RegExp(`\\b${name}\\b`).test(readme))
  expect(missing).toEqual([])
})

test('names tests that exist', () => {
  const { named, missing } = namedTests(home, readme)
  expect(named.length).toBeGreaterThan(4)
  expect(missing).toEqual([])
})
