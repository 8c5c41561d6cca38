/**
 * The node's defaults of topic configuration, under Kafka's broker names; a topic's own
 * configuration (`topics create --config retention.ms=...`) wins over them.
 */
import type { SettingValues } from '@millrace/base'
import type { Config } from './resolve-config.ts'

export const TOPIC_DEFAULT_SETTINGS = {
  'log.durability': {
    type: 'choice',
    default: 'sync',
    choices: ['sync', 'interval', 'os'],
    doc: 'When an append is acknowledged: after its sync; or after its write, synced within flush.interval.ms, or at the next checkpoint.',
  },
  'log.retention.ms': {
    type: 'integer',
    default: 604_800_000,
    min: -1,
    max: 9_007_199_254_740_991,
    doc: 'How long records are kept; -1: for ever.',
  },
  'log.retention.bytes': {
    type: 'integer',
    default: -1,
    min: -1,
    max: 9_007_199_254_740_991,
    doc: 'Largest size of a partition; -1: no limit.',
  },
  'log.segment.bytes': {
    type: 'integer',
    default: 134_217_728,
    min: 4096,
    max: 1_073_741_824,
    doc: 'Size at which a segment is closed.',
  },
  'log.roll.ms': {
    type: 'integer',
    default: 604_800_000,
    min: 1,
    max: 9_007_199_254_740_991,
    doc: 'Age at which a segment is closed.',
  },
  'message.max.bytes': {
    type: 'integer',
    default: 1_048_588,
    min: 0,
    max: 15_728_640,
    doc: 'Largest record batch, as received.',
  },
  'log.message.timestamp.type': {
    type: 'choice',
    default: 'CreateTime',
    choices: ['CreateTime', 'LogAppendTime'],
    doc: 'Whose clock the timestamps show.',
  },
} as const

/** The values of {@link TOPIC_DEFAULT_SETTINGS}. */
export type TopicDefaultSettings = SettingValues<typeof TOPIC_DEFAULT_SETTINGS>

/** A topic's own name of each default. */
const TOPIC_NAMES: Readonly<Record<keyof TopicDefaultSettings, string>> = {
  'log.durability': 'durability',
  'log.retention.ms': 'retention.ms',
  'log.retention.bytes': 'retention.bytes',
  'log.segment.bytes': 'segment.bytes',
  'log.roll.ms': 'segment.ms',
  'message.max.bytes': 'max.message.bytes',
  'log.message.timestamp.type': 'message.timestamp.type',
}

/** What somebody has set, by topics' names, as text; the engine knows the rest itself. */
export function topicDefaultsOf(config: Config): Readonly<Record<string, string>> {
  const defaults: Record<string, string> = {}
  for (const [key, name] of Object.entries(TOPIC_NAMES)) {
    const line = config.get(key)
    if (line !== undefined && line.source !== 'default') defaults[name] = String(line.value)
  }
  return defaults
}
