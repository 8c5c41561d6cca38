/** A client of the Kafka protocol behind the port: what `@millrace/kafka` exports. */
export { connectKafka, type KafkaOptions } from './kafka-log.ts'
export {
  type BrokerAddress,
  type KafkaClientOutside,
  parseBootstrap,
  systemKafkaClientOutside,
} from './outside.ts'
export { CLIENT_SETTINGS, type ClientSettings } from './settings.ts'
