// What the README says is so: names, settings, errors, tests, and the example.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEngine } from '@millrace/engine'
import { expect, onTestFinished, test } from 'vitest'
import { example } from '../types/programs/readme.ts'

const textOf = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const readme = textOf('README.md')

test('names everything that is public', () => {
  const indexes = textOf('src/index.ts') + textOf('src/testing/index.ts')
  const exported = [...indexes.matchAll(/export (?:type )?\{([^}]*)\}/g)]
    .flatMap(([, names = '']) => names.split(','))
    .map(name =>
      name
        .replace('type ', '')
        .replace(/.* as /, '')
        .trim(),
    )
    .filter(name => name !== '')
  expect(exported.length).toBeGreaterThan(80)
  expect(exported.filter(name => !new RegExp(`\\b${name}\\b`).test(readme))).toEqual([])
})

test('names tests that exist', () => {
  const named = [...readme.matchAll(/`([a-z/-]+\.(?:unit|sim|int|e2e))`/g)].map(([, path]) => path)
  expect(named.length).toBeGreaterThan(10)
  const at = (path: string | undefined) => new URL(`../${path}.test.ts`, import.meta.url)
  expect(named.filter(path => !existsSync(at(path)))).toEqual([])
})

test('shows an example that compiles, and gives what it stores', async () => {
  expect(readme).toContain(textOf('test/types/programs/readme.ts').trim())
  const folder = mkdtempSync(join(tmpdir(), 'readme-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const log = await openEngine({ folder: join(folder, 'log') })
  onTestFinished(() => log.close())
  expect(await example(log, join(folder, 'derived'))).toEqual([{ id: '185548', amount: 20_000 }])
  expect(await example(log, null)).toEqual([{ id: '185548', amount: 20_000 }])
})
