/**
 * What a running application shows in a terminal: its figures and its processors, written over once
 * a second; where the output is no terminal, one line every ten seconds.
 *
 * A screen is written in one piece, line by line over the last one, so that nothing flickers. It is
 * cut to the terminal's size: a line that wraps, or one that has scrolled away, cannot be written
 * over.
 */

import type { Figures } from 'millrace'
import type { Output } from '../terminal/output.ts'
import { printable } from '../text/printable.ts'
import { count, span } from '../text/quantity.ts'
import { renderTable } from '../text/table.ts'
import type { RunningApplication } from './run-application.ts'

const TERMINAL_MS = 1000
const LINE_MS = 10_000
/** A screen is never taller, whatever an application calls figures. */
const ROWS_MAX = 22
/** The change of a figure is that of so many screens, told for a minute. */
const WINDOW = 10

/** What is shown. */
export type LiveOptions = {
  readonly name: string
  readonly output: Output
  readonly application: Pick<RunningApplication, 'processors'>
  readonly figures: () => Promise<Figures>
  /** Ms on a clock that never goes back. */
  readonly now: () => number
}

type Sample = { readonly at: number; readonly figures: Figures }

/** Asks for figures and shows them, until it is ended. */
export class LiveFigures {
  readonly #options: LiveOptions
  readonly #startedAt: number
  readonly #timer: NodeJS.Timeout
  readonly #samples: Sample[] = []
  #drawn = 0
  #busy = false
  #ended = false

  constructor(options: LiveOptions) {
    this.#options = options
    this.#startedAt = options.now()
    const { isTerminal } = options.output
    this.#timer = setInterval(() => void this.#show(), isTerminal ? TERMINAL_MS : LINE_MS)
    this.#timer.unref()
    void this.#show()
  }

  /** Shows nothing more. */
  end(): void {
    this.#ended = true
    clearInterval(this.#timer)
  }

  async #show(): Promise<void> {
    // Figures that take longer than a turn are shown when they are there; none are asked for meanwhile.
    if (this.#busy) return
    this.#busy = true
    const { output } = this.#options
    try {
      const figures = await this.#options.figures()
      if (this.#ended) return
      if (output.isTerminal) this.#redraw(figures)
      else output.write(`${lineOf(figures)}\n`)
    } catch (error) {
      if (!this.#ended) output.write(`figures: ${(error as Error).message}\n`)
    } finally {
      this.#busy = false
    }
  }

  #redraw(figures: Figures): void {
    const { output, name, application, now } = this.#options
    const at = now()
    this.#samples.push({ at, figures })
    if (this.#samples.length > WINDOW) this.#samples.shift()
    const title = `  ${name}, for ${span(at - this.#startedAt)}. Ctrl-C stops it.`
    const text = [
      title,
      '',
      figureRows(this.#samples[0] ?? { at, figures }, { at, figures }),
      processorRows(application.processors()),
    ].join('\n')
    const lines = text.trimEnd().split('\n').slice(0, ROWS_MAX)
    const width = Math.max(20, output.columns - 1)
    const up = this.#drawn === 0 ? '' : `\r\u001b[${this.#drawn}A`
    const body = lines.map(line => `${printable(line).slice(0, width)}\u001b[K\n`).join('')
    // What is left of a taller screen goes away with the last line.
    output.draw(`${up}${body}\u001b[J`)
    this.#drawn = lines.length
  }
}

const lineOf = (figures: Figures): string =>
  Object.entries(figures)
    .map(([name, value]) => `${name} ${typeof value === 'number' ? count(value) : value}`)
    .join('  ')

function figureRows(from: Sample, to: Sample): string {
  const minutes = (to.at - from.at) / 60_000
  const rows = Object.entries(to.figures).map(([name, value]) => {
    const before = from.figures[name] ?? 0
    const isCounted = typeof value === 'number' && typeof before === 'number' && minutes > 0
    const change = isCounted ? Math.round((value - before) / minutes) : 0
    return [`  ${name}`, value, change]
  })
  return renderTable(['  figure', 'value', 'a minute'], rows)
}

function processorRows(processors: ReturnType<RunningApplication['processors']>): string {
  const rows = processors.map(one => [
    `  ${one.name}`,
    one.kind,
    one.state,
    `${count(one.rate)}/s`,
    one.lag,
    one.timeLeftMs === null || one.lag === 0 ? '' : span(one.timeLeftMs),
    one.parked,
    one.reason ?? '',
  ])
  const columns = ['  processor', 'kind', 'state', 'rate', 'lag', 'left', 'parked', 'reason']
  return renderTable(columns, rows)
}
