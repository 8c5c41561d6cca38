/** Derived data as a crash may leave it: whole batches, of which the latest are missing. */
import type { KeyRange, KeyValue, KeyValueChange, KeyValueEntry } from '../../src/kv/key-value.ts'
import { memoryKeyValue } from '../../src/kv/memory.ts'

type Step = readonly KeyValueChange[] | { readonly clear: Pick<KeyRange, 'gte' | 'lt'> }

export class LossyKeyValue implements KeyValue {
  readonly #kv = memoryKeyValue()
  readonly #steps: Step[] = []

  /** What is left when only the first `share` (0 to 1) of all batches were written. */
  async afterCrash(share: number): Promise<LossyKeyValue> {
    const left = new LossyKeyValue()
    for (const step of this.#steps.slice(0, Math.round(this.#steps.length * share))) {
      await ('clear' in step ? left.clear(step.clear) : left.batch(step))
    }
    return left
  }

  getSync(key: Buffer): Buffer | undefined {
    return this.#kv.getSync(key)
  }

  getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]> {
    return this.#kv.getMany(keys)
  }

  batch(changes: readonly KeyValueChange[]): Promise<void> {
    this.#steps.push(changes)
    return this.#kv.batch(changes)
  }

  range(range: KeyRange): AsyncIterable<readonly KeyValueEntry[]> {
    return this.#kv.range(range)
  }

  clear(range: Pick<KeyRange, 'gte' | 'lt'>): Promise<void> {
    this.#steps.push({ clear: range })
    return this.#kv.clear(range)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
