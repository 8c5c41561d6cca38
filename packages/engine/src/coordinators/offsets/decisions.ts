/**
 * Committed offsets: what a commit, a deletion, an expiry decides. State is in the machine; this
 * only reads it and makes records.
 */
import {
  type CommitRequest,
  type FetchedOffset,
  LogError,
  type MeantPartition,
  type PartitionOutcome,
  type Timestamp,
  type TopicPartition,
} from '@millrace/log'
import type { GroupSettings } from '../../group-settings.ts'
import type { MachineRecord } from '../../machines/machine.ts'
import type { OffsetsMachine } from './offsets-machine.ts'
import { offsetRecord, type StoredOffset } from './records.ts'

const MINUTE_MS = 60_000
const NO_OFFSET = -1

/** What the offset decisions need to know. */
export type OffsetRules = {
  readonly machine: OffsetsMachine
  readonly settings: GroupSettings
  readonly partitionExists: (topic: string, partition: number) => boolean
  /** Whether a name stands for another topic than the one with this id; absent: never. */
  readonly isAnother?: (topic: string, topicId: string | undefined) => boolean
}

/** What offsets need to know of the group that holds them, whatever its protocol. */
export interface OffsetOwner {
  readonly groupId: string
  /** What live members read now: offsets of such topics stay. Asked once for many topics. */
  subscription(): (topic: string) => boolean
  /**
   * From when on an offset of a topic that nobody reads ages, in ms since the epoch: -1 for its own
   * commit; null where offsets of this group do not age now.
   */
  readonly offsetsAgeSince: number | null
}

/** Records and the answer that waits for them. */
export type OffsetDecision = {
  readonly records: readonly MachineRecord[]
  readonly outcomes: readonly PartitionOutcome[]
}

/** A commit of a caller that may commit; partitions are judged one by one. */
export function decideCommit(
  rules: OffsetRules,
  request: CommitRequest,
  now: number,
): OffsetDecision {
  const { machine, settings } = rules
  const records: MachineRecord[] = []
  const fresh = new Set<string>()
  let bytes = machine.bytes
  const outcomes = request.offsets.map((entry): PartitionOutcome => {
    const { topic, partition } = entry
    const outcome = { topic, partition }
    const error = commitError(rules, entry)
    if (error !== null) return { ...outcome, error }
    if (machine.offset(request.groupId, topic, partition) === undefined) {
      fresh.add(`${topic} ${partition}`)
      const most = settings['group.offsets.max']
      if (machine.count(request.groupId) + fresh.size > most) {
        const detail = `a group holds offsets for at most ${most} partitions (group.offsets.max)`
        return { ...outcome, error: new LogError('INVALID_COMMIT_OFFSET_SIZE', detail) }
      }
    }
    const more = machine.bytesOf(request.groupId, topic, partition, entry.metadata ?? '')
    const most = settings['offsets.total.max.bytes']
    if (more > 0 && bytes + more > most) {
      const detail = `committed offsets have ${bytes} bytes of ${most} (offsets.total.max.bytes)`
      return { ...outcome, error: new LogError('INVALID_COMMIT_OFFSET_SIZE', detail) }
    }
    bytes += more
    const value: StoredOffset = {
      offset: entry.offset,
      leaderEpoch: entry.leaderEpoch,
      metadata: entry.metadata ?? '',
      commitTimestamp: now,
    }
    records.push(offsetRecord(request.groupId, topic, partition, value))
    return outcome
  })
  return { records, outcomes }
}

function commitError(rules: OffsetRules, entry: CommitRequest['offsets'][number]): LogError | null {
  if (rules.isAnother?.(entry.topic, entry.topicId) === true) {
    return new LogError('UNKNOWN_TOPIC_ID')
  }
  if (!rules.partitionExists(entry.topic, entry.partition)) {
    return new LogError('UNKNOWN_TOPIC_OR_PARTITION')
  }
  if (!Number.isSafeInteger(entry.offset)) {
    return new LogError('INVALID_REQUEST', `offset ${entry.offset} is no safe integer`)
  }
  const most = rules.settings['offset.metadata.max.bytes']
  const bytes = entry.metadata === null ? 0 : Buffer.byteLength(entry.metadata)
  return bytes > most
    ? new LogError('OFFSET_METADATA_TOO_LARGE', `${bytes} bytes, ${most} allowed`)
    : null
}

/** What is committed for a partition. */
export function fetchedOffset(
  { machine, isAnother }: Pick<OffsetRules, 'machine' | 'isAnother'>,
  groupId: string,
  { topic, partition, topicId }: MeantPartition,
): FetchedOffset {
  if (isAnother?.(topic, topicId) === true) {
    const error = new LogError('UNKNOWN_TOPIC_ID')
    return { topic, partition, offset: NO_OFFSET, leaderEpoch: -1, metadata: '', error }
  }
  const found = machine.offset(groupId, topic, partition)
  return {
    topic,
    partition,
    offset: found?.offset ?? NO_OFFSET,
    leaderEpoch: found?.leaderEpoch ?? -1,
    metadata: found?.metadata ?? '',
  }
}

/** All that is committed for a group. */
export function fetchedOffsets(machine: OffsetsMachine, groupId: string): FetchedOffset[] {
  const found: FetchedOffset[] = []
  for (const [topic, partitions] of machine.offsets(groupId)) {
    for (const partition of partitions.keys()) {
      found.push(fetchedOffset({ machine }, groupId, { topic, partition }))
    }
  }
  return found
}

/** Deletion of single offsets; topics that a live consumer reads keep theirs. */
export function decideOffsetDeletion(
  rules: OffsetRules,
  group: OffsetOwner,
  partitions: readonly TopicPartition[],
): OffsetDecision {
  const records: MachineRecord[] = []
  const isRead = group.subscription()
  const deleted = new Set<StoredOffset>()
  const outcomes = partitions.map(({ topic, partition }): PartitionOutcome => {
    const outcome = { topic, partition }
    if (!rules.partitionExists(topic, partition)) {
      return { ...outcome, error: new LogError('UNKNOWN_TOPIC_OR_PARTITION') }
    }
    if (isRead(topic)) {
      return { ...outcome, error: new LogError('GROUP_SUBSCRIBED_TO_TOPIC') }
    }
    const stored = rules.machine.offset(group.groupId, topic, partition)
    if (stored !== undefined && !deleted.has(stored)) {
      deleted.add(stored)
      records.push(offsetRecord(group.groupId, topic, partition, null))
    }
    return outcome
  })
  return { records, outcomes }
}

/**
 * Which offsets of a group have expired: of topics that nobody reads, each so long after what its owner
 * says (KIP-211). Null where none of them ages now.
 */
export function expiry(
  rules: OffsetRules,
  group: OffsetOwner,
  ageOf: (timestamp: Timestamp) => number,
): OffsetChoice | null {
  const since = group.offsetsAgeSince
  if (since === null) return null
  const retention = rules.settings['offsets.retention.minutes'] * MINUTE_MS
  let isRead: ((topic: string) => boolean) | undefined
  return (topic, value) => {
    // A commit into an empty group (a reset by an operator) must not expire before its own time.
    if (ageOf(Math.max(since, value.commitTimestamp)) < retention) return false
    isRead ??= group.subscription()
    return !isRead(topic)
  }
}

/** Picks offsets. */
export type OffsetChoice = (topic: string, value: StoredOffset) => boolean

/** Records that delete offsets of a group. */
export type Tombstones = {
  readonly records: readonly MachineRecord[]
  /** Whether these are all that were chosen. */
  readonly complete: boolean
  /** Whether the group holds none behind them. */
  readonly last: boolean
}

/** Deletes what a group has committed in one topic, up to `bytesMax` of keys but at least one. */
export function topicTombstones(
  machine: OffsetsMachine,
  groupId: string,
  topic: string,
  bytesMax: number,
): Tombstones & { readonly bytes: number } {
  const records: MachineRecord[] = []
  let bytes = 0
  for (const partition of machine.offsetsIn(groupId, topic).keys()) {
    const record = offsetRecord(groupId, topic, partition, null)
    if (records.length > 0 && bytes + record.key.length > bytesMax) {
      return { records, complete: false, last: false, bytes }
    }
    bytes += record.key.length
    records.push(record)
  }
  return { records, complete: true, last: records.length === machine.count(groupId), bytes }
}

/** Deletes what `gone` picks, up to `bytesMax` of keys but at least one. */
export function tombstones(
  machine: OffsetsMachine,
  groupId: string,
  gone: OffsetChoice,
  bytesMax: number,
): Tombstones {
  const records: MachineRecord[] = []
  let bytes = 0
  for (const [topic, partitions] of machine.offsets(groupId)) {
    for (const [partition, value] of partitions) {
      if (!gone(topic, value)) continue
      const record = offsetRecord(groupId, topic, partition, null)
      bytes += record.key.length
      if (records.length > 0 && bytes > bytesMax) return { records, complete: false, last: false }
      records.push(record)
    }
  }
  return { records, complete: true, last: records.length === machine.count(groupId) }
}
