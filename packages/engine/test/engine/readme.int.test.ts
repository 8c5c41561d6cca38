// What the READMEs of log and engine say is so: names, settings, tests, and the example.
import { existsSync, readFileSync } from 'node:fs'
import type { Settings } from '@millrace/base'
import { CONSUMER_SETTINGS, PRODUCER_SETTINGS } from '@millrace/clients'
import { describe, expect, test } from 'vitest'
import { ENGINE_SETTINGS, GROUP_SETTINGS } from '../../src/index.ts'
import { example } from './log-example.ts'
import { open } from './support.ts'

const at = (path: string): URL => new URL(`../../../${path}`, import.meta.url)
const textOf = (path: string): string => readFileSync(at(path), 'utf8')

/** All names that an index.ts exports. */
const exportedBy = (path: string): string[] =>
  [...textOf(path).matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, names = '']) =>
    names
      .split(',')
      .map(name => name.replace('type ', '').trim())
      .filter(name => name !== ''),
  )

const rowsOf = (settings: Settings): string[] =>
  Object.entries(settings).map(([key, setting]) => {
    const bounds = setting.type === 'integer' ? `${setting.min} | ${setting.max}` : ' | '
    return `| \`${key}\` | ${setting.default} | ${bounds} | ${setting.doc} |`
  })

const TABLES: Readonly<Record<string, readonly Settings[]>> = {
  engine: [ENGINE_SETTINGS, GROUP_SETTINGS],
  log: [PRODUCER_SETTINGS, CONSUMER_SETTINGS],
}

describe.each(Object.entries(TABLES))('the README of %s', (name, tables) => {
  const readme = textOf(`${name}/README.md`)

  test('names everything that is public', () => {
    const missing = exportedBy(`${name}/src/index.ts`).filter(
      exported => !new RegExp(`\\b${exported}\\b`).test(readme),
    )
    expect(missing).toEqual([])
  })

  test('lists every setting with its default and its bounds', () => {
    for (const row of tables.flatMap(rowsOf)) expect(readme).toContain(row)
  })

  test('names tests that exist', () => {
    const named = [...readme.matchAll(/`([a-z/-]+\.(?:unit|sim|int|e2e))`/g)].map(
      ([, path]) => path,
    )
    expect(named.length).toBeGreaterThan(10)
    // Kinds of faults that the listener or the node holds are listed here, too.
    const missing = named.filter(
      path =>
        ![name, 'broker', 'millrace'].some(owner =>
          existsSync(at(`${owner}/test/${path}.test.ts`)),
        ),
    )
    expect(missing).toEqual([])
  })
})

test('the example of the README of log compiles, and gives what it stores', async () => {
  expect(textOf('log/README.md')).toContain(textOf('engine/test/engine/log-example.ts'))
  const log = await open({ groupSettings: { 'group.initial.rebalance.delay.ms': 0 } })
  expect(await example(log)).toEqual(['a-17 {"total":12}'])
})
