/**
 * Whatever was thrown, as an error of the log.
 */
import { LogError } from './errors.ts'

/** The error itself if it is one of the log, else UNKNOWN_SERVER_ERROR with it as the cause. */
export const asLogError = (error: unknown): LogError =>
  error instanceof LogError
    ? error
    : new LogError(
        'UNKNOWN_SERVER_ERROR',
        error instanceof Error ? error.message : String(error),
        error,
      )
