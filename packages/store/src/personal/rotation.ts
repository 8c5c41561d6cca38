/**
 * Rotation of the master key: every key of a subject is wrapped anew with the present one, a bounded
 * number at a time. Data is not touched. It may be stopped at any time and called again: what is
 * done is skipped. When it ends without failures and compaction has passed (`keys.gone.ms`), nothing
 * in the topic needs the old master key any more.
 *
 * Destroying the old master key after that also makes useless whatever copies of wrapped keys lie in
 * backups or in blocks that a disk has not overwritten.
 */
import type { StoreError } from '../errors.ts'
import { SECRET_HASH } from './key-ids.ts'
import type { KeyIndex, KeyPlace } from './key-index.ts'
import type { MasterKeys, WrappedKey } from './master-keys.ts'

/** Keys wrapped anew at once. */
const ROUND = 128

/** How a rotation goes on. */
export type Rotation = {
  /** Id of the master key that wraps from now on. */
  readonly master: string
  /** Keys looked at so far. */
  readonly looked: number
  /** Keys wrapped anew so far. */
  readonly rewrapped: number
  /** Keys that could not be, because their master key is not at hand; the first reason. */
  readonly failed: number
  readonly failure: StoreError | undefined
  readonly done: boolean
}

/** How a rotation is made. */
export type RotationOptions = {
  readonly onProgress?: (rotation: Rotation) => void
  /** Stops it after the round that is under way. */
  readonly signal?: AbortSignal
}

/** What a rotation works with. */
export type RotationParts = {
  readonly index: KeyIndex
  readonly masters: MasterKeys
  /** Null: the key is gone. */
  readonly read: (place: KeyPlace) => Promise<WrappedKey | null>
  /** A null key is a tombstone. */
  readonly write: (
    keys: readonly { readonly id: string; readonly key: WrappedKey | null }[],
  ) => Promise<void>
}

/** Wraps all keys with the present master key. @throws StoreError KEY_UNAVAILABLE */
export async function rotateAll(parts: RotationParts, options: RotationOptions): Promise<Rotation> {
  const master = await parts.masters.currentId()
  await parts.masters.need(master)
  const rotation = { master, looked: 0, rewrapped: 0, failed: 0, failure: undefined, done: false }
  const run = new RotationRun(parts, options, rotation)
  await run.dropUnusedSecrets()
  for await (const page of parts.index.all()) {
    for (let i = 0; i < page.length; i += ROUND) {
      if (options.signal?.aborted) return run.rotation
      await run.round(page.slice(i, i + ROUND))
    }
  }
  return run.report({ done: true })
}

type Rewrapped = { readonly id: string; readonly offset: number; readonly key: WrappedKey }

class RotationRun {
  readonly #parts: RotationParts
  readonly #options: RotationOptions
  /** Ids of master keys that the provider does not give. */
  readonly #missing = new Set<string>()
  rotation: Rotation

  constructor(parts: RotationParts, options: RotationOptions, rotation: Rotation) {
    this.#parts = parts
    this.#options = options
    this.rotation = rotation
  }

  /**
   * The first secret of the topic is the one in use, and wrapping it anew puts it last; so those that
   * lost the race for the first place go before.
   */
  async dropUnusedSecrets(): Promise<void> {
    const [, ...unused] = await this.#parts.index.keysOf(SECRET_HASH)
    if (unused.length > 0) await this.#parts.write(unused.map(({ id }) => ({ id, key: null })))
  }

  async round(places: readonly KeyPlace[]): Promise<void> {
    const { index, write } = this.#parts
    const made = await Promise.all(places.map(place => this.#rewrap(place)))
    // A key that was forgotten meanwhile stays forgotten.
    const keys = made
      .filter(key => key !== null)
      .filter(({ id, offset }) => index.place(id)?.offset === offset)
    if (keys.length > 0) await write(keys)
    const { looked, rewrapped } = this.rotation
    this.report({ looked: looked + places.length, rewrapped: rewrapped + keys.length })
  }

  report(change: Partial<Rotation>): Rotation {
    this.rotation = { ...this.rotation, ...change }
    this.#options.onProgress?.(this.rotation)
    return this.rotation
  }

  /** Null: nothing is to be done, or it cannot be and was counted. */
  async #rewrap(place: KeyPlace): Promise<Rewrapped | null> {
    const { masters, read } = this.#parts
    const { id, offset } = place
    const { master } = this.rotation
    if (place.master === master) return null
    if (this.#missing.has(place.master)) return this.#failed()
    const wrapped = await read(place)
    if (wrapped === null) return null
    let plain: Buffer
    try {
      await masters.need(wrapped.master).catch(error => {
        // Asked once, not once for each of a million keys.
        this.#missing.add(wrapped.master)
        throw error
      })
      plain = await masters.unwrap(id, wrapped)
    } catch (error) {
      return this.#failed(error as StoreError)
    }
    return { id, offset, key: await masters.wrap(id, plain, master) }
  }

  #failed(error?: StoreError): null {
    const { failed, failure } = this.rotation
    this.rotation = { ...this.rotation, failed: failed + 1, failure: failure ?? error }
    return null
  }
}
