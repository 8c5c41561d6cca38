/** Answers that are there at once, nearly always: the hot path of reads and appends awaits nothing. */

/** A value, or a promise of it. */
export type Maybe<T> = T | Promise<T>

/** Goes on with a value when it is there, which may be now. */
export function chain<T, U>(value: Maybe<T>, next: (value: T) => Maybe<U>): Maybe<U> {
  return value instanceof Promise ? value.then(next) : next(value)
}
