/**
 * The node's configuration as DescribeConfigs shows it for a broker: our settings under Kafka's
 * names where Kafka has one, and the topic defaults under their `log.` names. Tools read some of
 * them (num.partitions, message.max.bytes) before they do anything else.
 */
import type { ConfigEntry } from '@millrace/log'
import { describeTopicConfig } from '../partitions/topic-config.ts'
import { ENGINE_SETTINGS, type EngineSettings } from '../settings.ts'

/** Kafka's broker name of a topic default, where it is not `log.` in front of the topic's name. */
const BROKER_NAMES: Readonly<Record<string, string>> = {
  'compression.type': 'compression.type',
  'delete.retention.ms': 'log.cleaner.delete.retention.ms',
  'max.compaction.lag.ms': 'log.cleaner.max.compaction.lag.ms',
  'max.message.bytes': 'message.max.bytes',
  'min.cleanable.dirty.ratio': 'log.cleaner.min.cleanable.ratio',
  'min.compaction.lag.ms': 'log.cleaner.min.compaction.lag.ms',
  'min.insync.replicas': 'min.insync.replicas',
  'unclean.leader.election.enable': 'unclean.leader.election.enable',
  'segment.ms': 'log.roll.ms',
}

/** All entries, read-only: the node is configured where it is started. */
export function nodeConfigEntries(
  settings: EngineSettings,
  nodeConfig: Readonly<Record<string, string>>,
): readonly ConfigEntry[] {
  const own = Object.entries(ENGINE_SETTINGS).map(([name, setting]): ConfigEntry => {
    const value = settings[name as keyof EngineSettings]
    return {
      name,
      value: String(value),
      source: value === setting.default ? 'default' : 'node',
      type: 'long',
      readOnly: true,
      documentation: setting.doc,
    }
  })
  const topics = describeTopicConfig({}, nodeConfig).map(
    (entry): ConfigEntry => ({
      ...entry,
      name: BROKER_NAMES[entry.name] ?? `log.${entry.name}`,
      readOnly: true,
    }),
  )
  return [
    ...own,
    ...topics,
    fixed('default.replication.factor', '1'),
    fixed('broker.id', String(settings['node.id'])),
  ]
}

const fixed = (name: string, value: string): ConfigEntry => ({
  name,
  value,
  source: 'default',
  type: 'int',
  readOnly: true,
  documentation: '',
})
