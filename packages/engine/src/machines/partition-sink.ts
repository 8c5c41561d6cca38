/**
 * The sink of a coordinator: its records become one batch in an internal partition.
 */
import { LogError, RecordBatchBuilder } from '@millrace/log'
import type { PartitionLog } from '../partitions/partition-log.ts'
import type { LogStore } from '../storage/log-store.ts'
import type { CoordinatorRecord, RecordSink } from './record-sink.ts'

/** Records of a coordinator on their way into the journal. */
export class PartitionSink implements RecordSink {
  readonly #store: LogStore
  readonly #partition: PartitionLog
  readonly #builder = new RecordBatchBuilder()

  constructor(store: LogStore, partition: PartitionLog) {
    this.#store = store
    this.#partition = partition
  }

  append(records: readonly CoordinatorRecord[]): Promise<void> {
    const { journal, outside } = this.#store
    if (records.length > 0) {
      if (journal.fencedBy !== undefined)
        throw new LogError('KAFKA_STORAGE_ERROR', journal.fencedBy)
      const now = outside.clock.now()
      for (const record of records) this.#builder.append(record, now)
      const batch = this.#builder.finish({})
      if (!journal.hasInternalRoom(1, batch.length)) {
        // Nothing has been entered and the machine has replayed nothing: the caller may repeat it.
        throw new LogError('KAFKA_STORAGE_ERROR', 'the journal has no room for coordinators now')
      }
      this.#store.enter(this.#partition, batch, records.length, true)
    }
    const group = this.#partition.lastGroup
    if (group <= journal.completedSeq) return Promise.resolve()
    return new Promise((resolve, reject) => {
      journal.wait(group, error => (error === null ? resolve() : reject(error)))
    })
  }
}
