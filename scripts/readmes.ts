/**
 * Writes the tables of settings and errors in the packages' READMEs anew, from the code: `npm run readmes`.
 * A table is known by its heading, and by the names in it as that of one table of the code; what stands
 * around it is left as it is. `test/readmes.unit.test.ts` fails where a README has not been written.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Setting, Settings } from '@millrace/base'
import * as broker from '@millrace/broker'
import * as clients from '@millrace/clients'
import * as engine from '@millrace/engine'
import * as kafka from '@millrace/kafka'
import * as model from '@millrace/model'
import * as store from '@millrace/store'

/** A table of errors: code, what it means, whether to retry, what to do. */
type Errors = Readonly<
  Record<
    string,
    { readonly message: string; readonly retriable: boolean; readonly operator: string }
  >
>

/** A table of the code, as the rows of a README by their names. */
export type Table = { readonly name: string; readonly rows: ReadonlyMap<string, string> }

const PACKAGES: readonly (readonly [string, object])[] = [
  ['broker', broker],
  ['clients', clients],
  ['engine', engine],
  ['kafka', kafka],
  ['model', model],
  ['store', store],
]

const isShown = (entry: unknown): boolean =>
  typeof entry === 'object' && entry !== null && ('doc' in entry || 'retriable' in entry)

function settingRow(key: string, setting: Setting): string {
  const bounds = setting.type === 'integer' ? `${setting.min} | ${setting.max}` : ' | '
  return `| \`${key}\` | ${setting.default} | ${bounds} | ${setting.doc} |`
}

function rowsOf(table: Settings | Errors): Map<string, string> {
  const rows = new Map<string, string>()
  for (const [key, entry] of Object.entries(table)) {
    rows.set(
      key,
      'type' in entry
        ? settingRow(key, entry)
        : `| \`${key}\` | ${entry.message} | ${entry.retriable ? 'yes' : 'no'} | ${entry.operator} |`,
    )
  }
  return rows
}

/** The tables that a package exports: settings, and errors that callers see. */
function tablesOf(names: object): readonly Table[] {
  return Object.entries(names)
    .filter(([name]) => /_(SETTINGS|ERRORS)$/.test(name))
    .filter(([, table]) => Object.values(table).some(isShown))
    .map(([name, table]) => ({ name, rows: rowsOf(table as Settings | Errors) }))
}

/** The name in the first cell of a row. */
const nameIn = (row: string): string => /^\| `([^`]+)`/.exec(row)?.[1] ?? ''

/** A README with its tables written anew; `missing` are those that it does not have. */
export function written(
  readme: string,
  tables: readonly Table[],
): { readonly text: string; readonly missing: readonly string[] } {
  const found = new Set<string>()
  const text = readme.replace(
    /(\| (?:key|code) \|.*\n\| --- .*\n)((?:\| `.*\n?)+)/g,
    (block, heading: string, body: string) => {
      const names = body.trimEnd().split('\n').map(nameIn)
      const shared = ({ rows }: Table): number => names.filter(name => rows.has(name)).length
      const [best] = [...tables].sort((a, b) => shared(b) - shared(a))
      if (best === undefined || shared(best) === 0) return block
      found.add(best.name)
      return `${heading}${[...best.rows.values()].join('\n')}\n`
    },
  )
  return { text, missing: tables.map(({ name }) => name).filter(name => !found.has(name)) }
}

/** The READMEs that show tables: where they stand, and what stands in them. */
export function readmes(): readonly { readonly file: string; readonly tables: readonly Table[] }[] {
  const root = join(import.meta.dirname, '..', 'packages')
  return readdirSync(root).flatMap(name => {
    const names = PACKAGES.find(([each]) => each === name)?.[1]
    return names === undefined
      ? []
      : [{ file: join(root, name, 'README.md'), tables: tablesOf(names) }]
  })
}

if (import.meta.main) {
  for (const { file, tables } of readmes()) {
    writeFileSync(file, written(readFileSync(file, 'utf8'), tables).text)
  }
}
