/**
 * What package `millrace` offers to programs: a node, an embedded log, and the words of the log that
 * an application needs with them. The rest of the port is in `@millrace/log`.
 */

export type { LogFields, Logger } from '@millrace/broker'
export {
  type Consumer,
  type ConsumerOptions,
  createConsumer,
  createProducer,
  type Producer,
  type ProducerOptions,
} from '@millrace/clients'
export { type Log, LogError, type LogErrorCode } from '@millrace/log'
export {
  type Action,
  type Aggregate,
  type AggregateSettings,
  type Application,
  type ApplicationOptions,
  type ApplicationSettings,
  after,
  aggregate,
  become,
  type CommandMessage,
  type CommandOptions,
  cancel,
  type Decide,
  type DecideContext,
  type Delay,
  type Effect,
  type EffectContext,
  type Emit,
  type EventOf,
  type EventOptions,
  type Evolve,
  effect,
  end,
  type Handle,
  type In,
  keyValueView,
  type LiveView,
  liveView,
  type Middleware,
  ModelError,
  type ModelErrorCode,
  type New,
  type Out,
  type Outcome,
  openPostgres,
  openSqlite,
  type Projection,
  type ProjectionProcessor,
  projection,
  type Query,
  type Recorded,
  type RejectedCommand,
  type Rejection,
  reject,
  type Saga,
  type SagaInstanceInfo,
  type Schema,
  type Send,
  type Subscription,
  saga,
  send,
  startApplication,
  subscription,
  tell,
  type,
} from '@millrace/model'
export {
  type AppendOptions,
  type AppendResult,
  addKeyToFile,
  createKeyFile,
  ERASED,
  type EventStore,
  environmentKeys,
  type ForgetReport,
  fileKeys,
  type KeyProvider,
  openStore,
  type RecordedEvent,
  rotateKeys,
  StoreError,
  type StoreErrorCode,
} from '@millrace/store'
export { defineConfig } from './config/define-config.ts'
export type { EmbeddedSettings, MillraceConfig } from './config/tables.ts'
export {
  type ApplicationDefinition,
  type DemoTools,
  defineApplication,
  type Figures,
  type ImportedCommand,
  type Views,
} from './define-application.ts'
export { CommandError, ConfigError, EXIT, type ExitCode } from './errors.ts'
export type { RunningNode } from './node/start-node.ts'
export { type EmbeddedOptions, openEmbedded } from './open-embedded.ts'
export { type StartOptions, start } from './start.ts'
