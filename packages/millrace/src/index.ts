/**
 * What package `millrace` offers to programs: a node, an embedded log, and the words of the log that
 * an application needs with them. The rest of the port is in `@millrace/log`.
 */
export {
  type Consumer,
  type ConsumerOptions,
  createConsumer,
  createProducer,
  type Log,
  LogError,
  type LogErrorCode,
  type Producer,
  type ProducerOptions,
} from '@millrace/log'
export {
  type Aggregate,
  type Application,
  after,
  aggregate,
  become,
  cancel,
  type Effect,
  type EventOf,
  effect,
  end,
  ModelError,
  type ModelErrorCode,
  type Outcome,
  openPostgres,
  openSqlite,
  type Projection,
  projection,
  reject,
  type Saga,
  saga,
  send,
  startApplication,
  tell,
  type,
} from '@millrace/model'
export {
  type AppendOptions,
  type AppendResult,
  ERASED,
  type EventStore,
  openStore,
  type RecordedEvent,
  StoreError,
  type StoreErrorCode,
} from '@millrace/store'
export {
  type ApplicationDefinition,
  type DemoTools,
  defineApplication,
  type Figures,
  type ImportedCommand,
} from './application/define-application.ts'
export { defineConfig } from './config/define-config.ts'
export { ConfigError } from './config/resolve-config.ts'
export type { EmbeddedSettings, MillraceConfig } from './config/tables.ts'
export { CommandError, EXIT, type ExitCode } from './exit-codes.ts'
export type { LogFields, Logger } from './node/logger.ts'
export type { RunningNode } from './node/start-node.ts'
export { type EmbeddedOptions, openEmbedded } from './open-embedded.ts'
export { type StartOptions, start } from './start.ts'
