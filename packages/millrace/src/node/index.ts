/**
 * `millrace/node`: what the command is made of beside the public names: configuration from all its
 * sources, and a node on it.
 */

export type { Logger } from '@millrace/broker'
export { loadConfig } from '../config/load-config.ts'
export type { Config, ConfigLine, ConfigSources } from '../config/resolve-config.ts'
export { environmentName } from '../config/setting-names.ts'
export { openEmbedded } from '../open-embedded.ts'
export type { RebuildState, ShownProcessor } from './applications-api.ts'
export { NodeLogger } from './logger.ts'
export { openFailure } from './open-failure.ts'
export { type RunningNode, startNode } from './start-node.ts'
