// Words that all parts of a simulated run share.
import type { RecordedEvent, StreamRef } from '../../src/index.ts'

export const CATEGORY = 'things'

export const streamOf = (id: string): StreamRef => ({ category: CATEGORY, id })

/** The name of an event, as its writer gave it. */
export const nameOf = (event: RecordedEvent): string => (event.data as { name: string }).name
