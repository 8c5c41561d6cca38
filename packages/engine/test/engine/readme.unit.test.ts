// What the README of the engine says is so: names, settings, tests.
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { exportsOf, namedTests } from '../../../../test/support/readme.ts'

const home = new URL('../../', import.meta.url)
const readme = readFileSync(new URL('README.md', home), 'utf8')

test('names everything that is public', () => {
  const missing = exportsOf(home).filter(name => !new RegExp(`\\b${name}\\b`).test(readme))
  expect(missing).toEqual([])
})

test('names tests that exist', () => {
  const { named, missing } = namedTests(home, readme)
  expect(named.length).toBeGreaterThan(10)
  // Kinds of faults that the listener, the node or the command hold are listed here, too.
  const elsewhere = (path: string): boolean =>
    ['broker', 'millrace', 'cli'].some(name =>
      existsSync(new URL(`../${name}/test/${path}.test.ts`, home)),
    )
  expect(missing.filter(path => !elsewhere(path))).toEqual([])
})
