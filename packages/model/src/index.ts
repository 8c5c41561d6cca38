export type { CircuitState } from '@millrace/base'
export {
  CommandRunner,
  type CommandRunnerOptions,
  type CommandStatus,
} from './commands/command-runner.ts'
export { COMMAND_SETTINGS } from './commands/settings.ts'
export type {
  CommandBus,
  CommandMessage,
  Middleware,
  ModelEvent,
  Outcome,
  Processor,
  ProcessorStatus,
  RuntimeContext,
} from './context.ts'
export {
  type Aggregate,
  type AggregateSettings,
  aggregate,
  type Decide,
  type DecideContext,
  type Emit,
  type EventOf,
  type EventOptions,
  type Evolve,
  type New,
  type Recorded,
  type Rejection,
  reject,
} from './define/aggregate.ts'
export {
  type Projection,
  type ProjectionSettings,
  projection,
  type Query,
} from './define/projection.ts'
export {
  type Action,
  after,
  become,
  cancel,
  type Delay,
  type Effect,
  type EffectContext,
  effect,
  end,
  type RejectedCommand,
  type Saga,
  type SagaClock,
  type SagaInstanceInfo,
  type Send,
  saga,
  send,
  tell,
} from './define/saga.ts'
export { type In, type Out, type Schema, type SchemaIssue, type } from './define/schema.ts'
export { EFFECT_SETTINGS, type EffectSettings, type RetrySettings } from './effects/index.ts'
export { MODEL_ERRORS, ModelError, type ModelErrorCode } from './errors.ts'
export { type Attempt, Policy, type PolicyOptions, type PolicyState } from './policy/policy.ts'
export { POLICY_SETTINGS } from './policy/settings.ts'
export {
  type Change,
  createProjectionProcessor,
  type ParkedStream,
  PROJECTION_SETTINGS,
  type ProjectionProcessor,
  type ProjectionStatus,
  type Redriven,
} from './projections/index.ts'
export type {
  Application,
  ApplicationOptions,
  ApplicationSettings,
  TenantView,
} from './runtime/application.ts'
export { categoriesOf } from './runtime/definitions.ts'
export type { CommandOptions, Handle, Handles } from './runtime/handles.ts'
export { INDEX_FOLDER, startApplication } from './runtime/start-application.ts'
export {
  type ParkedSaga,
  SAGA_SETTINGS,
  type SagaInstance,
  type SagaProcessor,
  type SagaSettings,
  type SagaStatus,
} from './sagas/index.ts'
export {
  openPostgres,
  openSqlite,
  type PostgresOptions,
  SQL_SETTINGS,
  type SqlDatabase,
  type SqliteOptions,
  SqlQueryError,
} from './sql/index.ts'
export {
  type Delivery,
  type DeliveryContext,
  FOLLOWER_SETTINGS,
  type FollowerSettings,
  type ParkedStream as ParkedDelivery,
  type StartPlace,
  type Subscription,
  type SubscriptionProcessor,
  subscription,
} from './subscriptions/index.ts'
export {
  carrierOf,
  type SpanInput,
  spanContextOf,
  type TraceCarrier,
  traced,
} from './tracing/tracing.ts'
export {
  KeyValueReader,
  type KeyValueTables,
  type KeyValueView,
  keyValueView,
  type LiveView,
  LiveViewProcessor,
  liveView,
  memoryCache,
  VIEW_SETTINGS,
  type ViewCache,
} from './views/index.ts'
