/**
 * The configuration file: `millrace.config.ts`, `.js` or `.json` in the working folder, or the one
 * that `--config` or MILLRACE_CONFIG names. TypeScript is run by Node itself, which strips types.
 *
 * A file holds one flat object of settings by their dotted keys; modules export it as default.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from '../errors.ts'

/** Names that are looked for, in this order. Two of them at once are refused. */
export const CONFIG_FILE_NAMES: readonly string[] = [
  'millrace.config.ts',
  'millrace.config.js',
  'millrace.config.json',
]

/** A configuration file that was read. */
export type ConfigFile = {
  readonly path: string
  readonly values: Readonly<Record<string, unknown>>
}

/**
 * Reads the configuration file: `named`, else the one in `folder`; undefined when there is none.
 * Throws {@link ConfigError} when it cannot be read or does not hold an object.
 */
export async function readConfigFile(
  folder: string,
  named?: string,
): Promise<ConfigFile | undefined> {
  const path = named === undefined ? findConfigFile(folder) : resolve(folder, named)
  if (path === undefined) return undefined
  if (!existsSync(path)) throw new ConfigError([`the configuration file ${path} does not exist`])
  const values = path.endsWith('.json') ? await readJson(path) : await importModule(path)
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new ConfigError([`${path} must hold (or export as default) one object of settings`])
  }
  return { path, values: values as Readonly<Record<string, unknown>> }
}

function findConfigFile(folder: string): string | undefined {
  const found = CONFIG_FILE_NAMES.map(name => resolve(folder, name)).filter(existsSync)
  if (found.length > 1) {
    throw new ConfigError([`more than one configuration file: ${found.join(', ')}; keep one`])
  }
  return found[0]
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown
  } catch (cause) {
    throw new ConfigError([`${path} cannot be read: ${messageOf(cause)}`])
  }
}

async function importModule(path: string): Promise<unknown> {
  try {
    const module = (await import(pathToFileURL(path).href)) as { readonly default?: unknown }
    return module.default
  } catch (cause) {
    throw new ConfigError([`${path} cannot be run: ${messageOf(cause)}`])
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
