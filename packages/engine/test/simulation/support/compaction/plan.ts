// What a seed of the compaction's simulation draws first.
import { COMPRESSIONS, type Compression } from '@millrace/log'
import type { EngineSettings } from '../../../../src/settings.ts'
import { CALM, type Climate, drawClimate, type Prng } from '../../../../src/simulation.ts'
import type { TopicRules } from './model.ts'

export type CompactedTopic = {
  readonly name: string
  readonly partitions: number
  readonly configs: Readonly<Record<string, string>>
  readonly rules: TopicRules
  readonly appendTime: boolean
  readonly codecs: readonly Compression[]
}

export type CompactionPlan = {
  readonly settings: Partial<EngineSettings>
  readonly topics: readonly CompactedTopic[]
  readonly keys: number
  readonly valueBytesMax: number
  readonly tombstones: number
  readonly clients: number
  readonly operations: number
  readonly crashes: number
  readonly latencyMs: number
  readonly climate: Climate
}

/** How long a pass of the cleaner waits for the next one. */
export const BACKOFF_MS = 100
export const CHECKPOINT_MS = 200

export function drawCompactionPlan(prng: Prng): CompactionPlan {
  return {
    settings: {
      'journal.file.bytes': 65_536,
      'journal.max.bytes': 65_536 * prng.between(2, 8),
      'journal.group.max.bytes': 16_384,
      'journal.stall.max.ms': prng.pick([500, 30_000]),
      'checkpoint.bytes': prng.pick([4096, 32_768, 1 << 20]),
      'checkpoint.interval.ms': CHECKPOINT_MS,
      'log.retention.check.interval.ms': prng.pick([100, 1000]),
      'log.cleaner.backoff.ms': BACKOFF_MS,
      // 42 keys, 768 keys: one round or many.
      'log.cleaner.dedupe.buffer.size': prng.pick([1024, 1024, 24_576]),
      'log.cleaner.io.max.bytes.per.second': prng.pick([65_536, 1 << 20, 2 ** 30]),
      'producer.id.expiration.ms': 2 ** 40,
      'files.open.max': 16,
      'disk.reserve.bytes': 0,
    },
    topics: Array.from({ length: prng.between(1, 2) }, (_, i) => drawTopic(prng, i)),
    keys: prng.pick([1, 5, 30, 100]),
    valueBytesMax: prng.pick([20, 100, 600, 3000]),
    tombstones: prng.pick([0, 0.1, 0.4]),
    clients: prng.between(1, 4),
    operations: prng.between(60, 200),
    crashes: prng.below(5),
    latencyMs: prng.pick([0, 0.2, 1, 10]),
    climate: prng.chance(0.3) ? drawClimate(prng) : CALM,
  }
}

function drawTopic(prng: Prng, i: number): CompactedTopic {
  const deleteRetentionMs = prng.pick([0, 50, 1000, 20_000])
  const minLagMs = prng.pick([0, 0, 0, 300, 2000])
  const maxLagMs = prng.chance(0.6) ? minLagMs + prng.pick([1, 200, 3000]) : null
  const deletes = prng.chance(0.2)
  const appendTime = prng.chance(0.2)
  const configs: Record<string, string> = {
    'cleanup.policy': deletes ? 'compact,delete' : 'compact',
    'segment.bytes': String(prng.pick([4096, 4096, 16_384])),
    'retention.ms': '-1',
    'delete.retention.ms': String(deleteRetentionMs),
    'min.compaction.lag.ms': String(minLagMs),
    'min.cleanable.dirty.ratio': String(prng.pick([0, 0.1, 0.5, 1])),
    'message.timestamp.type': appendTime ? 'LogAppendTime' : 'CreateTime',
  }
  if (maxLagMs !== null) configs['max.compaction.lag.ms'] = String(maxLagMs)
  if (deletes && prng.chance(0.5)) configs['retention.bytes'] = '16384'
  if (prng.chance(0.2)) configs['segment.ms'] = String(prng.pick([50, 1000]))
  return {
    name: `t${i}`,
    partitions: prng.between(1, 3),
    configs,
    rules: { deleteRetentionMs, minLagMs, maxLagMs, deletes },
    appendTime,
    codecs: prng.pick([['none'], ['none'], ['none', 'lz4'], COMPRESSIONS]),
  }
}
