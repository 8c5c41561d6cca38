/**
 * How far a node has read one of the store's own topics into its derived data. Kept beside that data
 * and written with it, so that both are of one moment.
 */
import type { Offset } from '@millrace/log'
import type { KeyValue, KeyValueChange } from '../kv/key-value.ts'
import type { OwnTopicState } from './own-topic.ts'

/** Where to read on; 0 when nothing was read of this topic, or the log was put back since. */
export function readPosition(
  kv: KeyValue,
  key: Buffer,
  { topicId, end }: Pick<OwnTopicState, 'topicId' | 'end'>,
): Offset {
  const kept = parsed(kv.getSync(key))
  const { position } = kept
  if (kept.topicId !== topicId || !Number.isSafeInteger(position)) return 0
  return (position as number) <= end ? (position as number) : 0
}

/** Everything below `position` has been read. */
export function positionRead(key: Buffer, topicId: string, position: Offset): KeyValueChange {
  return { type: 'put', key, value: Buffer.from(JSON.stringify({ topicId, position })) }
}

function parsed(value: Buffer | undefined): { topicId?: unknown; position?: unknown } {
  try {
    return value === undefined ? {} : (JSON.parse(value.toString()) ?? {})
  } catch {
    return {} // derived data: what cannot be read is read again from the topic
  }
}
