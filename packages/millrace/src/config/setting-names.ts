/**
 * How one setting is called in each place: `a.b.ms` in a configuration file and after `--set`,
 * `MILLRACE_A_B_MS` in the environment.
 */

/** Every variable of ours in the environment begins so. */
export const ENVIRONMENT_PREFIX = 'MILLRACE_'

/** Variables of the commands, not settings of a node. */
export const COMMAND_VARIABLES: readonly string[] = ['MILLRACE_BOOTSTRAP', 'MILLRACE_CONFIG']

/** The environment's name of a key. */
export function environmentName(key: string): string {
  return ENVIRONMENT_PREFIX + key.toUpperCase().replaceAll(/[.-]/g, '_')
}

/** Prefixes of variables that belong to the project's own tools beside the node; let through. */
export const TOOL_PREFIXES: readonly string[] = [
  'MILLRACE_BENCH_',
  'MILLRACE_PEERS_',
  'MILLRACE_TEST_',
]
