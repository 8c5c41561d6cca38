// The tests that the README of the protocol names exist.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { namedTests } from '../../../test/support/readme.ts'

const here = new URL('../', import.meta.url)

test('the tests that it names exist', () => {
  const { named, missing } = namedTests(here, readFileSync(new URL('README.md', here), 'utf8'))
  expect(named.length).toBeGreaterThan(2)
  expect(missing).toEqual([])
})
