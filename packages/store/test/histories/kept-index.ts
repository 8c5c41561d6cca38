// The index of a store instance, kept over its death: whole batches, of which the latest may be
// missing, and which take their time to be written.
import type { Prng } from '@millrace/engine/simulation'
import type { KeyRange, KeyValue, KeyValueChange } from '../../src/kv/key-value.ts'
import { memoryKeyValue } from '../../src/kv/memory.ts'
import type { Link } from './machine.ts'

type Step = { readonly batch: readonly KeyValueChange[] } | { readonly clear: KeyRange }

/** Batches that a death may take with it. */
const LOST_MAX = 3
/** How long a batch takes, in ms. */
const BATCH_MS = 20

/** See the head of the file. */
export class KeptIndex {
  readonly #prng: Prng
  readonly #keeps: (change: KeyValueChange) => boolean
  #steps: Step[] = []

  /** @param keeps whether a change survives; for a broken one */
  constructor(prng: Prng, keeps: (change: KeyValueChange) => boolean = () => true) {
    this.#prng = prng
    this.#keeps = keeps
  }

  /** Opens what is left. What an instance that died still writes goes nowhere. */
  async open(link: Link): Promise<KeyValue> {
    this.#steps = this.#steps.slice(0, this.#steps.length - this.#prng.below(LOST_MAX + 1))
    // Now and then an operator has deleted it.
    if (this.#prng.chance(0.2)) this.#steps = []
    const steps = this.#steps
    const kv = memoryKeyValue()
    for (const step of steps) {
      await ('clear' in step ? kv.clear(step.clear) : kv.batch(step.batch.filter(this.#keeps)))
    }
    const slowly = () =>
      new Promise<void>(resolve => {
        link.outside.timers.after(this.#prng.below(BATCH_MS), resolve)
      })
    return {
      getSync: key => kv.getSync(key),
      getMany: keys => kv.getMany(keys),
      range: range => kv.range(range),
      close: () => kv.close(),
      batch: async batch => {
        // Buffers may be used again once this returns to its caller.
        const copy = batch.map(change => ({ ...change, key: Buffer.from(change.key) }))
        await slowly()
        steps.push({ batch: copy })
        await kv.batch(copy)
      },
      clear: async clear => {
        steps.push({ clear })
        await kv.clear(clear)
      },
    }
  }
}
