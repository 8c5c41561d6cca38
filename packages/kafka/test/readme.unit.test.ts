// What the README of the Kafka client says is so: names, tests.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { exportsOf, namedTests } from '../../../test/support/readme.ts'

const here = new URL('../', import.meta.url)
const readme = readFileSync(new URL('README.md', here), 'utf8')

test('everything that the client exports is named', () => {
  for (const name of exportsOf(here)) expect(readme, name).toContain(name)
})

test('the tests that it names exist', () => {
  const { named, missing } = namedTests(here, readme)
  expect(named.length).toBeGreaterThan(2)
  expect(missing).toEqual([])
})
