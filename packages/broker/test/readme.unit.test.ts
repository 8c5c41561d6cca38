// What the README of the broker says is so: names, APIs, tests.
import { readFileSync } from 'node:fs'
import { APIS } from '@millrace/protocol'
import { expect, test } from 'vitest'
import { exportsOf, namedTests } from '../../../test/support/readme.ts'

const here = new URL('../', import.meta.url)
const readme = readFileSync(new URL('README.md', here), 'utf8')

test('everything that the broker exports is named', () => {
  for (const name of exportsOf(here)) expect(readme, name).toContain(name)
})

test('every API is listed with its versions, and no other', () => {
  const rows = [...APIS.values()].map(
    ({ key, name, versions: [first, last] }) => `| ${key} | ${name} | ${first} to ${last} |`,
  )
  expect(readme).toContain(rows.join('\n'))
  expect(readme.match(/^\| \d+ \| [A-Z]\w+ \| \d+ to \d+ \|$/gm)).toEqual(rows)
})

test('the tests that it names exist', () => {
  const { named, missing } = namedTests(here, readme)
  expect(named.length).toBeGreaterThan(5)
  expect(missing).toEqual([])
})
