// The audit of a compacted partition: everything that a running engine shows, held against the model,
// and reads from other offsets and questions by time against those from the start.
import { RecordBatch } from '@millrace/log'
import type { Prng } from '../../../../src/simulation.ts'
import { batchesOf, Violation } from '../oracle.ts'
import type { Life } from '../world.ts'
import { type CompactedPartitionModel, type ReadRecord, readRecords } from './model.ts'

type Place = { readonly topic: string; readonly partition: number }

/** Audits one partition; a topic that does not exist yet holds nothing. */
export async function auditCompacted(
  life: Life,
  model: CompactedPartitionModel,
  place: Place,
  prng: Prng,
): Promise<void> {
  const [earliest] = await life.engine.listOffsets([{ ...place, place: 'earliest' }])
  const logStart = earliest?.offset ?? 0
  const { records, highWatermark } = await readFrom(life, place, logStart)
  if (highWatermark < 0) return
  model.audit(records, { logStart, highWatermark }, life.outside.clock.now())
  const from = logStart + prng.below(Math.max(1, highWatermark - logStart))
  const again = await readFrom(life, place, from)
  const expected = records.filter(({ offset }) => offset >= from)
  if (String(again.records.map(r => r.offset)) !== String(expected.map(r => r.offset))) {
    throw new Violation(`${model.name}: reads from ${from} and from ${logStart} differ`)
  }
  await auditTimes(life, model, place, records, prng)
}

async function auditTimes(
  life: Life,
  model: CompactedPartitionModel,
  place: Place,
  records: readonly ReadRecord[],
  prng: Prng,
): Promise<void> {
  const time = (prng.pick([...records, undefined])?.timestamp ?? 0) + prng.below(2)
  const largest = records.reduce((most, { timestamp }) => Math.max(most, timestamp), -1)
  const [byTime, byMax] = await life.engine.listOffsets([
    { ...place, place: time },
    { ...place, place: 'maxTimestamp' },
  ])
  const first = records.find(({ timestamp }) => timestamp >= time)?.offset ?? -1
  const max = records.find(({ timestamp }) => timestamp === largest)?.offset ?? -1
  if (byTime?.offset !== first || byMax?.offset !== max) {
    throw new Violation(
      `${model.name}: by time ${byTime?.offset}, not ${first}; largest ${byMax?.offset}, not ${max}`,
    )
  }
}

/** All records from an offset on; below the high watermark each answer has to lead further. */
async function readFrom(
  life: Life,
  { topic, partition }: { topic: string; partition: number },
  from: number,
): Promise<{ records: ReadRecord[]; highWatermark: number }> {
  const records: ReadRecord[] = []
  let offset = from
  for (;;) {
    const positions = [{ topic, partition, offset, maxBytes: 20_000 }]
    const [result] = await life.engine.fetch({
      ...{ positions, minBytes: 0, maxBytes: 20_000, maxWaitMs: 0 },
      isolation: 'read_uncommitted',
    })
    if (result?.error?.code === 'UNKNOWN_TOPIC_OR_PARTITION') return { records, highWatermark: -1 }
    if (result === undefined || result.error !== undefined) {
      throw new Violation(`${topic}-${partition} cannot be read at ${offset}: ${result?.error}`)
    }
    if (offset >= result.highWatermark) return { records, highWatermark: result.highWatermark }
    const before = offset
    for (const bytes of batchesOf(result.records)) {
      const batch = new RecordBatch(bytes)
      if (batch.lastOffset < offset)
        throw new Violation(`${topic}: ${batch.lastOffset} at ${offset}`)
      records.push(...readRecords(batch).filter(record => record.offset >= offset))
      offset = batch.lastOffset + 1
    }
    if (offset === before) {
      throw new Violation(`${topic}-${partition}: nobody gets past ${offset}`)
    }
  }
}
