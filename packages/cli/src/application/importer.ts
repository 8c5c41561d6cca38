/**
 * Runs the lines of a file as commands: lines of one stream one after the other, those of different
 * streams side by side, at most `concurrency` under way and none further than `LINES_AHEAD_MAX` ahead of
 * the first that is not done. A refused command stops the import: what the file says happened, and the
 * aggregate says it cannot have. The same file may be imported again at any time, and after a stop at
 * any moment: what is there already is passed over.
 */
import type { CommandMessage, Outcome } from '@millrace/model'
import type { ImportedCommand } from 'millrace'
import { CommandError, EXIT } from 'millrace/errors'
import type { RunningApplication } from './run-application.ts'

/**
 * Most lines between the first that is not done and the newest that is under way. A stream with many
 * lines in a row is behind the others by a round trip for each; without a bound, whoever goes on with a
 * file behind a stop would have to look for the first line that is missing in all of it.
 */
export const LINES_AHEAD_MAX = 4096

const ADVICE = 'What was imported stays. Correct the file and import it again.'

/** How far an import is. */
export type ImportProgress = {
  lines: number
  /** Commands that made events. */
  imported: number
  /** Lines that were there already. */
  known: number
}

type Accepted = Extract<Outcome<unknown>, { ok: true }>

/** A line that did not go in. */
export class ImportFailure extends CommandError {
  override readonly name: string = 'ImportFailure'

  constructor(line: number, message: string, cause?: unknown) {
    super(`line ${line}: ${message}`, EXIT.failed, ADVICE, cause)
  }
}

/** See the head of the file. */
export class Importer {
  readonly progress: ImportProgress = { lines: 0, imported: 0, known: 0 }
  readonly #application: RunningApplication
  readonly #importLine: (line: unknown) => ImportedCommand
  readonly #concurrency: number
  readonly #streams = new Map<string, Promise<void>>()
  readonly #versions = new Map<string, number>()
  /** Numbers of the lines under way, the first one first. */
  readonly #underWay = new Set<number>()
  #failure: unknown
  #wake: (() => void) | undefined

  constructor(
    application: RunningApplication,
    importLine: (line: unknown) => ImportedCommand,
    concurrency: number,
  ) {
    this.#application = application
    this.#importLine = importLine
    this.#concurrency = concurrency
  }

  /** Takes a line; resolves when there is room for another. @throws ImportFailure of an earlier one */
  async line(text: string): Promise<void> {
    this.progress.lines += 1
    const number = this.progress.lines
    const command = this.#parse(text, number)
    const stream = `${command.tenant ?? ''}\0${command.aggregate}\0${command.id}`
    if (command.version !== undefined && command.version < (this.#versions.get(stream) ?? 0)) {
      this.progress.known += 1
      return
    }
    const before = this.#streams.get(stream) ?? Promise.resolve()
    this.#underWay.add(number)
    const run = before
      .then(() => (this.#failure === undefined ? this.#run(command, stream, number) : undefined))
      .catch(error => {
        this.#failure ??= error
      })
      .finally(() => {
        this.#underWay.delete(number)
        if (this.#streams.get(stream) === run) this.#streams.delete(stream)
        this.#wake?.()
      })
    this.#streams.set(stream, run)
    while (this.#isFull(number)) await this.#change()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Waits for all lines. */
  async end(): Promise<ImportProgress> {
    while (this.#underWay.size > 0) await this.#change()
    if (this.#failure !== undefined) throw this.#failure
    return this.progress
  }

  #isFull(newest: number): boolean {
    const [first = newest] = this.#underWay
    return this.#underWay.size >= this.#concurrency || newest - first >= LINES_AHEAD_MAX
  }

  #change(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }

  #parse(text: string, line: number): ImportedCommand {
    try {
      return this.#importLine(JSON.parse(text))
    } catch (cause) {
      throw new ImportFailure(line, reasonsOf(cause), cause)
    }
  }

  async #run(command: ImportedCommand, stream: string, line: number): Promise<void> {
    const { version, tenant = '', ...message } = command
    if (version !== undefined) {
      const known = await this.#versionOf(command, stream)
      if (version < known) {
        this.progress.known += 1
        return
      }
      if (version > known) {
        throw new ImportFailure(
          line,
          `${command.aggregate} ${command.id} has ${known} events, and this is number ${version + 1}: there are lines missing before it`,
        )
      }
    }
    const outcome = await this.#command({ ...message, tenant }, line)
    if (version !== undefined) this.#versions.set(stream, outcome.version)
    if (outcome.duplicate) this.progress.known += 1
    else this.progress.imported += 1
  }

  async #command(message: CommandMessage, line: number): Promise<Accepted> {
    const outcome = await this.#application.commands.run(message).catch((cause: unknown) => {
      throw new ImportFailure(line, reasonsOf(cause), cause)
    })
    if (outcome.ok) return outcome
    const reason = JSON.stringify(outcome.reason)
    throw new ImportFailure(
      line,
      `${message.aggregate} ${message.id} refuses ${message.command}: ${reason}`,
    )
  }

  /** The version of a stream, asked once and then known from what is imported. */
  async #versionOf(command: ImportedCommand, stream: string): Promise<number> {
    const known = this.#versions.get(stream)
    if (known !== undefined) return known
    const { tenant = '', aggregate, id } = command
    const { version } = await this.#application.store.state({ tenant, category: aggregate, id })
    this.#versions.set(stream, version)
    return version
  }
}

/** A failed validation: Standard Schema, and zod's own errors, have issues with paths. */
type Issues = {
  readonly issues: readonly {
    readonly message: string
    readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[]
  }[]
}

/** What is wrong with a line, by field where that is known: `amount: expected number`. */
function reasonsOf(cause: unknown): string {
  const { issues } = cause as Partial<Issues>
  if (!Array.isArray(issues)) return cause instanceof Error ? cause.message : String(cause)
  return (cause as Issues).issues
    .map(({ path = [], message }) => {
      const keys = path.map(part => String(typeof part === 'object' ? part.key : part))
      return keys.length === 0 ? message : `${keys.join('.')}: ${message}`
    })
    .join('; ')
}
