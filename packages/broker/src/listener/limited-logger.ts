/**
 * A logger that a flood of bad connections cannot fill: so many lines from one sweep to the next,
 * then a single one that says how many were left out.
 */
import type { LogFields, Logger } from './logger.ts'

/** Lines between two sweeps. */
export const LINES_PER_SWEEP = 100

/** Passes lines on within the limit. */
export class LimitedLogger implements Logger {
  readonly #logger: Logger
  #lines = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  info(fields: LogFields, message: string): void {
    if (this.#hasRoom()) this.#logger.info(fields, message)
  }

  warn(fields: LogFields, message: string): void {
    if (this.#hasRoom()) this.#logger.warn(fields, message)
  }

  error(fields: LogFields, message: string): void {
    if (this.#hasRoom()) this.#logger.error(fields, message)
  }

  /** Begins anew; says what was left out. */
  sweep(): void {
    const leftOut = this.#lines - LINES_PER_SWEEP
    this.#lines = 0
    if (leftOut > 0) this.#logger.warn({ lines: leftOut }, 'lines about connections left out')
  }

  #hasRoom(): boolean {
    this.#lines += 1
    return this.#lines <= LINES_PER_SWEEP
  }
}
