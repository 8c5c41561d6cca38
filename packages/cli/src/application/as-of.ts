/** A store as it was at a time: reads over all streams end with the last event up to then. */
import type { EventStore, ReadAllOptions } from '@millrace/store'

/** What projections read, up to a time (ms since the epoch, included). */
export function asOf(
  store: EventStore,
  time: number,
): Pick<EventStore, 'id' | 'readAll' | 'read' | 'describe'> {
  return {
    id: store.id,
    read: (stream, options) =>
      store.read(stream, { ...options, until: Math.min(options?.until ?? time, time) }),
    describe: () => store.describe(),
    readAll: (categories, options: ReadAllOptions = {}) => {
      const before = Math.min(options.filter?.before ?? time + 1, time + 1)
      return store.readAll(categories, { ...options, filter: { ...options.filter, before } })
    },
  }
}
