/**
 * The closed list of what can go wrong in an event store, whichever implementation runs it.
 *
 * A conflict is not among them: a lost race is an answer with the events that came in between
 * ({@link Conflict} of the port), not a failure.
 */
import { type ErrorSpec, ListedError } from '@millrace/base'
import { LogError } from '@millrace/log'

export const STORE_ERRORS = {
  BAD_ARGUMENT: {
    retriable: false,
    message: 'an argument is outside its bounds',
    operator: 'The message names the field and the bound; correct the call.',
  },
  INVALID_EVENT: {
    retriable: false,
    message: 'an event does not pass the schema of its type',
    operator: 'The message names the path; correct the data or the schema.',
  },
  UNKNOWN_CATEGORY: {
    retriable: false,
    message: 'the store was opened without this category',
    operator: 'Name the category when the store is opened.',
  },
  BAD_TOPIC: {
    retriable: false,
    message: 'the topic of a category is configured in a way that would lose events',
    operator: 'The message names the setting and the value that it needs.',
  },
  BUCKETS_DIFFER: {
    retriable: false,
    message: 'the topic has another number of partitions than the category has buckets',
    operator: 'Open with the number of the topic, or move the category by "category rewrite".',
  },
  BOUNDARY_DIFFERS: {
    retriable: false,
    message: 'the category was made with another boundary',
    operator:
      'Open with the boundary that the message names, or move the category by "category rewrite".',
  },
  BOUNDARY_MISMATCH: {
    retriable: false,
    message: 'a condition names streams or tags of another bucket',
    operator: 'Give the category a boundary that puts them together.',
  },
  APPEND_TOO_LARGE: {
    retriable: false,
    message: 'an append has more events or bytes than one append may have',
    operator: 'Split it, or raise max.message.bytes of the topic.',
  },
  TIME_FALLS: {
    retriable: false,
    message: 'an event is older than the last one of its stream',
    operator: 'Import the events of a stream in the order of their time.',
  },
  STREAM_ARCHIVED: {
    retriable: false,
    message: 'the stream is archived and takes no events',
    operator: 'Take it out of the archive first.',
  },
  STREAM_TOMBSTONED: {
    retriable: false,
    message: 'the stream was deleted for good',
    operator: 'Use another stream id; an id is never used twice.',
  },
  CHECKPOINT_MISMATCH: {
    retriable: false,
    message: 'the checkpoint is not of this log, tenant or categories',
    operator: 'Start from the beginning, or use the checkpoint where it was made.',
  },
  BAD_CHECKPOINT: {
    retriable: false,
    message: 'not a checkpoint',
    operator: 'Pass on what a read returned, unchanged.',
  },
  STALE_CONDITION: {
    retriable: true,
    message: 'a condition kept losing to other writers of its bucket',
    operator: 'Repeat the call; if it happens often, narrow the boundary.',
  },
  APPEND_TIMED_OUT: {
    retriable: true,
    message: 'the outcome of an append was not known in its time',
    operator: 'Repeat the call with the same command id; it is answered with its first result.',
  },
  OVERLOADED: {
    retriable: true,
    message: 'more appends are waiting than the store holds',
    operator: 'Wait; if it lasts, look at the disk or raise append.queue.bytes.',
  },
  LOG_REPLACED: {
    retriable: false,
    message: 'what is in the log is not what was there before',
    operator:
      'The log was put back from a backup, or the topic made anew. Open the store again; it reads the log as it is.',
  },
  RULE_TOO_NEW: {
    retriable: false,
    message: 'the log was written under newer rules than this program knows',
    operator: 'Upgrade this program; nothing was read past that place.',
  },
  INDEX_DAMAGED: {
    retriable: true,
    message: 'the local index cannot be read',
    operator: 'Delete its folder; it is built again from the log.',
  },
  UPCAST_FAILED: {
    retriable: false,
    message: 'an event of an old schema version cannot be brought to the present one',
    operator: 'Register the missing upcaster, or correct the one that threw.',
  },
  NEWER_SCHEMA: {
    retriable: true,
    message: 'an event has a newer schema version or an unknown type',
    operator: 'Upgrade this program; the stream takes no commands here until then.',
  },
  EVENT_DAMAGED: {
    retriable: false,
    message: 'the data of an event is not JSON',
    operator: 'A foreign program wrote it. Delete or truncate the stream that the message names.',
  },
  KEY_UNAVAILABLE: {
    retriable: true,
    message: 'the keys of personal fields cannot be reached',
    operator: 'Look at the key provider; without it no personal field is read or written.',
  },
  SEAL_BROKEN: {
    retriable: false,
    message: 'a sealed personal field does not open with its own key',
    operator: 'It was changed or moved in the log; the message names stream, type and field.',
  },
  AUDIT_UNAVAILABLE: {
    retriable: true,
    message: 'the audit record of a call cannot be stored',
    operator: 'What the call did stands. Look at the log; repeat the call with its command id.',
  },
  LOG_UNAVAILABLE: {
    retriable: true,
    message: 'the log under the store did not answer in time',
    operator: 'Repeat the call; if it lasts, look at the log. Nothing acknowledged is lost.',
  },
  STORE_CLOSED: {
    retriable: false,
    message: 'the store is closed',
    operator: 'Open it again.',
  },
  STORE_FAILED: {
    retriable: false,
    message: 'the store stopped because the log under it did',
    operator: 'The cause says why; restart when it is mended.',
  },
} as const

STORE_ERRORS satisfies Record<string, ErrorSpec>

/** A code of {@link STORE_ERRORS}. */
export type StoreErrorCode = keyof typeof STORE_ERRORS

/** What a store throws. The message says what happened and where; `operator` what to do. */
export class StoreError extends ListedError<StoreErrorCode> {
  override readonly name = 'StoreError'

  constructor(code: StoreErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, STORE_ERRORS[code], detail ?? STORE_ERRORS[code].message, options)
  }
}

/** What a failure of the log is to callers of the store: passing, if the log says so. */
export function failureOfLog(where: string, cause: unknown): StoreError {
  const isPassing = cause instanceof LogError && cause.retriable
  const why = cause instanceof Error ? cause.message : String(cause)
  return new StoreError(isPassing ? 'LOG_UNAVAILABLE' : 'STORE_FAILED', `${where}: ${why}`, {
    cause,
  })
}
