/** What a projection is to those who run it and to those who watch it. */
import type { SettingValues, Turns } from '@millrace/base'
import type { Timestamp } from '@millrace/log'
import type { EventStore, StreamRef, StreamVersion } from '@millrace/store'
import type { Kysely } from 'kysely'
import type { Processor, ProcessorStatus, RuntimeContext } from '../context.ts'
import type { HandlerTrouble } from './handler-watch.ts'
import type { PROJECTION_SETTINGS } from './settings.ts'

/** What a projection asks of an event store. */
export type EventSource = Pick<EventStore, 'id' | 'readAll' | 'read' | 'describe'>

/** What a projection needs around it: a part of the runtime's context. */
export type ProjectionContext = Pick<RuntimeContext, 'outside' | 'onEvent'> & {
  readonly store: EventSource
  /** Needed by projections that publish. */
  readonly log?: RuntimeContext['log']
  /** Shared by all projections of a process, so that together they hold no turn. Absent: its own. */
  readonly turns?: Turns
}

/** What a projection's processor may be told. */
export type ProjectionOptions = {
  readonly settings?: Partial<SettingValues<typeof PROJECTION_SETTINGS>>
}

/** A stream that is passed over since one of its events could not be handled. */
export type ParkedStream = {
  readonly stream: Required<StreamRef>
  /** Version of the projection. */
  readonly projectionVersion: number
  /** The event that failed, and the last one that was passed over. */
  readonly firstVersion: StreamVersion
  readonly lastVersion: StreamVersion
  readonly reason: string
  readonly attempts: number
  /** Ms since the epoch. */
  readonly parkedAt: Timestamp
}

/** What became of a redrive. */
export type Redriven = {
  readonly stream: Required<StreamRef>
  readonly ok: boolean
  /** Events that were handled. */
  readonly events: number
  /** Why it is still parked. */
  readonly reason?: string
}

/** How a projection is doing. While it is rebuilt, the numbers are those of the rebuild. */
export type ProjectionStatus = ProcessorStatus &
  HandlerTrouble & {
    readonly kind: 'projection'
    /** Version that readers see; null before the start. */
    readonly version: StreamVersion | null
    /** Version that catches up to take over; null when none does. */
    readonly nextVersion: number | null
  }

/** Runs a projection. */
export interface ProjectionProcessor<DB = unknown> extends Processor {
  /** Reads the projection's tables by their plain names; refuses to write. */
  readonly db: Kysely<DB>
  status(): ProjectionStatus
  /** Parked streams, in the order in which they were parked. */
  parked(): Promise<readonly ParkedStream[]>
  /**
   * Handles what was passed over of a stream, or of the oldest `limit` streams one after the other.
   * A stream is handled whole, or it stays parked with the new reason.
   */
  redrive(what: StreamRef | { readonly limit: number }): Promise<readonly Redriven[]>
  /**
   * Builds the tables anew from all events beside the present ones; resolves when they have taken
   * over. Refused while a rebuild is under way.
   */
  rebuild(): Promise<void>
  /**
   * Lets a build that has caught up take over although streams of it are parked; they stay parked,
   * and can be redriven afterwards. False: no build has caught up.
   */
  takeOver(): Promise<boolean>
}
