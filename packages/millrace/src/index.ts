/** What package `millrace` offers to programs. */
export { defineConfig } from './config/define-config.ts'
export { ConfigError } from './config/resolve-config.ts'
export type { EmbeddedSettings, MillraceConfig } from './config/tables.ts'
export { CommandError, EXIT, type ExitCode } from './exit-codes.ts'
export type { LogFields, Logger } from './node/logger.ts'
export type { RunningNode } from './node/start-node.ts'
export { type EmbeddedOptions, openEmbedded } from './open-embedded.ts'
export { type StartOptions, start } from './start.ts'
