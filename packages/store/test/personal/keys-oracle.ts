/**
 * What may be said of keys, given what was said before.
 *
 * - A key opens with the bytes that it was made with, or is gone; nothing else.
 * - It is gone only if a `forget` of its subject may have covered it, and stays so on a node that has
 *   said so.
 * - It is gone once a `forget` that began after it was handed out has been answered: on the node that
 *   answered, on every node that opens later, and in the end on all.
 */
type Use = {
  readonly subject: string
  readonly bytes: string
  /** Since when it may be there, and when it was first handed out. */
  readonly from: number
  readonly to: number
}

type Forgetting = { readonly by: Viewer; readonly from: number; to: number }

/** What a node has been told. */
export type Viewer = {
  /** When it was opened last; everything before, it knows. */
  openedAt: number
  readonly gone: Set<string>
}

export class KeysViolation extends Error {
  override readonly name = 'Violation'
}

export class KeysOracle {
  readonly #keys = new Map<string, Use>()
  readonly #forgettings = new Map<string, Forgetting[]>()
  /** When keys were asked for that were not handed out. */
  readonly #asked = new Map<string, Set<number>>()
  readonly #hashes = new Map<string, string>()
  #now = 0
  opened = 0
  erased = 0

  /** A moment, later than all before. */
  tick(): number {
    this.#now += 1
    return this.#now
  }

  get keyIds(): readonly string[] {
    return [...this.#keys.keys()]
  }

  /** `answered` is called when the forgetting is; a crash leaves it open for ever. */
  forgetting(by: Viewer, subject: string): { answered(): void } {
    const forgetting = { by, from: this.tick(), to: Number.POSITIVE_INFINITY }
    const all = this.#forgettings.get(subject) ?? []
    this.#forgettings.set(subject, [...all, forgetting])
    return {
      answered: () => {
        forgetting.to = this.tick()
      },
    }
  }

  /** A key of a subject is asked for; the answer may never come, and the key be made all the same. */
  asking(subject: string): number {
    const from = this.tick()
    const asked = this.#asked.get(subject) ?? new Set()
    this.#asked.set(subject, asked.add(from))
    return from
  }

  /** A key was handed out to seal with. It may be one that was made for somebody who never heard. */
  handedOut(subject: string, asked: number, id: string, bytes: Buffer): void {
    const from = Math.min(...(this.#asked.get(subject) ?? []))
    this.#asked.get(subject)?.delete(asked)
    const hash = id.slice(0, id.indexOf('.'))
    if ((this.#hashes.get(subject) ?? hash) !== hash)
      throw new KeysViolation(`${subject} has two names`)
    this.#hashes.set(subject, hash)
    const known = this.#keys.get(id)
    if (known === undefined) {
      const use = { subject, bytes: bytes.toString('hex'), from, to: this.tick() }
      this.#keys.set(id, use)
      return
    }
    if (known.subject !== subject) throw new KeysViolation(`key ${id} serves two subjects`)
    if (known.bytes !== bytes.toString('hex')) throw new KeysViolation(`key ${id} has other bytes`)
  }

  /** A key was asked for to open with, since `from`. */
  answered(viewer: Viewer, id: string, from: number, bytes: Buffer | null): void {
    const key = this.#keys.get(id) as Use
    const forgettings = this.#forgettings.get(key.subject) ?? []
    if (bytes === null) {
      const to = this.tick()
      if (!forgettings.some(forgetting => forgetting.from < to && forgetting.to > key.from)) {
        throw new KeysViolation(`key ${id} of ${key.subject} is gone, and nobody forgot it`)
      }
      viewer.gone.add(id)
      this.erased += 1
      return
    }
    this.opened += 1
    if (bytes.toString('hex') !== key.bytes) throw new KeysViolation(`key ${id} has other bytes`)
    if (viewer.gone.has(id)) throw new KeysViolation(`key ${id} of ${key.subject} is back`)
    const told = ({ by, to }: Forgetting): boolean => to < (by === viewer ? from : viewer.openedAt)
    if (forgettings.some(forgetting => forgetting.from > key.to && told(forgetting))) {
      throw new KeysViolation(`key ${id} of ${key.subject} opens though it was forgotten`)
    }
  }
}
