/**
 * What a command is given: where to write, what time it is, when to stop, and the log it is about.
 * Commands take nothing from the process itself, so that tests run them on a log in memory.
 */
import type { Log } from '@millrace/log'
import { EXIT, type ExitCode } from 'millrace/errors'
import { type Cell, renderTable } from '../text/table.ts'
import type { StandardInput } from './input.ts'
import type { Output } from './output.ts'

/** The surroundings of a command. */
export type CommandContext = {
  readonly stdout: Output
  readonly stderr: Output
  readonly stdin: StandardInput
  /** Whether answers are JSON, one object a line. */
  readonly json: boolean
  /** Ms since the epoch. */
  readonly now: () => number
  /** Fires on SIGINT and SIGTERM. */
  readonly signal: AbortSignal
}

/** The surroundings of a command about a log. */
export type LogContext = CommandContext & { readonly log: Log }

/** Prints rows: a table for people, one JSON object a row for machines. */
export function printRows<T>(
  context: CommandContext,
  rows: readonly T[],
  columns: Readonly<Record<string, (row: T) => Cell>>,
  toJson: (row: T) => object = row => row as object,
): void {
  if (context.json) {
    for (const row of rows) context.stdout.write(`${JSON.stringify(toJson(row))}\n`)
    return
  }
  const names = Object.keys(columns)
  const cells = rows.map(row => names.map(name => columns[name]?.(row) ?? ''))
  context.stdout.write(renderTable(names, cells))
}

/** Prints one answer: a sentence for people, an object for machines. */
export function printAnswer(context: CommandContext, sentence: string, json: object): void {
  context.stdout.write(context.json ? `${JSON.stringify(json)}\n` : `${sentence}\n`)
}

/** Tells each failed part of a call about several, and what the command then ends with. */
export function reportFailures(
  context: CommandContext,
  failures: readonly { readonly what: string; readonly error: Error }[],
): ExitCode {
  for (const { what, error } of failures) context.stderr.write(`${what}: ${error.message}\n`)
  return failures.length === 0 ? EXIT.ok : EXIT.failed
}
