/** Finds an application by its name or path. TypeScript is run by Node itself, which strips types. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ApplicationDefinition } from 'millrace'
import { CommandError, EXIT } from 'millrace/errors'

const NAME = /^[a-zA-Z0-9._-]{1,100}$/
/** Where an application of a name is looked for, in this order. */
const PLACES: readonly string[] = ['', 'applications', 'examples']
const FILES: readonly string[] = ['application.ts', 'application.js']

/**
 * Loads the application file of a path, or of a name: `NAME/application.ts` (or `.js`) in the
 * folder, in `applications/` or in `examples/`.
 *
 * @throws CommandError (exit code `usage`) when there is none or it exports none
 */
export async function loadApplication(
  named: string,
  folder: string,
): Promise<ApplicationDefinition> {
  const path = fileOf(named, folder)
  let exported: unknown
  try {
    const module = (await import(pathToFileURL(path).href)) as { readonly default?: unknown }
    exported = module.default
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new CommandError(`${path} cannot be loaded: ${message}`, EXIT.usage, undefined, cause)
  }
  const definition = exported as ApplicationDefinition | null | undefined
  if (typeof definition?.name !== 'string' || typeof definition.aggregates !== 'object') {
    throw new CommandError(
      `${path} does not export an application as its default`,
      EXIT.usage,
      'export default defineApplication({ name, aggregates })',
    )
  }
  if (!NAME.test(definition.name)) {
    throw new CommandError(
      `${path}: name must be 1 to 100 characters of a-z A-Z 0-9 . _ -, not ${JSON.stringify(definition.name)}`,
      EXIT.usage,
    )
  }
  return definition
}

function fileOf(named: string, folder: string): string {
  if (/[/\\]|\.[jt]s$/.test(named)) {
    const path = resolve(folder, named)
    if (existsSync(path)) return path
    throw new CommandError(`there is no application file ${path}`, EXIT.usage)
  }
  const candidates = PLACES.flatMap(place => FILES.map(file => resolve(folder, place, named, file)))
  const found = candidates.find(existsSync)
  if (found !== undefined) return found
  throw new CommandError(
    `there is no application "${named}": looked for ${named}/application.ts here, in applications/ and in examples/`,
    EXIT.usage,
    'Give the path of its file.',
  )
}
