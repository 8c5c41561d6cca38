/**
 * The effective configuration: for every setting its value and where that came from.
 *
 * Flags win over the environment, the environment over the file, the file over the defaults. What
 * is unknown or out of bounds anywhere is refused, also where a stronger source overrides it: a
 * mistake that has no effect today has one tomorrow. All problems are told at once.
 */
import { type Setting, type Settings, settingProblem } from '@millrace/base'
import { ConfigError } from '../errors.ts'
import { nearest } from './nearest.ts'
import {
  COMMAND_VARIABLES,
  ENVIRONMENT_PREFIX,
  environmentName,
  TOOL_PREFIXES,
} from './setting-names.ts'

/** Where a value came from, strongest first. */
export type ValueSource = 'flag' | 'environment' | 'file' | 'default'

/** A value as a source gives it. */
export type ConfigValue = string | number | boolean

/** One setting with its effective value. */
export type ConfigLine = {
  readonly key: string
  readonly value: ConfigValue
  readonly source: ValueSource
  /** The flag, the variable or the file that gave the value; empty for a default. */
  readonly origin: string
  readonly setting: Setting
}

/** What the sources say. Texts are parsed by the type of their setting. */
export type ConfigSources = {
  /** By key, each with the flag as it was typed. */
  readonly flags?: readonly {
    readonly key: string
    readonly value: ConfigValue
    readonly flag: string
  }[]
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly file?: { readonly path: string; readonly values: Readonly<Record<string, unknown>> }
}

/** The effective configuration. */
export type Config = ReadonlyMap<string, ConfigLine>

/**
 * Merges tables of settings into one. A key of two tables is one setting, given to both. Throws
 * TypeError when two different settings would share a name.
 */
export function mergeTables(...tables: readonly Settings[]): Settings {
  const merged: Record<string, Setting> = {}
  const byVariable = new Map<string, string>()
  for (const table of tables) {
    for (const [key, setting] of Object.entries(table)) {
      const variable = environmentName(key)
      const other = byVariable.get(variable) ?? key
      if (other !== key || (merged[key]?.type ?? setting.type) !== setting.type) {
        throw new TypeError(`two settings are called ${other} and ${key}`)
      }
      byVariable.set(variable, key)
      merged[key] ??= setting
    }
  }
  return merged
}

/** Resolves every setting of `table`. Throws {@link ConfigError} naming everything that is wrong. */
export function resolveConfig(table: Settings, sources: ConfigSources = {}): Config {
  const problems: string[] = []
  const lines = new Map<string, ConfigLine>()
  for (const [key, setting] of Object.entries(table)) {
    lines.set(key, { key, value: setting.default, source: 'default', origin: '', setting })
  }
  const apply = (key: string, given: unknown, source: ValueSource, origin: string): void => {
    const setting = lines.get(key)?.setting
    if (setting === undefined) {
      problems.push(unknownKey(key, origin, Object.keys(table)))
      return
    }
    const value = typeof given === 'string' ? parseText(setting, given) : given
    const problem = settingProblem(key, setting, value)
    if (problem !== null) problems.push(`${problem} (${origin})`)
    else lines.set(key, { key, value: value as ConfigValue, source, origin, setting })
  }

  for (const [key, value] of Object.entries(sources.file?.values ?? {})) {
    apply(key, value, 'file', sources.file?.path ?? '')
  }
  const keyOf = new Map(Object.keys(table).map(key => [environmentName(key), key]))
  for (const [name, value] of Object.entries(sources.environment ?? {})) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || value === undefined) continue
    if (COMMAND_VARIABLES.includes(name)) continue
    if (TOOL_PREFIXES.some(prefix => name.startsWith(prefix))) continue
    const key = keyOf.get(name)
    if (key === undefined) {
      problems.push(unknownVariable(name, [...keyOf.keys(), ...COMMAND_VARIABLES]))
    } else apply(key, value, 'environment', name)
  }
  for (const { key, value, flag } of sources.flags ?? []) apply(key, value, 'flag', flag)

  if (problems.length > 0) throw new ConfigError(problems)
  return lines
}

/** Text as its setting's type; what cannot be read stays text, and is refused with its name. */
function parseText(setting: Setting, text: string): ConfigValue {
  if (setting.type === 'integer' && /^-?\d{1,16}$/.test(text)) return Number(text)
  if (setting.type === 'boolean' && text === 'true') return true
  if (setting.type === 'boolean' && text === 'false') return false
  return text
}

function unknownKey(key: string, origin: string, known: readonly string[]): string {
  const suggestion = nearest(key, known)
  const hint =
    suggestion === null ? 'run "millrace config" for all of them' : `did you mean ${suggestion}?`
  return `${key} is not a setting (${origin}); ${hint}`
}

function unknownVariable(name: string, known: readonly string[]): string {
  const suggestion = nearest(name, known)
  const hint =
    suggestion === null ? 'run "millrace config" for all settings' : `did you mean ${suggestion}?`
  return `${name} in the environment is not a setting; ${hint}`
}
