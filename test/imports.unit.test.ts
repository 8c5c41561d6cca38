// The arrows between the packages point one way: every import is held against the table of
// ARCHITECTURE.md. Relative imports that leave their package count as imports of the other one.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'vite'
import { expect, test } from 'vitest'

const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  log: [],
  engine: ['log'],
  protocol: ['log'],
  kafka: ['log', 'protocol'],
  broker: ['log', 'protocol', 'engine'],
  store: ['log'],
  model: ['log', 'store'],
  millrace: ['log', 'engine', 'protocol', 'kafka', 'broker', 'store', 'model'],
}

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../packages')

function packageOf(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('@millrace/')) return specifier.split('/')[1]
  if (specifier === 'millrace' || specifier.startsWith('millrace/')) return 'millrace'
  if (!specifier.startsWith('.')) return undefined
  return relative(root, resolve(dirname(file), specifier)).split(sep)[0]
}

function specifiersOf(file: string): readonly string[] {
  const text = readFileSync(file, 'utf8')
  const { module } = parseSync(file, text)
  return [
    ...module.staticImports.map(i => i.moduleRequest.value),
    ...module.staticExports.flatMap(e =>
      e.entries.flatMap(entry => (entry.moduleRequest ? [entry.moduleRequest.value] : [])),
    ),
    ...module.dynamicImports.map(i =>
      text.slice(i.moduleRequest.start, i.moduleRequest.end).replace(/^['"`]|['"`]$/g, ''),
    ),
    ...[...text.matchAll(/\bimport\('([^']+)'\)/g)].map(match => match[1] ?? ''),
  ]
}

function sourcesOf(name: string): readonly string[] {
  return readdirSync(join(root, name, 'src'), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => join(root, name, 'src', file))
}

test('no package imports one that the table of ARCHITECTURE.md does not allow', () => {
  const broken: string[] = []
  for (const name of readdirSync(root)) {
    const allowed = MAY_IMPORT[name]
    expect(allowed, `${name} is missing in the table`).toBeDefined()
    for (const file of sourcesOf(name)) {
      for (const specifier of specifiersOf(file)) {
        const target = packageOf(file, specifier)
        if (target === undefined || target === name || allowed?.includes(target)) continue
        broken.push(`${relative(root, file)} imports ${specifier}`)
      }
    }
  }
  expect(broken).toEqual([])
})

test('only the disk folder of the engine touches files', () => {
  const touching = sourcesOf('engine').filter(
    file =>
      specifiersOf(file).some(specifier => /^node:(fs|sqlite|worker_threads)/.test(specifier)) &&
      !relative(join(root, 'engine', 'src'), file).startsWith(`disk${sep}`),
  )
  expect(touching.map(file => relative(root, file))).toEqual([])
})
