/** Flags that several commands have, how their values are read, and how a command is run. */
import { type Command, InvalidArgumentError } from 'commander'
import type { ExitCode } from 'millrace/errors'
import type { CommandContext, LogContext } from './terminal/context.ts'

/** Flags that every command about a log has. */
export type LogFlags = CommandFlags & {
  readonly bootstrap?: string
  /** A data folder that no node has open, instead of a node. */
  readonly data?: string
  /** Whether that folder is made when it is not there. Default false. */
  readonly makesData?: boolean
}

/** Flags that every command has. */
export type CommandFlags = { readonly json?: boolean; readonly debug?: boolean }

/** Runs what a command does, within its surroundings. */
export interface Runner {
  /** With a log behind `--bootstrap`. */
  withLog(flags: LogFlags, body: (context: LogContext) => Promise<ExitCode>): Promise<void>
  /** Without a log. */
  alone(flags: CommandFlags, body: (context: CommandContext) => Promise<ExitCode>): Promise<void>
}

/** Commands that can also work on a folder that no node has open. */
export function withData(command: Command): Command {
  return command.option('--data <DIR>', 'a data folder that no node has open, instead of a node')
}

export function aboutFiles(command: Command): Command {
  return command
    .option('--json', 'for machines: JSON')
    .option('--debug', 'show the stack of a failure')
}

export function aboutLog(command: Command): Command {
  return aboutFiles(
    command.option(
      '-b, --bootstrap <HOST:PORT>',
      'node to ask (MILLRACE_BOOTSTRAP; 127.0.0.1:9092)',
    ),
  )
}

export function wholeNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('It must be a whole number.')
  }
  return value
}

export function collect(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text]
}

export function collectNumbers(text: string, previous: readonly number[] = []): readonly number[] {
  return [...previous, wholeNumber(text)]
}
