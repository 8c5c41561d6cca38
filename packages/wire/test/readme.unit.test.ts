// What the README of wire says is so: names, settings, APIs, tests.
import { existsSync, readFileSync } from 'node:fs'
import type { Settings } from '@millrace/log'
import { expect, test } from 'vitest'
import { CLIENT_SETTINGS } from '../src/client/index.ts'
import { WIRE_SETTINGS } from '../src/index.ts'
import { APIS } from '../src/messages/apis.ts'

const textOf = (path: string): string =>
  readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const readme = textOf('README.md')

test('everything that listener and client export is named', () => {
  for (const index of ['src/index.ts', 'src/client/index.ts']) {
    for (const [, names = ''] of textOf(index).matchAll(/export (?:type )?\{([^}]*)\}/g)) {
      for (const name of names.split(',').map(part => part.replace('type ', '').trim())) {
        expect(readme, name).toContain(name)
      }
    }
  }
})

test('every setting is listed with its default and its bounds', () => {
  const tables: readonly Settings[] = [WIRE_SETTINGS, CLIENT_SETTINGS]
  for (const [key, setting] of tables.flatMap(table => Object.entries(table))) {
    const bounds = setting.type === 'integer' ? `${setting.min} | ${setting.max}` : ' | '
    expect(readme).toContain(`| \`${key}\` | ${setting.default} | ${bounds} | ${setting.doc} |`)
  }
})

test('every API is listed with its versions, and no other', () => {
  const rows = [...APIS.values()].map(
    ({ key, name, versions: [first, last] }) => `| ${key} | ${name} | ${first} to ${last} |`,
  )
  expect(readme).toContain(rows.join('\n'))
  expect(readme.match(/^\| \d+ \| [A-Z]\w+ \| \d+ to \d+ \|$/gm)).toEqual(rows)
})

test('the tests that it names exist', () => {
  const named = [...readme.matchAll(/`([a-z/-]+\.(?:unit|sim|int|e2e))`/g)].map(([, path]) => path)
  expect(named.length).toBeGreaterThan(10)
  const missing = named.filter(path => !existsSync(new URL(`./${path}.test.ts`, import.meta.url)))
  expect(missing).toEqual([])
})
