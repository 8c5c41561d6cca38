// What the README says is so: names, settings, errors, tests, and the example.
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import { expect, onTestFinished, test } from 'vitest'
import { example } from './readme-example.ts'

const textOf = (path: string): string =>
  readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const readme = textOf('README.md')

test('names everything that is public', () => {
  const braces = [...textOf('src/index.ts').matchAll(/export (?:type )?\{([^}]*)\}/g)]
    .flatMap(([, names = '']) => names.split(','))
    .map(name => name.replace('type ', '').trim())
  const port = [...textOf('src/port.ts').matchAll(/^export (?:type|interface|const) (\w+)/gm)].map(
    ([, name = '']) => name,
  )
  const exported = [...braces, ...port].filter(name => name !== '')
  expect(exported.length).toBeGreaterThan(50)
  expect(exported.filter(name => !new RegExp(`\\b${name}\\b`).test(readme))).toEqual([])
})

test('names tests that exist', () => {
  const named = [...readme.matchAll(/`([a-z/-]+\.(?:unit|sim|int|e2e))`/g)].map(([, path]) => path)
  expect(named.length).toBeGreaterThan(10)
  const missing = named.filter(path => !existsSync(new URL(`${path}.test.ts`, import.meta.url)))
  expect(missing).toEqual([])
})

test('shows an example that compiles, and gives what it stores', async () => {
  expect(readme).toContain(textOf('test/readme-example.ts').trim())
  const folder = await mkdtemp(join(tmpdir(), 'readme-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const log = await openEngine({ folder: join(folder, 'log') })
  onTestFinished(() => log.close())
  expect(await example(log, join(folder, 'index'))).toBe(2)
})
