/** The configuration of a process: its flags, its environment, its file, in one step. */
import { readConfigFile } from './config-file.ts'
import { type Config, type ConfigSources, resolveConfig } from './resolve-config.ts'
import { ALL_SETTINGS } from './tables.ts'

/** Where to look. */
export type LoadConfigOptions = {
  readonly flags?: NonNullable<ConfigSources['flags']>
  /** The file that was named; else MILLRACE_CONFIG, else the one in `folder`. */
  readonly configFile?: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Folder that is searched for a file, and that relative paths start from. */
  readonly folder: string
}

/** Reads and resolves everything. Throws `ConfigError` naming all that is wrong. */
export async function loadConfig(options: LoadConfigOptions): Promise<Config> {
  const { flags, environment, folder } = options
  const named = options.configFile ?? environment['MILLRACE_CONFIG']
  const file = await readConfigFile(folder, named)
  return resolveConfig(ALL_SETTINGS, {
    environment,
    ...(flags === undefined ? {} : { flags }),
    ...(file === undefined ? {} : { file }),
  })
}
