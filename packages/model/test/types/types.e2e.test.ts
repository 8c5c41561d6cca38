// What the types promise, asked of the compiler: programs that must compile, mistakes that must be
// reported at their line, and a large application that must not take long.
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../../../..')
const compiler = join(root, 'node_modules/typescript/bin/tsc')

type Diagnostic = { readonly file: string; readonly line: number; readonly text: string }

/** What the compiler reports of a project. */
async function diagnosticsOf(project: string): Promise<Diagnostic[]> {
  const child = spawn(process.execPath, [compiler, '-p', project, '--pretty', 'false'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const code = await new Promise(resolve => child.on('close', resolve))
  const found = [...output.matchAll(/^(\S[^(]*)\((\d+),\d+\): error (.*)$/gm)].map(
    ([, file = '', line, text = '']) => ({ file, line: Number(line), text }),
  )
  expect(code === 0, output).toBe(found.length === 0)
  return found
}

test('programs of the kind that users write compile', async () => {
  expect(await diagnosticsOf(join(here, 'programs'))).toEqual([])
})

test('every mistake is reported at its line, and nothing else is', async () => {
  const lines = readFileSync(join(here, 'mistakes/mistakes.ts'), 'utf8').split('\n')
  const expected = lines.flatMap((text, i) => (/\/\/ mistake \d/.test(text) ? [i + 1] : []))
  expect(expected).toHaveLength(25)
  const found = await diagnosticsOf(join(here, 'mistakes'))
  expect(found.filter(({ file }) => !file.endsWith('mistakes.ts'))).toEqual([])
  expect([...new Set(found.map(({ line }) => line))].sort((a, b) => a - b)).toEqual(expected)
})

/** Thirty aggregates of thirty types of event each, all in one projection and one saga. */
function largeApplication(aggregates: number, types: number): string {
  const names = Array.from({ length: aggregates }, (_, i) => `a${i}`)
  const each = <T>(make: (i: number) => T): T[] => Array.from({ length: types }, (_, i) => make(i))
  const aggregate = (name: string): string => `
const ${name} = aggregate('${name}', {
  events: {${each(i => ` E${i}: z.object({ n${i}: z.number(), s: z.string().optional() }),`).join('')} },
  initial: () => ({ sum: 0 }),
  evolve: {${each(i => ` E${i}: (s, { n${i} }) => ({ sum: s.sum + n${i} }),`).join('')} },
  commands: {${each(i => ` c${i}: z.object({ n: z.number() }),`).join('')} },
  decide: {${each(i => ` c${i}: ({ n }, s, { E${i} }) => s.sum > n ? E${i}({ n${i}: n }) : reject('r${i}'),`).join('')} },
})`
  const handlers = names.flatMap(name =>
    each(
      i =>
        `'${name}.E${i}': (db, e) => db.insertInto('t').values({ id: e.stream, n: e.data.n${i} }),`,
    ),
  )
  const reactions = names.flatMap(name =>
    each(i => `'${name}.E${i}': (s, e) => e.data.n${i} > s.n ? [end()] : [],`),
  )
  return `import { aggregate, end, projection, reject, saga, type } from '@millrace/model'
import { z } from 'zod'
${names.map(aggregate).join('\n')}
export const view = projection('view', {
  version: 1, from: [${names}], tables: type<{ t: { id: string; n: number } }>(),
  create: db => db.schema.createTable('t'),
  on: { ${handlers.join('\n')} },
})
export const watcher = saga('watcher', {
  from: [${names}], starts: ['a0.E0'], key: e => e.stream, initial: () => ({ n: 0 }), timers: {},
  on: { ${reactions.join('\n')} },
})
`
}

test('an application of 900 types of event compiles', async () => {
  const folder = join(root, '.cache/model-types')
  mkdirSync(folder, { recursive: true })
  try {
    writeFileSync(join(folder, 'large.ts'), largeApplication(30, 30))
    const project = JSON.parse(readFileSync(join(here, 'programs/tsconfig.json'), 'utf8'))
    project.extends = join(root, 'tsconfig.base.json')
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project))
    const startedAt = performance.now()
    expect(await diagnosticsOf(folder)).toEqual([])
    const seconds = (performance.now() - startedAt) / 1000
    console.info(`900 types of event compiled in ${seconds.toFixed(1)} s`)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
