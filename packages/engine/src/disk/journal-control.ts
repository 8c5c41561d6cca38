/**
 * What the engine's thread and the journal's thread say to each other through shared memory.
 *
 * The journal's thread says that it is done, then calls whoever waits: two steps, and on a busy machine
 * it may stand still between them. The engine's thread may see the word meanwhile without being called,
 * hand over the next write, and wait again: the late call then wakes it for a write that has not begun.
 * So a call proves nothing: only the word does, and whoever is called looks at it again.
 */

/** Places of the control block, as indexes of int32 words, and the commands. */
export const CONTROL = {
  command: 0,
  descriptor: 1,
  slot: 2,
  length: 3,
  sync: 4,
  result: 5,
  done: 6,
  /** Whether the command has been taken up. */
  begun: 7,
  /** Whether the write is done, and the sync has begun. */
  syncing: 12,
  /** Byte at which the position stands, as a float64. */
  positionAt: 32,
  /** Byte at which stands how long the last command took in ms, as a float64. */
  tookAt: 40,
  bytes: 64,
  idle: 0,
  write: 1,
  stop: 2,
} as const

/** What the thread is started with. */
export type JournalThreadData = {
  readonly control: SharedArrayBuffer
  readonly staging: readonly SharedArrayBuffer[]
  /** Added to each sync, for benchmarks. */
  readonly syncDelayMs: number
}

/** Whether the journal's thread is done with the last command. */
export const isDone = (words: Int32Array): boolean => Atomics.load(words, CONTROL.done) === 1

/** Stands still until the journal's thread is done, at most so long; whether it is. */
export function isDoneWithin(words: Int32Array, ms: number): boolean {
  const end = performance.now() + ms
  while (!isDone(words)) {
    const left = end - performance.now()
    if (left <= 0) return false
    Atomics.wait(words, CONTROL.done, 0, left)
  }
  return true
}

/** Resolves when the journal's thread is done. */
export async function whenDone(words: Int32Array): Promise<void> {
  while (!isDone(words)) await Atomics.waitAsync(words, CONTROL.done, 0).value
}
