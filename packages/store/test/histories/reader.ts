// A reader of all events: pages of any size, through whatever instance there is; it keeps its
// checkpoint and its digest together, as a projection does, and starts again from them at random.
import { createHash } from 'node:crypto'
import type { Prng } from '@millrace/engine/simulation'
import type { Checkpoint } from '../../src/index.ts'
import { CATEGORY, nameOf } from './names.ts'
import type { Instance } from './writers.ts'

/** What a reader was given, by bucket: how many events, and a digest over them in their order. */
export type Following = ReadonlyMap<number, { readonly events: number; readonly digest: string }>

type Kept = { readonly after: Checkpoint | undefined; readonly following: Following }

/** See the head of the file. */
export class HistoryReader {
  readonly #prng: Prng
  /** What survives a restart. */
  #kept: Kept = { after: undefined, following: new Map() }

  constructor(prng: Prng) {
    this.#prng = prng
  }

  /** Reads on and on until all is over. */
  async work(
    instances: () => readonly Instance[],
    pause: () => Promise<void>,
    over: () => boolean,
  ): Promise<void> {
    while (!over()) {
      const alive = instances().filter(({ link }) => !link.dead)
      if (alive.length > 0) {
        const { link, store } = this.#prng.pick(alive)
        await Promise.race([this.#read({ link, store }, this.#prng.between(1, 6)), link.died])
      }
      await pause()
      await pause()
    }
  }

  /** Reads to the end, and says what it has been given. */
  async finish(instance: Instance): Promise<Following> {
    await instance.store.catchUp([CATEGORY])
    await this.#read(instance, Number.POSITIVE_INFINITY)
    return this.#kept.following
  }

  /** Some pages; they count when the checkpoint is kept, and are read again when it is not. */
  async #read({ link, store }: Instance, pagesMax: number): Promise<void> {
    const pageSize = this.#prng.pick([1, 2, 7, 1000])
    const { after } = this.#kept
    const start = after === undefined ? {} : { after }
    let pages = 0
    let next = this.#kept
    // Now and then it follows what is written, for a while.
    const follow = pagesMax < Number.POSITIVE_INFINITY && this.#prng.chance(0.3)
    const controller = new AbortController()
    const { signal } = controller
    if (follow) link.outside.timers.after(this.#prng.below(200), () => controller.abort())
    for await (const page of store.readAll([CATEGORY], { ...start, pageSize, follow, signal })) {
      if (link.dead) return
      next = { after: page.checkpoint, following: take(next.following, page.events) }
      pages += 1
      if (pages >= pagesMax) break
    }
    // It dies before it could keep what it did: now and then.
    if (pagesMax === Number.POSITIVE_INFINITY || this.#prng.chance(0.8)) this.#kept = next
  }
}

function take(
  following: Following,
  events: readonly { readonly bucket: number; readonly offset: number; readonly data: unknown }[],
): Following {
  const grown = new Map(following)
  for (const event of events) {
    const before = grown.get(event.bucket) ?? { events: 0, digest: '' }
    const name = nameOf(event as Parameters<typeof nameOf>[0])
    const digest = createHash('sha256')
      .update(`${before.digest} ${event.offset} ${name}`)
      .digest('hex')
    grown.set(event.bucket, { events: before.events + 1, digest })
  }
  return grown
}
