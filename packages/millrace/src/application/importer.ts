/**
 * Runs the lines of a file as commands: lines of one stream one after the other, those of different
 * streams side by side, at most `concurrency` under way. A refused command stops the import: what
 * the file says happened, and the aggregate says it cannot have.
 */
import type { ImportedCommand } from './define-application.ts'
import type { RunningApplication } from './run-application.ts'

/** How far an import is. */
export type ImportProgress = {
  lines: number
  /** Commands that made events. */
  imported: number
  /** Lines that were there already. */
  known: number
}

/** A line that did not go in. */
export class ImportFailure extends Error {
  override readonly name = 'ImportFailure'
}

/** See the head of the file. */
export class Importer {
  readonly progress: ImportProgress = { lines: 0, imported: 0, known: 0 }
  readonly #application: RunningApplication
  readonly #importLine: (line: unknown) => ImportedCommand
  readonly #concurrency: number
  readonly #streams = new Map<string, Promise<void>>()
  readonly #versions = new Map<string, number>()
  #underWay = 0
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
    const command = this.#parse(text, this.progress.lines)
    const stream = `${command.tenant ?? ''}\0${command.aggregate}\0${command.id}`
    const number = this.progress.lines
    const before = this.#streams.get(stream) ?? Promise.resolve()
    this.#underWay += 1
    const run = before
      .then(() => (this.#failure === undefined ? this.#run(command, stream, number) : undefined))
      .catch(error => {
        this.#failure ??= error
      })
      .finally(() => {
        this.#underWay -= 1
        if (this.#streams.get(stream) === run) this.#streams.delete(stream)
        this.#wake?.()
      })
    this.#streams.set(stream, run)
    while (this.#underWay >= this.#concurrency) await this.#change()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Waits for all lines. */
  async end(): Promise<ImportProgress> {
    while (this.#underWay > 0) await this.#change()
    if (this.#failure !== undefined) throw this.#failure
    return this.progress
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
      const message = cause instanceof Error ? cause.message : String(cause)
      throw new ImportFailure(`line ${line}: ${message}`, { cause })
    }
  }

  async #run(command: ImportedCommand, stream: string, line: number): Promise<void> {
    const { version, tenant = '', ...message } = command
    if (version !== undefined && version < (await this.#versionOf(command, stream))) {
      this.progress.known += 1
      return
    }
    const outcome = await this.#application.commands.run({ ...message, tenant })
    if (!outcome.ok) {
      const reason = JSON.stringify(outcome.reason)
      throw new ImportFailure(
        `line ${line}: ${command.aggregate} ${command.id} refuses ${command.command}: ${reason}`,
      )
    }
    if (version !== undefined) this.#versions.set(stream, outcome.version)
    if (outcome.duplicate) this.progress.known += 1
    else this.progress.imported += 1
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
