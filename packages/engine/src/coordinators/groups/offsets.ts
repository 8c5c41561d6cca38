/**
 * Committed offsets: what a commit, a deletion, an expiry decides. State is in the machine; this
 * only reads it and makes records.
 */
import {
  type CommitRequest,
  type FetchedOffset,
  LogError,
  type PartitionOutcome,
  type TopicPartition,
} from '@millrace/log'
import type { CoordinatorRecord } from '../../machines/record-sink.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { GroupMachine } from './group-machine.ts'
import { offsetRecord, type StoredOffset } from './records.ts'
import type { GroupSettings } from './settings.ts'

const MINUTE_MS = 60_000
const NO_OFFSET = -1

/** What the offset decisions need to know. */
export type OffsetRules = {
  readonly machine: GroupMachine
  readonly settings: GroupSettings
  readonly partitionExists: (topic: string, partition: number) => boolean
}

/** Records and the answer that waits for them. */
export type OffsetDecision = {
  readonly records: readonly CoordinatorRecord[]
  readonly outcomes: readonly PartitionOutcome[]
}

/** A commit of a caller that may commit; partitions are judged one by one. */
export function decideCommit(
  rules: OffsetRules,
  request: CommitRequest,
  now: number,
): OffsetDecision {
  const { machine, settings } = rules
  const records: CoordinatorRecord[] = []
  const fresh = new Set<string>()
  const outcomes = request.offsets.map((entry): PartitionOutcome => {
    const { topic, partition } = entry
    const outcome = { topic, partition }
    const error = commitError(rules, entry)
    if (error !== null) return { ...outcome, error }
    if (machine.offset(request.groupId, topic, partition) === undefined) {
      fresh.add(`${topic} ${partition}`)
      const most = settings['group.offsets.max']
      if (machine.offsetCount(request.groupId) + fresh.size > most) {
        const detail = `a group holds offsets for at most ${most} partitions (group.offsets.max)`
        return { ...outcome, error: new LogError('THROTTLING_QUOTA_EXCEEDED', detail) }
      }
    }
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
  machine: GroupMachine,
  groupId: string,
  { topic, partition }: TopicPartition,
): FetchedOffset {
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
export function fetchedOffsets(machine: GroupMachine, groupId: string): FetchedOffset[] {
  const found: FetchedOffset[] = []
  for (const [topic, partitions] of machine.offsets(groupId)) {
    for (const partition of partitions.keys()) {
      found.push(fetchedOffset(machine, groupId, { topic, partition }))
    }
  }
  return found
}

/** Deletion of single offsets; topics that a live consumer reads keep theirs. */
export function decideOffsetDeletion(
  rules: OffsetRules,
  group: ClassicGroup,
  partitions: readonly TopicPartition[],
): OffsetDecision {
  const records: CoordinatorRecord[] = []
  const outcomes = partitions.map(({ topic, partition }): PartitionOutcome => {
    const outcome = { topic, partition }
    if (!rules.partitionExists(topic, partition)) {
      return { ...outcome, error: new LogError('UNKNOWN_TOPIC_OR_PARTITION') }
    }
    if (group.isSubscribedTo(topic)) {
      return { ...outcome, error: new LogError('GROUP_SUBSCRIBED_TO_TOPIC') }
    }
    if (rules.machine.offset(group.groupId, topic, partition) !== undefined) {
      records.push(offsetRecord(group.groupId, topic, partition, null))
    }
    return outcome
  })
  return { records, outcomes }
}

/**
 * Deletes what has expired: of an empty group everything, so long after it became empty; of one that
 * never had members, each offset so long after its commit.
 */
export function expiredOffsets(
  rules: OffsetRules,
  group: ClassicGroup,
  now: number,
): readonly CoordinatorRecord[] {
  if (group.state !== 'Empty' || group.pendingJoins.size > 0) return []
  const retention = rules.settings['offsets.retention.minutes'] * MINUTE_MS
  const emptySince = group.protocolType === null ? -1 : group.stateTimestamp
  return rules.machine.tombstones(group.groupId, (_topic, _partition, value) => {
    // A commit into an empty group (a reset by an operator) must not expire before its own time.
    const since = Math.max(emptySince, value.commitTimestamp)
    return now - since >= retention
  })
}
