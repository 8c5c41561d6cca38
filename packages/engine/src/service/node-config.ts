/**
 * The node's configuration as DescribeConfigs shows it for a broker: our settings under Kafka's
 * names where Kafka has one, and the topic defaults under their `log.` names. Tools read some of
 * them (num.partitions, message.max.bytes) before they do anything else.
 */
import type { ConfigEntry, ConfigSource, ConfigType } from '@millrace/log'
import { brokerName, describeTopicConfig, hasBrokerName } from '../partitions/topic-config.ts'
import { ENGINE_SETTINGS, type EngineSettings } from '../settings.ts'

/** What is so on every node of ours, under the names by which Kafka's tools ask. */
const FIXED: readonly (readonly [name: string, value: string, type: ConfigType])[] = [
  ['default.replication.factor', '1', 'int'],
  ['delete.topic.enable', 'true', 'boolean'],
  ['offsets.topic.num.partitions', '1', 'int'],
  ['offsets.topic.replication.factor', '1', 'short'],
  ['process.roles', 'broker,controller', 'list'],
]

/** All entries, read-only: the node is configured where it is started. */
export function nodeConfigEntries(
  settings: EngineSettings,
  nodeConfig: Readonly<Record<string, string>>,
  folder: string,
): readonly ConfigEntry[] {
  const own = Object.entries(ENGINE_SETTINGS).map(([name, setting]) => {
    const value = settings[name as keyof EngineSettings]
    return {
      ...entry(name, String(value), 'long', value === setting.default ? 'default' : 'node'),
      documentation: setting.doc,
    }
  })
  const topics = describeTopicConfig({}, nodeConfig, settings)
    .filter(({ name }) => hasBrokerName(name))
    .map((each): ConfigEntry => ({ ...each, name: brokerName(each.name), readOnly: true }))
  return [
    ...own,
    ...topics,
    ...FIXED.map(([name, value, type]) => entry(name, value, type, 'default')),
    entry('broker.id', String(settings['node.id']), 'int', 'node'),
    entry('log.dir', folder, 'string', 'node'),
    entry('log.dirs', folder, 'string', 'node'),
  ]
}

const entry = (
  name: string,
  value: string,
  type: ConfigType,
  source: ConfigSource,
): ConfigEntry => ({ name, value, source, type, readOnly: true, documentation: '' })
