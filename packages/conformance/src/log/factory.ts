/**
 * What an engine states of itself, and how the suite gets a log of it.
 *
 * A case asserts only what Apache Kafka promises too; what an engine may do differently is asked for by a
 * feature.
 */
import type { Log } from '@millrace/log'
import type { Surroundings } from '../frame/frame.ts'

/** What an engine states of itself, so that no case asks for more. */
export type LogFeatures = {
  /** Topics with `cleanup.policy=compact` can be created. */
  readonly compactedTopics: boolean
  /** Compacted topics are looked at for cleaning at least once a second. Default false. */
  readonly cleansSoon?: boolean
  /** There is one node, and so a replication factor of 1 at most. */
  readonly singleNode: boolean
  /** `durability` is a topic configuration (the embedded engine). */
  readonly durability: boolean
  /** A transactional id is answered UNSUPPORTED_VERSION. */
  readonly refusesTransactions: boolean
  /**
   * All five remembered batches of a producer are known after a restart, not the last alone.
   * Default true; false for Apache Kafka.
   */
  readonly batchesSurviveRestart?: boolean
  /** Later calls of a closed log throw LOG_CLOSED. */
  readonly closes: boolean
  /** The shortest session timeout that a group member may ask for, in ms. */
  readonly sessionTimeoutMsMin: number
}

/** Makes logs for the cases. */
export type LogFactory = Surroundings & {
  /**
   * A fresh log, or a way to a shared one: cases use unique names. Calls that wait (join, sync,
   * fetch) must not hold up others of the same log, as they would on one Kafka connection.
   */
  open(): Promise<Log>
  /**
   * Closes the log and opens the same data again. Absent where the data's life is not the log's:
   * cases about persistence are left out then.
   */
  readonly reopen?: (log: Log) => Promise<Log>
  readonly features: LogFeatures
}
