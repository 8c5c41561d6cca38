// What the README of base says is so: names.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { exportsOf } from '../../../test/support/readme.ts'

const home = new URL('../', import.meta.url)
const readme = readFileSync(new URL('README.md', home), 'utf8')

test('names everything that is public', () => {
  const missing = exportsOf(home).filter(name => !new RegExp(`\\b${name}\\b`).test(readme))
  expect(missing).toEqual([])
})
