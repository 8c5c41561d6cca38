/**
 * The frame of errors: each part of the house has a closed list of codes, and an error of it says what
 * happened, whether the same call may be repeated, and what somebody should do.
 */

/** One code of a list. */
export type ErrorSpec = {
  /** Whether the identical call can succeed later without anybody changing anything. */
  readonly retriable: boolean
  /** What happened. */
  readonly message: string
  /** What the operator or the author of the call should do. */
  readonly operator: string
}

/** An error of a closed list. */
export abstract class ListedError<Code extends string> extends Error {
  readonly code: Code
  /** Whether the identical call can succeed later. */
  readonly retriable: boolean
  /** What the operator or the author of the call should do. */
  readonly operator: string

  /** @param message what exactly is wrong here: names the field, the value and the bound */
  constructor(code: Code, spec: ErrorSpec, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.retriable = spec.retriable
    this.operator = spec.operator
  }
}
