/** What a store is opened with: categories, keys, settings, the outside. */
import type { Outside, SettingValues } from '@millrace/base'
import type { Log } from '@millrace/log'
import type { Boundary } from './boundary.ts'
import type { Json } from './port.ts'
import type { STORE_SETTINGS } from './settings.ts'

/** A validator as the Standard Schema describes one (standardschema.dev, version 1). */
export type EventSchema = {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => unknown
  }
}

/** What is personal in a type of event. */
export type PersonalFields = {
  /** Top-level fields of the data. */
  readonly fields: readonly string[]
  /** The field that holds the subject's id, not itself personal. Absent: the stream's id. */
  readonly subject?: string
}

/** A type of event of a category. */
export type EventTypeOptions = {
  /** Validates on write. Synchronous; gives JSON. Absent: anything passes. */
  readonly schema?: EventSchema
  /** Steps from schema version 1 to 2, 2 to 3, …; the present version is their number + 1. */
  readonly upcast?: readonly ((data: Json) => Json)[]
  readonly personal?: PersonalFields
  readonly tags?: (data: Json) => readonly string[]
}

/** A category: one topic, a stream a key. */
export type CategoryOptions = {
  /** Default: the category's name. */
  readonly topic?: string
  /** Partitions of the topic; fixed once it is there. Default `category.buckets`. */
  readonly buckets?: number
  /**
   * Streams of a tenant with an equal boundary lie in one bucket. Default: the stream's id. Its name
   * and version are fixed when the category is made; a bare function is known by what it does.
   */
  readonly boundary?: Boundary
  /** By type. Types that are not named are written and read as they are, unless `closed`. */
  readonly events?: Readonly<Record<string, EventTypeOptions>>
  /** Refuses types that are not named, on write and on read (NEWER_SCHEMA). Default false. */
  readonly closed?: boolean
}

/** Tells an operator or a program what the store did. */
export type StoreEvent =
  | { readonly kind: 'index-discarded'; readonly category: string; readonly reason: string }
  | {
      readonly kind: 'append-settled'
      readonly category: string
      readonly bucket: number
      readonly stream: string
      readonly appendId: string
    }
  | {
      readonly kind: 'foreign-records'
      readonly category: string
      readonly bucket: number
      readonly count: number
    }
  | {
      /** Records of streams that belong into other buckets: void. Somebody writes by another boundary. */
      readonly kind: 'misplaced-records'
      readonly category: string
      readonly bucket: number
      readonly count: number
    }
  | {
      /** States of this name are not kept: a fold's state must be JSON, and not too large. */
      readonly kind: 'snapshot-unfit'
      readonly category: string
      readonly name: string
      readonly reason: string
    }
  | {
      /** The wall clock of another store is ahead of this one's by so much, ms: order holds, times differ. */
      readonly kind: 'clock-behind'
      readonly aheadMs: number
    }
  | {
      readonly kind: 'bucket-failed'
      readonly category: string
      readonly bucket: number
      readonly error: Error
    }

/** Gives the master keys that wrap the keys of subjects. A KMS is reached by implementing it. */
export interface KeyProvider {
  /** Id of the master key that wraps new keys. */
  currentId(): Promise<string>
  /** 32 bytes of AES-256, or undefined when the id is unknown. */
  key(id: string): Promise<Buffer | undefined>
}

/** What a store is opened with. */
export type StoreOptions = {
  readonly log: Log
  /** Folder of the index; derived data, may be deleted. `null`: in memory, for tests. */
  readonly folder: string | null
  readonly categories: Readonly<Record<string, CategoryOptions>>
  /** Put before the names of the store's own topics (`keys`, `snapshots`, `audit`). Default "__millrace." */
  readonly prefix?: string
  /** Needed once a category has personal fields. */
  readonly keys?: KeyProvider
  /** Records who read or wrote what on `<prefix>audit`. Default false. */
  readonly audit?: boolean
  readonly settings?: Partial<SettingValues<typeof STORE_SETTINGS>>
  readonly outside?: Outside
  readonly onEvent?: (event: StoreEvent) => void
}
