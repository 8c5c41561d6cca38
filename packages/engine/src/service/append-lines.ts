/**
 * Appends that wait for a verdict, in a line for each partition: whoever is judged enters once it is
 * the first in all lines that it stands in. So the order of calls stays the order in each partition,
 * and a batch that takes long holds up nobody elsewhere.
 */
type Held = {
  readonly lines: readonly string[]
  /** Present once it may enter; never throws. */
  enter?: () => void
}

/** The lines. Empty most of the time. */
export class AppendLines {
  readonly #lines = new Map<string, Held[]>()
  #idle: (() => void)[] = []

  get isEmpty(): boolean {
    return this.#lines.size === 0
  }

  /** Whether somebody waits in one of these lines. */
  holds(lines: Iterable<string>): boolean {
    for (const line of lines) if (this.#lines.has(line)) return true
    return false
  }

  /**
   * Puts an append at the end of its lines.
   *
   * @param verdict resolves when it may enter
   * @param enter is called once, synchronously behind the one before it
   * @returns what `enter` returns or throws, or why there is no verdict; the line goes on anyway
   */
  add<T, R>(
    lines: ReadonlySet<string>,
    verdict: Promise<T>,
    enter: (verdict: T) => R | Promise<R>,
  ): Promise<R> {
    const held: Held = { lines: [...lines] }
    for (const name of held.lines) {
      const line = this.#lines.get(name)
      if (line === undefined) this.#lines.set(name, [held])
      else line.push(held)
    }
    const { promise, resolve, reject } = Promise.withResolvers<R>()
    const mayEnter = (turn: () => void): void => {
      held.enter = turn
      this.#advance(held)
    }
    verdict.then(
      known =>
        mayEnter(() => {
          try {
            resolve(enter(known))
          } catch (cause) {
            reject(cause)
          }
        }),
      cause => mayEnter(() => reject(cause)),
    )
    return promise
  }

  /** Resolves when nobody waits. */
  async idle(): Promise<void> {
    while (!this.isEmpty) await new Promise<void>(resolve => void this.#idle.push(resolve))
  }

  #advance(first: Held): void {
    const candidates = [first]
    for (let held = candidates.pop(); held !== undefined; held = candidates.pop()) {
      const { enter, lines } = held
      if (enter === undefined || lines.some(name => this.#lines.get(name)?.[0] !== held)) continue
      for (const name of lines) {
        const line = this.#lines.get(name) ?? []
        line.shift()
        const [next] = line
        if (next === undefined) this.#lines.delete(name)
        else candidates.push(next)
      }
      enter()
    }
    if (!this.isEmpty) return
    const waiting = this.#idle
    this.#idle = []
    for (const resolve of waiting) resolve()
  }
}
