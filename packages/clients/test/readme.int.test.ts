// What the README of the clients says is so: names, the example, tests.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import { expect, onTestFinished, test } from 'vitest'
import { exportsOf, namedTests } from '../../../test/support/readme.ts'
import { example } from './readme-example.ts'

const home = new URL('../', import.meta.url)
const readme = readFileSync(new URL('README.md', home), 'utf8')

test('names everything that is public', () => {
  const missing = exportsOf(home).filter(name => !new RegExp(`\\b${name}\\b`).test(readme))
  expect(missing).toEqual([])
})

test('names tests that exist', () => {
  const { named, missing } = namedTests(home, readme)
  expect(named.length).toBeGreaterThan(5)
  expect(missing).toEqual([])
})

test('shows an example that compiles, and gives what it stores', async () => {
  expect(readme).toContain(readFileSync(new URL('test/readme-example.ts', home), 'utf8').trim())
  const folder = mkdtempSync(join(tmpdir(), 'millrace-readme-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const groupSettings = { 'group.initial.rebalance.delay.ms': 0 }
  const log = await openEngine({ folder, groupSettings })
  onTestFinished(() => log.close())
  expect(await example(log)).toEqual(['a-17 {"total":12}'])
})
