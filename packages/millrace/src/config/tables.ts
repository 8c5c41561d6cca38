/**
 * All settings of a node in one table: its own, the engine's, the groups', the listener's; and the
 * types by which a configuration file is checked while it is written.
 */

import { resolveSettings, type Settings, type SettingValues } from '@millrace/base'
import { BROKER_SETTINGS, type BrokerSettings } from '@millrace/broker'
import {
  ENGINE_SETTINGS,
  type EngineSettings,
  GROUP_SETTINGS,
  type GroupSettings,
} from '@millrace/engine'
import { NODE_SETTINGS, type NodeSettings } from './node-settings.ts'
import { type Config, type ConfigValue, mergeTables } from './resolve-config.ts'
import { TOPIC_DEFAULT_SETTINGS, type TopicDefaultSettings } from './topic-defaults.ts'

/** Settings of what keeps the log, also without a listener. */
export const EMBEDDED_SETTINGS: Settings = mergeTables(
  ENGINE_SETTINGS,
  GROUP_SETTINGS,
  TOPIC_DEFAULT_SETTINGS,
)

/** Settings of a whole node. */
export const ALL_SETTINGS: Settings = mergeTables(NODE_SETTINGS, EMBEDDED_SETTINGS, BROKER_SETTINGS)

/** What an embedded log can be told, by dotted keys; everything has a default. */
export type EmbeddedSettings = Partial<EngineSettings & GroupSettings & TopicDefaultSettings>

/** What a node can be told, by dotted keys; everything has a default. */
export type MillraceConfig = Partial<NodeSettings & BrokerSettings> & EmbeddedSettings

/** The values of one package's own table within a configuration. */
export function settingsOf<T extends Settings>(config: Config, table: T): SettingValues<T> {
  const values: Record<string, ConfigValue> = {}
  for (const key of Object.keys(table)) {
    const line = config.get(key)
    if (line !== undefined) values[key] = line.value
  }
  return resolveSettings(table, values as Partial<SettingValues<T>>)
}
