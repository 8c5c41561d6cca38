/** Answers that are there at once, nearly always: the hot path of reads and appends awaits nothing. */

/** A value, or a promise of it. */
export type Maybe<T> = T | Promise<T>

/** Goes on with a value when it is there, which may be now. */
export function chain<T, U>(value: Maybe<T>, next: (value: T) => Maybe<U>): Maybe<U> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** A value that is found once. A failure is not kept: who asks next tries again. */
export class Once<T> {
  readonly #find: () => Promise<T>
  #found: Maybe<T> | undefined

  constructor(find: () => Promise<T>) {
    this.#find = find
  }

  get(): Maybe<T> {
    if (this.#found !== undefined) return this.#found
    const finding = this.#find()
    this.#found = finding
    finding.then(
      value => {
        this.#found = value
      },
      () => {
        this.#found = undefined
      },
    )
    return finding
  }
}
