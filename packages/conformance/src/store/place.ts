/**
 * What a store states of itself, and the data that a case opens it on.
 *
 * What a store may do differently is asked for by a feature; a feature that is claimed and not there
 * fails the case.
 */
import type { Log } from '@millrace/log'
import type { EventStore, StoreOptions } from '@millrace/store'
import type { Surroundings } from '../frame/frame.ts'

/** What a store is opened with, but for the medium: that is the factory's. */
export type PlaceOptions = Omit<StoreOptions, 'log' | 'folder'>

/** The data of one case. */
export interface StorePlace {
  /**
   * Opens a store on the data.
   *
   * @param index which derived data it keeps: stores that are open at once have different ones
   */
  open(options: PlaceOptions, index: number): Promise<EventStore>
  /** The log under the stores, with `onLog`. */
  log?(): Log
  /** Ends what is under the stores and begins it again on the same data, with `restarts`. */
  restart?(): Promise<void>
  /** Throws derived data away, with `discards`. */
  discard?(index: number): Promise<void>
  /** Takes the data away. */
  end(): Promise<void>
}

/** What a store states of itself, so that no case asks for more. */
export type StoreFeatures = {
  /** Categories are topics of a log that others can write to. */
  readonly onLog: boolean
  /** The data outlives what is under the store. */
  readonly restarts: boolean
  /** There is derived data that may be thrown away. */
  readonly discards: boolean
  /** Several stores may be open on one place. */
  readonly severalStores: boolean
  /** Each place is a log of its own, with an id of its own. */
  readonly ownLogs: boolean
}

/** Makes places for the cases. */
export type StoreFactory = Surroundings & {
  /** Data of its own for one case, or names of its own in shared data. */
  place(): Promise<StorePlace>
  readonly features: StoreFeatures
}
