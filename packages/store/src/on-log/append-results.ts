/** What the caller of an append is told when it counts. */
import { bucketCheckpoint } from '../checkpoint.ts'
import { StoreError } from '../errors.ts'
import type { Appended, StreamVersion } from '../port.ts'
import { appendIdOf, type EventFacts } from '../rule/facts.ts'
import type { RememberedCommand } from '../rule/fold-state.ts'
import type { PendingAppend } from './pending.ts'

/** The fold accepted it. */
export function accepted(
  log: string,
  pending: PendingAppend,
  records: readonly EventFacts[],
): Appended {
  const first = records[0] as EventFacts
  const last = records[records.length - 1] as EventFacts
  const { bucket, tenant } = pending.request
  return {
    ok: true,
    version: last.version,
    firstVersion: first.version,
    appendId: appendIdOf(first.appendId),
    duplicate: false,
    bucket: bucket.number,
    firstOffset: first.offset,
    lastOffset: last.offset,
    checkpoint: bucketCheckpoint(log, tenant, bucket.category.name, bucket.number, last.offset + 1),
  }
}

/** Its command id is remembered: the first result. */
export function duplicate(
  log: string,
  pending: PendingAppend,
  command: RememberedCommand,
): Appended {
  const { bucket, tenant } = pending.request
  return {
    ok: true,
    version: command.lastVersion,
    firstVersion: command.firstVersion,
    appendId: appendIdOf(command.appendId),
    duplicate: true,
    bucket: bucket.number,
    firstOffset: command.firstOffset,
    lastOffset: command.lastOffset,
    checkpoint: bucketCheckpoint(
      log,
      tenant,
      bucket.category.name,
      bucket.number,
      command.lastOffset + 1,
    ),
  }
}

/** It had no events, and what it expected holds. */
export function confirmed(log: string, pending: PendingAppend, version: StreamVersion): Appended {
  const { bucket, tenant, appendId } = pending.request
  const { name } = bucket.category
  return {
    ok: true,
    version,
    firstVersion: version + 1,
    appendId: appendId ?? '',
    duplicate: false,
    bucket: bucket.number,
    firstOffset: -1,
    lastOffset: -1,
    checkpoint: bucketCheckpoint(log, tenant, name, bucket.number, bucket.position),
  }
}

/** No outcome was known in its time. */
export const timedOut = (pending: PendingAppend): StoreError =>
  new StoreError('APPEND_TIMED_OUT', `stream ${pending.request.id}: no outcome in its time`)
