/** The words of configurations in numbers of the protocol. */
import type { ConfigSource, ConfigType } from '@millrace/log'
import { CONFIG_SOURCE, CONFIG_TYPE } from '@millrace/protocol'

const SOURCES: Readonly<Record<ConfigSource, number>> = {
  topic: CONFIG_SOURCE.topic,
  node: CONFIG_SOURCE.staticBroker,
  default: CONFIG_SOURCE.default,
}

const TYPES: Readonly<Record<ConfigType, number>> = {
  boolean: CONFIG_TYPE.boolean,
  string: CONFIG_TYPE.string,
  int: CONFIG_TYPE.int,
  short: CONFIG_TYPE.short,
  long: CONFIG_TYPE.long,
  double: CONFIG_TYPE.double,
  list: CONFIG_TYPE.list,
}

/** The number of a source. */
export const configSourceOf = (source: ConfigSource): number => SOURCES[source]

/** The number of a type. */
export const configTypeOf = (type: ConfigType): number => TYPES[type]
