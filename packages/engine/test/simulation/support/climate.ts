// What a seed draws first: how the machine is configured, what its clients do, what goes wrong.
import type { EngineSettings } from '../../../src/settings.ts'
import { CALM, type Climate, drawClimate, type Prng } from '../../../src/simulation.ts'
import type { Durability } from './oracle.ts'

export type TopicPlan = {
  readonly name: string
  readonly partitions: number
  readonly durability: Durability
  readonly retention: 'none' | 'time' | 'size'
  readonly configs: Readonly<Record<string, string>>
}

/** Whether jumps of the clock are held for longer than any run. */
export const holdsJumps = ({ settings }: Plan): boolean =>
  settings['clock.jump.hold.ms'] === FOR_EVER_MS

/** How often each operation is drawn, as weights. */
export type Mix = Readonly<Record<Operation, number>>

export type Operation =
  | 'plain'
  | 'idempotent'
  | 'duplicate'
  | 'fetch'
  | 'listOffsets'
  | 'commit'
  | 'fetchOffsets'
  | 'deleteRecords'
  | 'deleteTopic'
  | 'createTopic'
  | 'addPartitions'
  | 'newProducer'
  | 'rest'
  | 'timeJump'
  | 'pause'

export type Plan = {
  readonly settings: Partial<EngineSettings>
  readonly topics: readonly TopicPlan[]
  readonly mix: Mix
  readonly clients: number
  readonly operations: number
  readonly crashes: number
  readonly recordBytesMax: number
  readonly latencyMs: number
  readonly climate: Climate
  /** Files that the process may have open at once. */
  readonly descriptorsMax: number
  /** Of the lives, how many are spent on a disk that has no room from start to end. */
  readonly fullLives: number
}

/** Retention by time, where a topic has it. */
export const RETENTION_MS = 3_600_000
/** A start so much later counts as a jump of the clock: what was written down last is a minute old. */
export const START_JUMP_MS = 120_000
/** Longer than any run: nothing that is fresh may go because of a jump. */
const FOR_EVER_MS = 31_536_000_000

export function drawPlan(prng: Prng): Plan {
  const faulty = prng.chance(0.4)
  const topics = Array.from({ length: prng.between(1, 3) }, (_, i) => drawTopic(prng, i))
  return {
    settings: {
      'journal.file.bytes': 65_536,
      'journal.max.bytes': 65_536 * prng.between(2, 8),
      'journal.group.max.bytes': prng.pick([16_384, 32_768]),
      'journal.stall.max.ms': prng.pick([500, 5000, 30_000]),
      'checkpoint.bytes': prng.pick([4096, 8192, 32_768, 1 << 20]),
      'checkpoint.interval.ms': prng.pick([100, 1000, 10_000]),
      'log.retention.check.interval.ms': prng.pick([100, 1000, 60_000]),
      'flush.interval.ms': prng.pick([1, 20, 100]),
      'producer.id.expiration.ms': 2 ** 40,
      'files.open.max': 16,
      'clock.jump.max.ms': 30_000,
      'clock.start.jump.max.ms': START_JUMP_MS,
      'clock.jump.hold.ms': prng.pick([1000, FOR_EVER_MS, FOR_EVER_MS]),
      'disk.reserve.bytes': 0,
      'segment.memory.max.bytes': prng.pick([0, 0, 600, 4096, 8192]),
      'segments.memory.max.bytes': prng.pick([2000, 1 << 20]),
    },
    topics,
    mix: drawMix(prng),
    clients: prng.between(1, 5),
    operations: prng.between(100, 300),
    crashes: prng.below(6),
    recordBytesMax: prng.pick([40, 300, 300, 2000, 12_000]),
    latencyMs: prng.pick([0, 0.2, 1, 10]),
    climate: faulty ? drawClimate(prng) : CALM,
    descriptorsMax: prng.pick([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 48]),
    fullLives: prng.chance(0.15) ? prng.fraction() : 0,
  }
}

function drawTopic(prng: Prng, i: number): TopicPlan {
  const durability = prng.chance(0.8) ? 'sync' : prng.pick(['interval', 'os'] as const)
  const retention = prng.pick(['none', 'none', 'time', 'size'] as const)
  const configs: Record<string, string> = {
    'segment.bytes': String(prng.pick([4096, 8192, 16_384])),
    'retention.ms': '-1',
    // Producers repeat what they sent before the clock went back.
    'message.timestamp.after.max.ms': String(2 ** 50),
    durability,
  }
  if (prng.chance(0.2)) configs['segment.ms'] = String(prng.pick([100, 10_000]))
  if (retention === 'time') configs['retention.ms'] = String(RETENTION_MS)
  if (retention === 'size') configs['retention.bytes'] = String(prng.pick([4096, 16_384]))
  return { name: `t${i}`, partitions: prng.between(1, 5), durability, retention, configs }
}

function drawMix(prng: Prng): Mix {
  const weight = (most: number): number => (prng.chance(0.75) ? prng.fraction() * most : 0)
  return {
    plain: 1 + weight(10),
    idempotent: weight(20),
    duplicate: weight(2),
    fetch: weight(6),
    listOffsets: weight(1),
    commit: weight(4),
    fetchOffsets: weight(2),
    deleteRecords: weight(2),
    deleteTopic: weight(0.6),
    createTopic: weight(1),
    addPartitions: weight(0.5),
    newProducer: weight(0.5),
    rest: weight(4),
    timeJump: weight(0.5),
    pause: weight(0.3),
  }
}

export function drawOperation(prng: Prng, mix: Mix): Operation {
  const entries = Object.entries(mix) as [Operation, number][]
  let at = prng.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [operation, weight] of entries) {
    at -= weight
    if (at < 0) return operation
  }
  return 'plain'
}
