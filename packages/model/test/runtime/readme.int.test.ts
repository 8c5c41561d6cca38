// What the README says is so: names, settings, errors, tests, and the example.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Settings } from '@millrace/base'
import { openEngine } from '@millrace/engine'
import { expect, onTestFinished, test } from 'vitest'
import * as model from '../../src/index.ts'
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

test('lists every setting with its default and its bounds', () => {
  const tables = Object.entries(model).filter(([name]) => name.endsWith('_SETTINGS'))
  expect(tables.length).toBe(8)
  for (const [, table] of tables) {
    for (const [key, setting] of Object.entries(table as Settings)) {
      const bounds = setting.type === 'integer' ? `${setting.min} | ${setting.max}` : ' | '
      expect(readme).toContain(`| \`${key}\` | ${setting.default} | ${bounds} | ${setting.doc} |`)
    }
  }
})

test('lists every error with what to do', () => {
  for (const [code, { message, retriable, operator }] of Object.entries(model.MODEL_ERRORS)) {
    const row = `| \`${code}\` | ${message} | ${retriable ? 'yes' : 'no'} | ${operator} |`
    expect(readme).toContain(row)
  }
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
