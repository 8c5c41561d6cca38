/** What the tests of the packages' READMEs share: exported names, named tests. */
import { existsSync, readFileSync } from 'node:fs'

/** The names that a package's `src/index.ts` exports; `home` is the package's folder. */
export function exportsOf(home: URL): readonly string[] {
  const index = readFileSync(new URL('src/index.ts', home), 'utf8')
  return [...index.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, names = '']) =>
    names
      .split(',')
      .map(part => part.replace('type ', '').trim())
      .filter(name => name !== ''),
  )
}

/** The tests that a README names, from the package's `test/`, and those that do not exist. */
export function namedTests(
  home: URL,
  readme: string,
): { readonly named: readonly string[]; readonly missing: readonly string[] } {
  const named = [...readme.matchAll(/`([a-z/-]+\.(?:unit|sim|int|e2e))`/g)].map(m => m[1] ?? '')
  const missing = named.filter(path => !existsSync(new URL(`test/${path}.test.ts`, home)))
  return { named, missing }
}
