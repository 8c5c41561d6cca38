// A node that is paused between reading and writing.
import type { EventPage, ReadAllOptions } from '@millrace/store'
import { MemoryEvents } from '../../../src/testing/events.ts'

/** Events whose pages wait at a gate. */
export class GatedEvents extends MemoryEvents {
  readonly arrived = Promise.withResolvers<void>()
  readonly opened = Promise.withResolvers<void>()

  override async *readAll(
    categories: readonly string[],
    options?: ReadAllOptions,
  ): AsyncGenerator<EventPage> {
    for await (const page of super.readAll(categories, options)) {
      this.arrived.resolve()
      await this.opened.promise
      yield page
    }
  }
}
