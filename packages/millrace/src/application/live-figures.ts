/**
 * What a running application shows in a terminal: its figures and its processors, written over once
 * a second; where the output is no terminal, one line every ten seconds.
 */
import type { Output } from '../cli/output.ts'
import { count, span } from '../text/quantity.ts'
import { renderTable } from '../text/table.ts'
import type { Figures } from './define-application.ts'
import type { RunningApplication } from './run-application.ts'

const TERMINAL_MS = 1000
const LINE_MS = 10_000
/** Figures that take longer than this are shown when they are there; none are asked for meanwhile. */
const ROWS_MAX = 40

/** Asks for figures and shows them, until it is ended. */
export class LiveFigures {
  readonly #output: Output
  readonly #application: RunningApplication
  readonly #figures: () => Promise<Figures>
  readonly #timer: NodeJS.Timeout
  #drawn = 0
  #busy = false
  #ended = false

  constructor(output: Output, application: RunningApplication, figures: () => Promise<Figures>) {
    this.#output = output
    this.#application = application
    this.#figures = figures
    this.#timer = setInterval(() => void this.#show(), output.isTerminal ? TERMINAL_MS : LINE_MS)
    this.#timer.unref()
  }

  /** Shows nothing more. */
  end(): void {
    this.#ended = true
    clearInterval(this.#timer)
  }

  async #show(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    try {
      const figures = await this.#figures()
      if (this.#ended) return
      if (this.#output.isTerminal) this.#redraw(figures)
      else this.#output.write(`${lineOf(figures)}\n`)
    } catch (error) {
      if (!this.#ended) this.#output.write(`figures: ${(error as Error).message}\n`)
    } finally {
      this.#busy = false
    }
  }

  #redraw(figures: Figures): void {
    const text = `${figureRows(figures)}\n${processorRows(this.#application)}`
    const lines = text.split('\n').slice(0, ROWS_MAX)
    const width = Math.max(20, this.#output.columns - 1)
    const up = this.#drawn === 0 ? '' : `\u001b[${this.#drawn}A`
    const body = lines.map(line => `\u001b[2K${line.slice(0, width)}\n`).join('')
    this.#output.write(`${up}${body}`)
    this.#drawn = lines.length
  }
}

const lineOf = (figures: Figures): string =>
  Object.entries(figures)
    .map(([name, value]) => `${name} ${typeof value === 'number' ? count(value) : value}`)
    .join('  ')

function figureRows(figures: Figures): string {
  return renderTable(
    ['figure', 'value'],
    Object.entries(figures).map(([name, value]) => [name, value]),
  )
}

function processorRows(application: RunningApplication): string {
  const rows = application
    .processors()
    .map(one => [
      `${one.kind} ${one.name}`,
      one.state,
      `${count(one.rate)}/s`,
      one.lag,
      one.timeLeftMs === null || one.lag === 0 ? '' : span(one.timeLeftMs),
      one.parked,
      one.reason ?? '',
    ])
  return renderTable(['processor', 'state', 'rate', 'lag', 'left', 'parked', 'reason'], rows)
}
