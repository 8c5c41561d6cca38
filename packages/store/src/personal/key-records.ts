/**
 * The records of the keys topic: the key is the id of a subject's key, the value the wrapped key as
 * JSON, or null when it was destroyed.
 */
import type { LogRecord } from '@millrace/log'
import type { OwnTopic } from '../own-topics/own-topic.ts'
import { isKeyId } from './key-ids.ts'
import type { WrappedKey } from './master-keys.ts'

/**
 * How long, beyond `max.compaction.lag.ms`, the bytes of a forgotten key may still lie in a segment:
 * until the cleaner has come round, a checkpoint was written, and the old file is deleted
 * (`file.delete.delay.ms` of a cluster is a minute). A cluster closes a segment with the next record
 * only; there the bound counts from that one.
 */
export const KEY_GONE_MARGIN_MS = 120_000
/**
 * Records stay at least this long, so that a node which reads the topic sees a key, its end and what
 * came in between as they happened.
 */
const LAG_MIN_MS = 60_000
const SEGMENT_BYTES = 16 * 1024 * 1024

/** The keys topic. `goneMs`: within how long the bytes of a forgotten key are to be gone. */
export function keysTopic(name: string, goneMs: number): OwnTopic {
  const lagMs = Math.max(1, goneMs - KEY_GONE_MARGIN_MS)
  return {
    name,
    configs: {
      'cleanup.policy': 'compact',
      'max.compaction.lag.ms': String(lagMs),
      'min.compaction.lag.ms': String(Math.min(LAG_MIN_MS, Math.floor(lagMs / 2))),
      'min.cleanable.dirty.ratio': '0.1',
      'segment.ms': String(lagMs),
      'segment.bytes': String(SEGMENT_BYTES),
    },
    // Deleting by age or size would erase the data of everybody whose key is old.
    required: { 'cleanup.policy': 'compact' },
  }
}

/** What a record of the keys topic says; null: not written by a store. */
export type KeyRecord = { readonly id: string; readonly key: WrappedKey | null }

/** The value of a record that holds a key. */
export const encodeKey = ({ master, wrapped }: WrappedKey): string =>
  JSON.stringify({ v: 1, master, wrapped: wrapped.toString('base64url') })

/** Reads a record. */
export function decodeKeyRecord(record: LogRecord): KeyRecord | null {
  const id = record.key?.toString() ?? ''
  if (!isKeyId(id)) return null
  if (record.value === null) return { id, key: null }
  let value: { v?: unknown; master?: unknown; wrapped?: unknown } | null
  try {
    value = JSON.parse(record.value.toString())
  } catch {
    return null
  }
  if (value?.v !== 1 || typeof value.master !== 'string' || typeof value.wrapped !== 'string') {
    return null
  }
  return {
    id,
    key: { master: value.master, wrapped: Buffer.from(value.wrapped, 'base64url') },
  }
}
