/**
 * The words of one record, written and read: key, value, headers, timestamp.
 */
import type { Offset, Timestamp } from '../vocabulary.ts'
import type { HeaderBlock } from './header-block.ts'

/** A header as it is read. Keys may repeat; order is kept. */
export type Header = { readonly key: string; readonly value: Buffer | null }

/** A header as it is written; text is written as UTF-8. */
export type NewHeader = { readonly key: string; readonly value: Buffer | string | null }

/** A record to be written; text is written as UTF-8. */
export type NewRecord = {
  /** Absent or null: no key. */
  readonly key?: Buffer | string | null
  /** Null: a tombstone on compacted topics. */
  readonly value: Buffer | string | null
  readonly headers?: readonly NewHeader[]
  /** Absent: the time that the writer of the batch gives. */
  readonly timestamp?: Timestamp
}

/** A record to be written whose headers may be encoded already: see `HeaderWriter`. */
export type NewRecordOrBlock = Omit<NewRecord, 'headers'> & {
  readonly headers?: readonly NewHeader[] | HeaderBlock
}

/** A record as it is read. Key, value and header values are views of the batch, not copies. */
export type LogRecord = {
  readonly offset: Offset
  readonly timestamp: Timestamp
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Decoded when first asked for. */
  readonly headers: readonly Header[]
}
