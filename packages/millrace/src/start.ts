/** A node within a program: the library's form of `millrace start`. */

import type { Logger } from '@millrace/broker'
import { resolveConfig } from './config/resolve-config.ts'
import { ALL_SETTINGS, type MillraceConfig } from './config/tables.ts'
import { NodeLogger } from './node/logger.ts'
import { type RunningNode, startNode } from './node/start-node.ts'

/** What a node is started with: settings by their dotted keys, and where it logs. */
export type StartOptions = MillraceConfig & {
  /** Default: standard error, by `logging.level`. */
  readonly logger?: Logger
}

/**
 * Starts a node in this process. Environment and configuration file are not read: a program says
 * what it wants. Throws ConfigError naming every bad setting; CommandError when the data folder or a
 * port is in use.
 */
export async function start(options: StartOptions = {}): Promise<RunningNode> {
  const { logger, ...values } = options
  const config = resolveConfig(ALL_SETTINGS, { file: { path: 'start()', values } })
  const level = options['logging.level'] ?? 'info'
  const own = new NodeLogger(
    level === 'info' || level === 'warn' || level === 'error' ? level : 'silent',
    process.stderr,
    Date.now,
  )
  return startNode(config, logger ?? own)
}
