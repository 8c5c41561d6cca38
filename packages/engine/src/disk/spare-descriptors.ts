/**
 * Descriptors that are kept open for nothing, so that there are some when the process has no more: one
 * is closed in favour of a file of the journal, a checkpoint or a folder that has to be synced. What
 * can wait, segments above all, does not get them.
 */
import { closeSync, constants, openSync } from 'node:fs'

/** Descriptors kept for what cannot wait. */
export const SPARE_DESCRIPTORS = 8

/** Open descriptors of one folder. */
export class SpareDescriptors {
  readonly #folder: string
  readonly #spares: number[] = []
  #closed = false

  constructor(folder: string) {
    this.#folder = folder
    this.refill()
  }

  /** Closes one, so that the next call that needs one succeeds; false when none is left. */
  giveUpOne(): boolean {
    const spare = this.#spares.pop()
    if (spare === undefined) return false
    closeSync(spare)
    return true
  }

  /** Takes back what was given up, as far as there are any. */
  refill(): void {
    try {
      while (!this.#closed && this.#spares.length < SPARE_DESCRIPTORS) {
        this.#spares.push(openSync(this.#folder, constants.O_RDONLY))
      }
    } catch {
      // Still none: the next file that is closed leaves one.
    }
  }

  close(): void {
    this.#closed = true
    while (this.giveUpOne());
  }
}

/** Whether a call of node:fs has failed for want of a descriptor. */
export const lacksDescriptor = (cause: unknown): boolean => {
  const code = (cause as { readonly code?: unknown } | null)?.code
  return code === 'EMFILE' || code === 'ENFILE'
}
