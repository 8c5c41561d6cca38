/** Reads what a coordinator's sink has written. */
import { decodeBatches } from '@millrace/log'
import type { CoordinatorRecord } from './record-sink.ts'

/** The records of a coordinator's batch. */
export function* recordsOf(batch: Buffer): Generator<CoordinatorRecord> {
  for (const decoded of decodeBatches(batch)) {
    for (const { key, value } of decoded.records()) {
      if (key !== null)
        yield { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
    }
  }
}
