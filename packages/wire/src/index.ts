/** The Kafka protocol listener: what `@millrace/wire` exports. */
export { WIRE_ERRORS, WireError, type WireErrorCode } from './errors.ts'
export { KAFKA_CODE_OF } from './handlers/error-mapping.ts'
export type { Endpoint } from './handlers/handler.ts'
export { type Listener, type ListenerOptions, startListener } from './listener/listener.ts'
export type { LogFields, Logger } from './listener/logger.ts'
export { WIRE_SETTINGS, type WireSettings } from './settings.ts'
