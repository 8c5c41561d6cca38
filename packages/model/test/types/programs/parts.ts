// What every application is given.
import type { Log } from '@millrace/log'
import type { EventStore } from '@millrace/store'

export type Parts = { readonly name: string; readonly log: Log; readonly store: EventStore }
