/**
 * How a failure is told: what happened and what to do about it, without a stack unless `--debug`
 * asks for one; and which exit code says it to a script.
 */
import { LogError } from '@millrace/log'
import { CommandError, ConfigError, EXIT, type ExitCode } from 'millrace/errors'

/** The exit code of an error. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode
  if (error instanceof LogError && error.code === 'NETWORK_EXCEPTION') return EXIT.unreachable
  if (error instanceof ConfigError || error instanceof RangeError) return EXIT.usage
  return EXIT.failed
}

/** An error as text for standard error, with a line end. */
export function failureText(error: unknown, debug: boolean): string {
  const lines = [`error: ${messageOf(error)}`]
  const advice = adviceOf(error)
  if (advice !== undefined) lines.push(advice)
  if (debug && error instanceof Error) lines.push(error.stack ?? '', ...causes(error))
  else if (!isExpected(error)) lines.push('Run it again with --debug for the whole story.')
  return `${lines.join('\n')}\n`
}

function messageOf(error: unknown): string {
  if (isOfAList(error)) return `${error.message} (${error.code})`
  return error instanceof Error ? error.message : String(error)
}

function adviceOf(error: unknown): string | undefined {
  if (isOfAList(error)) return error.operator
  return error instanceof CommandError ? error.advice : undefined
}

/** Errors of closed lists, of the log, the store and the model: read the same way. */
function isOfAList(
  error: unknown,
): error is Error & { readonly code: string; readonly operator: string } {
  return error instanceof Error && 'code' in error && 'operator' in error
}

/** Whether the message alone is for users. */
function isExpected(error: unknown): boolean {
  return (
    isOfAList(error) ||
    error instanceof CommandError ||
    error instanceof ConfigError ||
    error instanceof RangeError
  )
}

function causes(error: Error): string[] {
  const lines: string[] = []
  // A chain of causes is short; the bound only guards against a ring.
  for (let cause = error.cause, depth = 0; cause instanceof Error && depth < 8; depth += 1) {
    lines.push(`caused by: ${cause.stack ?? cause.message}`)
    cause = cause.cause
  }
  return lines
}
