/**
 * Wraps the keys of subjects with the master keys of a provider. A provider is asked once for each
 * master key, with a bound on its answer; whatever goes wrong is KEY_UNAVAILABLE with its cause.
 */
import type { Outside } from '@millrace/base'
import { StoreError } from '../errors.ts'
import type { KeyProvider } from '../options.ts'
import { decrypt, encrypt, KEY_BYTES } from './cipher.ts'

/** Master keys kept in memory. */
const MASTERS_KEPT = 64
const MASTER_ID = /^[a-zA-Z0-9._:/-]{1,200}$/

/** A key as it is kept: unreadable without its master key. */
export type WrappedKey = { readonly master: string; readonly wrapped: Buffer }

/** Wraps and unwraps. See the head of the file. */
export class MasterKeys {
  readonly #provider: KeyProvider
  readonly #outside: Outside
  readonly #timeoutMs: number
  readonly #known = new Map<string, Buffer>()

  constructor(provider: KeyProvider, outside: Outside, timeoutMs: number) {
    this.#provider = provider
    this.#outside = outside
    this.#timeoutMs = timeoutMs
  }

  /** Id of the present master key. @throws StoreError KEY_UNAVAILABLE */
  async currentId(): Promise<string> {
    const id = await this.#ask('currentId()', () => this.#provider.currentId())
    if (typeof id !== 'string' || !MASTER_ID.test(id)) {
      throw unavailable(`the key provider gave ${JSON.stringify(id)} as the id of its master key`)
    }
    return id
  }

  /** Makes sure that a master key is at hand. @throws StoreError KEY_UNAVAILABLE */
  async need(master: string): Promise<void> {
    if (!this.#known.has(master)) await this.#fetch(master)
  }

  /**
   * Wraps a key under a master key.
   *
   * @param id of the key; it opens only under this id again
   * @throws StoreError KEY_UNAVAILABLE
   */
  async wrap(id: string, key: Buffer, master: string): Promise<WrappedKey> {
    const masterKey = this.#known.get(master) ?? (await this.#fetch(master))
    return { master, wrapped: encrypt(masterKey, key, belongs(id), this.#outside.random) }
  }

  /** The key itself; at once when the master key is known. @throws StoreError KEY_UNAVAILABLE */
  unwrap(id: string, key: WrappedKey): Buffer | Promise<Buffer> {
    const known = this.#known.get(key.master)
    if (known !== undefined) return unwrapWith(known, id, key)
    return this.#fetch(key.master).then(master => unwrapWith(master, id, key))
  }

  async #fetch(id: string): Promise<Buffer> {
    const key = await this.#ask(`key("${id}")`, () => this.#provider.key(id))
    if (key === undefined) {
      throw unavailable(
        `the key provider has no master key "${id}"; what it wraps cannot be read until it is back`,
      )
    }
    if (!Buffer.isBuffer(key) || key.length !== KEY_BYTES) {
      throw unavailable(`master key "${id}" must have ${KEY_BYTES} bytes, it has ${key?.length}`)
    }
    const [oldest] = this.#known.keys()
    if (this.#known.size >= MASTERS_KEPT && oldest !== undefined) this.#known.delete(oldest)
    this.#known.set(id, key)
    return key
  }

  #ask<T>(what: string, call: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const ms = this.#timeoutMs
      const timer = this.#outside.timers.after(ms, () =>
        reject(unavailable(`the key provider did not answer ${what} in ${ms} ms`)),
      )
      const answer = (async () => await call())()
      answer
        .then(resolve, cause =>
          reject(unavailable(`the key provider failed at ${what}: ${messageOf(cause)}`, cause)),
        )
        .finally(() => timer.cancel())
    })
  }
}

function unwrapWith(masterKey: Buffer, id: string, { master, wrapped }: WrappedKey): Buffer {
  const key = decrypt(masterKey, wrapped, belongs(id))
  if (key === null || key.length !== KEY_BYTES) {
    throw unavailable(
      `key ${id} does not open with master key "${master}": the provider has another key under this id, or the record was changed`,
    )
  }
  return key
}

const belongs = (id: string): string => `millrace key v1 ${id}`

/** KEY_UNAVAILABLE with its reason. */
export const unavailable = (why: string, cause?: unknown): StoreError =>
  new StoreError('KEY_UNAVAILABLE', why, cause === undefined ? undefined : { cause })

/** What an error says. */
export const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause)
