/** Records of a partition, one after the other, with nothing left out and nothing decoded twice. */
import {
  decodeBatches,
  type Log,
  LogError,
  type Offset,
  type RecordBatch,
  type RecordCursor,
  type Timestamp,
} from '@millrace/log'

const FETCH_BYTES = 4 * 1024 * 1024

/** A batch and where its records begin to be asked for. */
export type BatchFrom = { readonly batch: RecordBatch; readonly from: number }

/** First and next offset of a partition. */
export async function rangeOf(
  log: Log,
  topic: string,
  partition: number,
): Promise<{ readonly start: number; readonly end: number }> {
  const answers = await log.listOffsets([
    { topic, partition, place: 'earliest' },
    { topic, partition, place: 'latest' },
  ])
  for (const { error } of answers) if (error !== undefined) throw error
  return { start: answers[0]?.offset ?? 0, end: answers[1]?.offset ?? 0 }
}

/** All batches of a partition between two offsets. */
export async function* batchesOf(
  log: Log,
  topic: string,
  partition: number,
  { start, end }: { readonly start: number; readonly end: number },
): AsyncGenerator<BatchFrom> {
  let from = start
  while (from < end) {
    const [result] = await log.fetch({
      positions: [{ topic, partition, offset: from, maxBytes: FETCH_BYTES }],
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      maxWaitMs: 0,
      isolation: 'read_uncommitted',
    })
    if (result?.error !== undefined) throw result.error
    const before = from
    for (const batch of decodeBatches(result?.records ?? Buffer.alloc(0))) {
      if (batch.lastOffset < from) continue
      yield { batch, from }
      from = batch.lastOffset + 1
    }
    if (from === before) {
      throw new LogError('UNKNOWN_SERVER_ERROR', `${topic}/${partition} has nothing at ${from}`)
    }
  }
}

/** A record's bytes, as views of its batch. */
export type RecordView = {
  readonly offset: Offset
  readonly time: Timestamp
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly place: {
    readonly bytes: Buffer
    readonly valueAt: number
    readonly valueLength: number
    readonly headersAt: number
    readonly headerCount: number
  }
  readonly headers: { readonly bytes: Buffer; readonly count: number }
}

/** The records of a batch from an offset on. */
export function* recordsOf({ batch, from }: BatchFrom): Generator<RecordView> {
  const cursor = batch.cursor()
  while (cursor.advance()) {
    const offset = batch.baseOffset + cursor.offsetDelta
    if (offset >= from) yield viewOf(offset, batch.timestampOf(cursor.timestampDelta), cursor)
  }
}

function viewOf(offset: Offset, time: Timestamp, cursor: RecordCursor): RecordView {
  const { bytes, keyAt, keyLength, valueAt, valueLength, headersAt, headerCount } = cursor
  return {
    offset,
    time,
    key: keyLength < 0 ? null : bytes.subarray(keyAt, keyAt + keyLength),
    value: valueLength < 0 ? null : bytes.subarray(valueAt, valueAt + valueLength),
    place: { bytes, valueAt, valueLength, headersAt, headerCount },
    headers: { bytes: bytes.subarray(headersAt, cursor.position), count: headerCount },
  }
}
