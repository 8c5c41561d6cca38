/** The engine's settings: every limit by name, with its default and its bounds. */
import { type IntegerSetting, integer, type SettingValues } from '@millrace/base'
import { DECOMPRESSED_BYTES_MAX } from '@millrace/log'

const MIB = 1 << 20

/** All settings of the engine. */
export const ENGINE_SETTINGS: {
  readonly 'append.decompressed.max.bytes': IntegerSetting
  readonly 'append.decompressed.max.ratio': IntegerSetting
  readonly 'append.decompressed.turn.bytes': IntegerSetting
  readonly 'append.queue.max.bytes': IntegerSetting
  readonly 'checkpoint.bytes': IntegerSetting
  readonly 'checkpoint.interval.ms': IntegerSetting
  readonly 'clock.jump.hold.ms': IntegerSetting
  readonly 'clock.jump.max.ms': IntegerSetting
  readonly 'clock.start.jump.max.ms': IntegerSetting
  readonly 'disk.reserve.bytes': IntegerSetting
  readonly 'fetch.max.bytes': IntegerSetting
  readonly 'fetch.max.wait.ms': IntegerSetting
  readonly 'fetch.waiting.max': IntegerSetting
  readonly 'files.open.max': IntegerSetting
  readonly 'flush.interval.ms': IntegerSetting
  readonly 'health.repeat.ms': IntegerSetting
  readonly 'journal.file.bytes': IntegerSetting
  readonly 'journal.group.max.bytes': IntegerSetting
  readonly 'journal.max.bytes': IntegerSetting
  readonly 'journal.stall.max.ms': IntegerSetting
  readonly 'log.cleaner.backoff.ms': IntegerSetting
  readonly 'log.cleaner.dedupe.buffer.size': IntegerSetting
  readonly 'log.cleaner.io.max.bytes.per.second': IntegerSetting
  readonly 'log.retention.check.interval.ms': IntegerSetting
  readonly 'node.id': IntegerSetting
  readonly 'num.partitions': IntegerSetting
  readonly 'partition.producers.max': IntegerSetting
  readonly 'partitions.max': IntegerSetting
  readonly 'producer.id.expiration.ms': IntegerSetting
  readonly 'producers.max': IntegerSetting
  readonly 'segment.memory.max.bytes': IntegerSetting
  readonly 'segments.memory.max.bytes': IntegerSetting
  readonly 'topics.max': IntegerSetting
} = {
  'append.decompressed.max.bytes': integer(
    DECOMPRESSED_BYTES_MAX,
    MIB,
    DECOMPRESSED_BYTES_MAX,
    'Most bytes that a batch may decompress to; readers open no larger ones either.',
  ),
  'append.decompressed.max.ratio': integer(
    100,
    1,
    100_000,
    'Most bytes that a batch may decompress to for each compressed one; 16 MiB are always allowed.',
  ),
  'append.decompressed.turn.bytes': integer(
    MIB,
    0,
    64 * MIB,
    'Bytes that the main thread decompresses in 10 ms to look at batches, a quarter of it for one batch; other threads do the rest.',
  ),
  'append.queue.max.bytes': integer(
    128 * MIB,
    MIB,
    4096 * MIB,
    'Bytes of appends that may wait for a verdict or for room in the journal; beyond it they are refused, retriably.',
  ),
  'checkpoint.bytes': integer(
    32 * MIB,
    4096,
    1024 * MIB,
    'Journal bytes after which segments are synced.',
  ),
  'checkpoint.interval.ms': integer(
    10_000,
    100,
    3_600_000,
    'Time after which segments are synced.',
  ),
  'clock.jump.hold.ms': integer(
    604_800_000,
    0,
    31_536_000_000,
    'How long a jump of the wall clock ahead is not taken for time: nothing ages by it meanwhile.',
  ),
  'clock.jump.max.ms': integer(
    60_000,
    1,
    86_400_000,
    'The wall clock may move by so much against the monotonic one between two looks a second apart; more is a jump.',
  ),
  'clock.start.jump.max.ms': integer(
    86_400_000,
    1,
    31_536_000_000,
    'A start so much later than the end before it, by the wall clock, counts as a jump as well.',
  ),
  'disk.reserve.bytes': integer(
    64 * MIB,
    0,
    2 ** 40,
    'Free space below which client appends are refused.',
  ),
  'fetch.max.bytes': integer(55 * MIB, 1024, 1024 * MIB, 'Most bytes of one fetch answer.'),
  'fetch.max.wait.ms': integer(60_000, 0, 600_000, 'Longest wait of a fetch for more bytes.'),
  'fetch.waiting.max': integer(100_000, 1, 10_000_000, 'Fetches that may wait at once.'),
  'files.open.max': integer(
    4096,
    16,
    1_000_000,
    'Segment files open at once; fewer where the process may not open as many. Unsynced ones, and those being read, take two fifths each at most.',
  ),
  'flush.interval.ms': integer(
    100,
    1,
    60_000,
    'Longest time until an append with durability interval is synced.',
  ),
  'health.repeat.ms': integer(
    60_000,
    1000,
    86_400_000,
    'How often a quarantine, a full disk or a read-only engine is said again while it lasts.',
  ),
  'journal.file.bytes': integer(16 * MIB, 64 * 1024, 256 * MIB, 'Size of one journal file.'),
  'journal.group.max.bytes': integer(
    4 * MIB,
    16 * 1024,
    64 * MIB,
    'Size at which a commit group takes no further entries.',
  ),
  'journal.max.bytes': integer(256 * MIB, 64 * 1024, 16_384 * MIB, 'Size of the whole journal.'),
  'journal.stall.max.ms': integer(
    30_000,
    100,
    600_000,
    'A write or sync of the journal that takes longer, while this process is awake to see it, counts as failed.',
  ),
  'log.cleaner.backoff.ms': integer(
    15_000,
    100,
    86_400_000,
    'How often compacted partitions are looked at.',
  ),
  'log.cleaner.dedupe.buffer.size': integer(
    32 * MIB,
    1024,
    1024 * MIB,
    'Memory for the keys of one round of cleaning, 24 bytes each at three quarters; a partition with more takes more rounds.',
  ),
  'log.cleaner.io.max.bytes.per.second': integer(
    32 * MIB,
    64 * 1024,
    2 ** 40,
    'Bytes that cleaning reads and writes in a second.',
  ),
  'log.retention.check.interval.ms': integer(
    300_000,
    100,
    86_400_000,
    'How often old segments are looked for.',
  ),
  'node.id': integer(1, 0, 2 ** 31 - 1, 'Id of this node in metadata.'),
  'num.partitions': integer(12, 1, 10_000, 'Partitions of a topic that does not say.'),
  'partition.producers.max': integer(
    10_000,
    1,
    1_000_000,
    'Idempotent producers remembered for each partition.',
  ),
  'partitions.max': integer(10_000, 1, 1_000_000, 'Partitions of all topics together.'),
  'producer.id.expiration.ms': integer(
    86_400_000,
    1000,
    2 ** 40,
    'A producer that is silent for longer is forgotten.',
  ),
  'producers.max': integer(
    100_000,
    1,
    10_000_000,
    'Idempotent producers remembered by all partitions together, and one more in each; a partition forgets its own that are silent for longest.',
  ),
  'segment.memory.max.bytes': integer(
    8192,
    0,
    MIB,
    'A segment with more bytes gets a file; smaller ones are kept in memory and in checkpoints.',
  ),
  'segments.memory.max.bytes': integer(
    32 * MIB,
    0,
    1024 * MIB,
    'Bytes of all segments without a file; beyond it small ones get files too.',
  ),
  'topics.max': integer(10_000, 1, 1_000_000, 'Topics.'),
}

/** The values of {@link ENGINE_SETTINGS}. */
export type EngineSettings = SettingValues<typeof ENGINE_SETTINGS>
