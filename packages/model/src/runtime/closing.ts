/** Closes what was opened, in the reverse order, once. */

export class Closing {
  readonly #steps: (() => Promise<void>)[] = []
  #done: Promise<void> | undefined

  /** Adds a step that runs before all that were added earlier. */
  add(step: () => Promise<void>): void {
    this.#steps.push(step)
  }

  /** Runs every step, failing ones too, and throws the first failure. Idempotent. */
  close(): Promise<void> {
    this.#done ??= this.#run()
    return this.#done
  }

  async #run(): Promise<void> {
    const failures: unknown[] = []
    for (const step of this.#steps.reverse()) await step().catch(error => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }
}
