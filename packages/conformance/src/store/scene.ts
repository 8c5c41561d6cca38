/**
 * What a case works with: its place, the stores that it opens there, and time. Whatever was opened
 * is closed at the end.
 *
 * Every store has, unless the case says otherwise, two categories: `loan`, whose streams lie in
 * buckets of their own, and `course`, whose boundary is what stands before the first slash of an id.
 */
import assert from 'node:assert/strict'
import type { Log } from '@millrace/log'
import type { CategoryOptions, Checkpoint, EventStore } from '@millrace/store'
import { SceneFrame } from '../frame/frame.ts'
import type { PlaceOptions, StoreFactory, StorePlace } from './place.ts'
import { allPages, type Pages } from './words.ts'

/** Buckets of the categories that a case does not name. */
export const BUCKETS = 3

/** The categories of a store whose case names none. */
export const CATEGORIES: Readonly<Record<string, CategoryOptions>> = {
  loan: { buckets: BUCKETS },
  course: { buckets: BUCKETS, boundary: id => id.split('/')[0] ?? id },
}

/** How a case opens a store. */
export type OpenOptions = Partial<PlaceOptions> & {
  /** Which derived data. Default 0. */
  readonly index?: number
  /** Part of the names of topics: another one is other data on the same log. Default "". */
  readonly world?: string
}

/** The surroundings of one case. */
export class StoreScene extends SceneFrame {
  readonly #newPlace: () => Promise<StorePlace>
  /** Part of every name outside of the store. */
  readonly #name: string
  readonly #stores = new Map<EventStore, OpenOptions>()
  readonly #places: StorePlace[] = []

  constructor(factory: Omit<StoreFactory, 'features'>) {
    super(factory)
    this.#newPlace = () => factory.place()
    this.#name = this.word()
  }

  /** Opens a store on the case's place. */
  async open(options: OpenOptions = {}): Promise<EventStore> {
    return this.#openOn(await this.#place(), options)
  }

  /** Opens a store on a place of its own: other data, another log. */
  async elsewhere(options: OpenOptions = {}): Promise<EventStore> {
    await this.#place()
    const place = await this.#newPlace()
    this.#places.push(place)
    return this.#openOn(place, options)
  }

  /** Closes a store and opens it again, with other options if given. */
  async reopen(store: EventStore, options?: OpenOptions): Promise<EventStore> {
    return this.open({ ...(await this.close(store)), ...options })
  }

  /** Closes a store and gives what it was opened with. */
  async close(store: EventStore): Promise<OpenOptions> {
    const options = this.#stores.get(store)
    assert.ok(options !== undefined, 'the case did not open this store')
    this.#stores.delete(store)
    await store.close()
    return options
  }

  /** Closes all stores, and ends and begins again what is under them. */
  async restart(): Promise<void> {
    for (const store of [...this.#stores.keys()]) await this.close(store)
    const place = await this.#place()
    assert.ok(place.restart !== undefined, 'the place cannot restart, though it is claimed')
    await place.restart()
  }

  /** Closes a store, throws its derived data away and opens it again. */
  async rebuild(store: EventStore): Promise<EventStore> {
    const options = await this.close(store)
    const place = await this.#place()
    assert.ok(place.discard !== undefined, 'nothing can be discarded, though it is claimed')
    await place.discard(options.index ?? 0)
    return this.open(options)
  }

  /** The log under the stores. */
  async log(): Promise<Log> {
    const log = (await this.#place()).log?.()
    assert.ok(log !== undefined, 'there is no log, though it is claimed')
    return log
  }

  /** The topic of a category. */
  topic(category: string, world = ''): string {
    return `conformance-${this.#name}${world}-${category}`
  }

  /** What the names of the store's own topics begin with. */
  prefix(world = ''): string {
    return `conformance-${this.#name}${world}.`
  }

  /** Begins what goes on beside the case, which awaits it later, or never if it failed before. */
  meanwhile<T>(work: () => Promise<T>): Promise<T> {
    const going = work()
    going.catch(() => undefined)
    return going
  }

  /** Reads all of a category that ends. */
  all(store: EventStore, category = 'loan', after?: Checkpoint): Promise<Pages> {
    return allPages(store.readAll([category], after === undefined ? {} : { after }))
  }

  /** Closes what is open. What the case found is not hidden by it. */
  override async end(): Promise<void> {
    for (const store of this.#stores.keys()) {
      try {
        await store.close()
      } catch {
        // A case that ended well has had its closing looked at where it matters.
      }
    }
    for (const place of this.#places) await place.end()
  }

  async #place(): Promise<StorePlace> {
    const [first] = this.#places
    if (first !== undefined) return first
    const place = await this.#newPlace()
    this.#places.push(place)
    return place
  }

  async #openOn(place: StorePlace, options: OpenOptions): Promise<EventStore> {
    const { index = 0, world = '', categories = CATEGORIES, ...rest } = options
    const named: Record<string, CategoryOptions> = {}
    for (const [name, category] of Object.entries(categories)) {
      named[name] = { topic: this.topic(name, world), ...category }
    }
    const store = await place.open(
      { prefix: this.prefix(world), ...rest, categories: named },
      index,
    )
    this.#stores.set(store, options)
    return store
  }
}
