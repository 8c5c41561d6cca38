/**
 * Settings: named, bounded, documented values. Each package keeps its own in one table, a literal `as
 * const`, which is the only place where a key, its default, its bounds and its meaning stand: types come
 * from it, the tables of the READMEs are written from it (`npm run readmes`), and the composition root
 * merges the tables into configuration keys, environment names and help.
 *
 * A setting `a.b.ms` of the table is `MILLRACE_A_B_MS` in the environment and `'a.b.ms'` in the
 * configuration file.
 */

/** A setting and what it may be. */
export type Setting =
  | {
      readonly type: 'integer'
      readonly default: number
      readonly min: number
      readonly max: number
      readonly doc: string
    }
  | { readonly type: 'boolean'; readonly default: boolean; readonly doc: string }
  | {
      readonly type: 'choice'
      readonly default: string
      readonly choices: readonly string[]
      readonly doc: string
    }
  | { readonly type: 'text'; readonly default: string; readonly doc: string }

/** A table of settings by dotted key. */
export type Settings = Readonly<Record<string, Setting>>

/** The values of a table of settings. */
export type SettingValues<T extends Settings> = {
  readonly [K in keyof T]: T[K]['type'] extends 'integer'
    ? number
    : T[K]['type'] extends 'boolean'
      ? boolean
      : string
}

/** What is wrong with a value, in words that name the key and what is allowed; null if nothing. */
export function settingProblem(key: string, setting: Setting, value: unknown): string | null {
  switch (setting.type) {
    case 'integer':
      return typeof value === 'number' &&
        Number.isSafeInteger(value) &&
        value >= setting.min &&
        value <= setting.max
        ? null
        : `${key} must be a whole number from ${setting.min} to ${setting.max}, not ${JSON.stringify(value)}`
    case 'boolean':
      return typeof value === 'boolean'
        ? null
        : `${key} must be true or false, not ${JSON.stringify(value)}`
    case 'choice':
      return typeof value === 'string' && setting.choices.includes(value)
        ? null
        : `${key} must be one of ${setting.choices.join(', ')}, not ${JSON.stringify(value)}`
    case 'text':
      return typeof value === 'string' ? null : `${key} must be text, not ${JSON.stringify(value)}`
  }
}

/** All values of a table: the given ones over the defaults. Throws RangeError on a bad one. */
export function resolveSettings<T extends Settings>(
  table: T,
  given: Partial<SettingValues<T>> = {},
): SettingValues<T> {
  const values: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries(table)) {
    const value = (given as Readonly<Record<string, unknown>>)[key] ?? setting.default
    const problem = settingProblem(key, setting, value)
    if (problem !== null) throw new RangeError(problem)
    values[key] = value
  }
  return Object.freeze(values) as SettingValues<T>
}
