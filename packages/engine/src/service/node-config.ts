/**
 * The node's configuration as DescribeConfigs shows it for a broker: our settings under Kafka's
 * names where Kafka has one, and the topic defaults under their `log.` names. Tools read some of
 * them (num.partitions, message.max.bytes) before they do anything else.
 */
import type { ConfigEntry, ConfigSource, ConfigType } from '@millrace/log'
import { GROUP_SETTINGS, type GroupSettings } from '../group-settings.ts'
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
  groupSettings: GroupSettings,
  nodeConfig: Readonly<Record<string, string>>,
  folder: string,
): readonly ConfigEntry[] {
  const own = [
    ...ownEntries(ENGINE_SETTINGS, settings),
    ...ownEntries(GROUP_SETTINGS, groupSettings),
  ]
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

const ownEntries = <Name extends string>(
  settings: Readonly<Record<Name, { readonly default: unknown; readonly doc: string }>>,
  values: Readonly<Record<Name, unknown>>,
): readonly ConfigEntry[] =>
  (Object.keys(settings) as Name[]).map(name => {
    const { default: fallback, doc } = settings[name]
    const source = values[name] === fallback ? 'default' : 'node'
    return { ...entry(name, String(values[name]), 'long', source), documentation: doc }
  })

const entry = (
  name: string,
  value: string,
  type: ConfigType,
  source: ConfigSource,
): ConfigEntry => ({ name, value, source, type, readOnly: true, documentation: '' })
