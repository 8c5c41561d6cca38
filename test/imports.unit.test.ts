// The arrows between the packages point one way: every import is held against the table of
// ARCHITECTURE.md. Relative imports that leave their package count as imports of the other one. Inside
// a package folders know each other one way only; those of the engine are held against a table.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'vite'
import { expect, test } from 'vitest'

const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  log: ['base'],
  clients: ['base', 'log'],
  engine: ['base', 'log'],
  protocol: ['base', 'log'],
  kafka: ['base', 'log', 'protocol'],
  broker: ['base', 'log', 'protocol', 'engine'],
  store: ['base', 'log', 'clients'],
  conformance: ['base', 'log', 'clients', 'store'],
  model: ['base', 'log', 'clients', 'store'],
  millrace: ['base', 'log', 'clients', 'engine', 'protocol', 'kafka', 'broker', 'store', 'model'],
  cli: ['base', 'log', 'clients', 'engine', 'kafka', 'store', 'model', 'millrace'],
}

/** Files beside the engine's folders that know nothing of them. */
const ENGINE_BASE = [
  'awake-clock.ts',
  'engine.ts',
  'group-settings.ts',
  'keep-alive.ts',
  'settings.ts',
  'snapshot-map.ts',
  'timer-wheel.ts',
  'turns.ts',
]

/** The engine's folders from bottom to top; what each may import beside {@link ENGINE_BASE}. */
const ENGINE_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  disk: [],
  segments: ['disk'],
  partitions: ['disk', 'segments'],
  machines: [],
  storage: ['disk', 'segments', 'partitions', 'machines'],
  coordinators: ['machines'],
  service: ['disk', 'segments', 'partitions', 'machines', 'storage', 'coordinators'],
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

/** The imports of a package's own files: from and to, relative to its `src`. */
function ownImportsOf(name: string): readonly (readonly [from: string, to: string])[] {
  const src = join(root, name, 'src')
  return sourcesOf(name).flatMap(file =>
    specifiersOf(file)
      .filter(specifier => specifier.startsWith('.'))
      .map(specifier => relative(src, resolve(dirname(file), specifier)))
      .filter(target => !target.startsWith('..'))
      .map(target => [relative(src, file), target] as const),
  )
}

/** Sets of nodes that reach each other, each as a sorted list. */
function cyclesOf(pairs: Iterable<readonly [from: string, to: string]>): readonly string[] {
  const edges = new Map<string, Set<string>>()
  for (const [from, to] of pairs) edges.set(from, (edges.get(from) ?? new Set()).add(to))
  const reached = (start: string): ReadonlySet<string> => {
    const seen = new Set<string>()
    const queue = [start]
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      for (const to of edges.get(next) ?? []) {
        if (!seen.has(to)) queue.push(to)
        seen.add(to)
      }
    }
    return seen
  }
  const reach = new Map([...edges.keys()].map(node => [node, reached(node)]))
  const cycles = [...reach].map(([node, to]) =>
    [...to]
      .filter(other => reach.get(other)?.has(node))
      .sort()
      .join(', '),
  )
  return [...new Set(cycles.filter(cycle => cycle !== ''))].sort()
}

/** The imports between a package's folders. A file beside the folders composes them, or is below all: it counts not. */
function folderImportsOf(name: string): readonly (readonly [from: string, to: string])[] {
  return ownImportsOf(name)
    .map(([from, to]) => [dirname(from), dirname(to)] as const)
    .filter(([from, to]) => from !== to && from !== '.' && to !== '.')
}

/** The cycles of each package that has some. */
function cyclesByPackage(
  importsOf: (name: string) => readonly (readonly [from: string, to: string])[],
): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    readdirSync(root)
      .map(name => [name, cyclesOf(importsOf(name))] as const)
      .filter(([, cycles]) => cycles.length > 0),
  )
}

test('no folder of a package reaches itself through another one', () => {
  expect(cyclesByPackage(folderImportsOf)).toEqual({})
})

test('no two files import each other, directly or through others', () => {
  expect(cyclesByPackage(ownImportsOf)).toEqual({})
})

test('no folder of the engine imports one that its table does not allow', () => {
  const broken: string[] = []
  for (const [from, to] of ownImportsOf('engine')) {
    const [a = '', b = ''] = [from, to].map(path => path.split(sep)[0])
    if (a === b) continue
    const inBase = ENGINE_BASE.includes(a)
    if (!inBase && a.endsWith('.ts')) continue // composes the folders
    const allowed = inBase ? [] : ENGINE_FOLDERS[a]
    expect(allowed, `${a} is missing in the table`).toBeDefined()
    if (ENGINE_BASE.includes(b) || allowed?.includes(b)) continue
    broken.push(`${from} imports ${to}`)
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
