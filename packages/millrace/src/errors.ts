/** Failures that are told to users as they stand, and what the process ends with. */

/** What the process ends with, for scripts. Documented in `millrace --help` and the README. */
export const EXIT = {
  /** All was done. */
  ok: 0,
  /** Something failed; standard error says what. */
  failed: 1,
  /** The command line or the configuration is wrong; nothing was done. */
  usage: 2,
  /** No node could be reached at the bootstrap address. */
  unreachable: 3,
  /** `verify` or `dump` found damage. */
  damage: 4,
  /** Another process has the data folder open, or the port is taken. */
  busy: 5,
  /** Ended by SIGINT before it was done. */
  interrupted: 130,
} as const

/** One of the values of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** A failure whose message is for the user as it stands, with what to do about it. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError'
  readonly exitCode: ExitCode
  readonly advice: string | undefined

  constructor(message: string, exitCode: ExitCode, advice?: string, cause?: unknown) {
    super(message, { cause })
    this.exitCode = exitCode
    this.advice = advice
  }
}

/** Unknown names and bad values, one line each. */
export class ConfigError extends Error {
  override readonly name: string = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}
