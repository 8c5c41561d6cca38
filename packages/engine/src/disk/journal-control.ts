/** What the engine's thread and the journal's thread say to each other through shared memory. */

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
