// The examples are to be read in one sitting: each has a page that says what to look at, tests that
// teach, and no long file.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { checkout } from '../scripts/peers/cache.ts'

const folder = join(checkout, 'examples')
const examples = ['loans', 'orders', 'trading', 'users']
const linesMax = 300

it.each(examples)('%s has an application, a page, tests, and no file of 300 lines', name => {
  const files = readdirSync(join(folder, name))
  expect(files).toContain('application.ts')
  expect(files.some(file => file.endsWith('.unit.test.ts'))).toBe(true)
  for (const file of files) {
    const lines = readFileSync(join(folder, name, file), 'utf8').split('\n').length
    expect(lines, file).toBeLessThan(linesMax)
  }
})

it.each(examples)('the page of %s names only files that are there', name => {
  const page = readFileSync(join(folder, name, 'README.md'), 'utf8')
  const named = [...page.matchAll(/`([\w-]+(?:\.[\w-]+)*\.ts)`/g)].map(match => match[1] ?? '')
  expect(named.length).toBeGreaterThan(1)
  for (const file of named) expect(existsSync(join(folder, name, file)), file).toBe(true)
})
