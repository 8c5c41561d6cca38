/** The Kafka protocol listener: what `@millrace/broker` exports. */
export { PROTOCOL_ERRORS, ProtocolError, type ProtocolErrorCode } from '@millrace/protocol'
export { KAFKA_CODE_OF } from './handlers/error-mapping.ts'
export type { Endpoint } from './handlers/handler.ts'
export { type Listener, type ListenerOptions, startListener } from './listener/listener.ts'
export type { LogFields, Logger } from './listener/logger.ts'
export { BROKER_SETTINGS, type BrokerSettings } from './settings.ts'
