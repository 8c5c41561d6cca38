// What the README of the Kafka client says is so: names, settings, tests.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { exportsOf, namedTests, settingRows } from '../../../test/support/readme.ts'
import { CLIENT_SETTINGS } from '../src/index.ts'

const here = new URL('../', import.meta.url)
const readme = readFileSync(new URL('README.md', here), 'utf8')

test('everything that the client exports is named', () => {
  for (const name of exportsOf(here)) expect(readme, name).toContain(name)
})

test('every setting is listed with its default and its bounds', () => {
  for (const row of settingRows(CLIENT_SETTINGS)) expect(readme).toContain(row)
})

test('the tests that it names exist', () => {
  const { named, missing } = namedTests(here, readme)
  expect(named.length).toBeGreaterThan(2)
  expect(missing).toEqual([])
})
