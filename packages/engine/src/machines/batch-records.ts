/** Reads what machines have committed. */
import { decodeBatches } from '@millrace/log'
import type { MachineRecord } from './machine.ts'

/** The records of a batch in an internal partition. */
export function* recordsOf(batch: Buffer): Generator<MachineRecord> {
  for (const decoded of decodeBatches(batch)) {
    for (const { key, value } of decoded.records()) {
      if (key !== null)
        yield { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
    }
  }
}
