// Tables in READMEs are written from the code; what a table says there cannot be another thing here.
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readmes, written } from '../scripts/readmes.ts'

describe.each(readmes())('$file', ({ file, tables }) => {
  const readme = readFileSync(file, 'utf8')

  test('has every table of settings and errors, as `npm run readmes` writes it', () => {
    const { text, missing } = written(readme, tables)
    expect(missing, relative('.', file)).toEqual([])
    expect(text).toBe(readme)
  })
})

test('a row that is missing, stale or of nobody is written anew', () => {
  const rows = new Map([
    ['a.b', '| `a.b` | 1 | 0 | 2 | means a |'],
    ['a.c', '| `a.c` | 2 | 0 | 2 | means c |'],
  ])
  const heading =
    'Before.\n\n| key | default | from | to | means |\n| --- | --- | --- | --- | --- |\n'
  const stale = `${heading}| \`a.b\` | 9 | 0 | 2 | stale |\n| \`gone\` | 1 | 0 | 2 | gone |\n\nAfter.\n`
  const { text, missing } = written(stale, [{ name: 'A_SETTINGS', rows }])
  expect(missing).toEqual([])
  expect(text).toBe(`${heading}${[...rows.values()].join('\n')}\n\nAfter.\n`)
  expect(written('Nothing.', [{ name: 'A_SETTINGS', rows }]).missing).toEqual(['A_SETTINGS'])
})
