/**
 * One line on a terminal that is written over: records, rate of the last seconds, and the time left
 * where the size of the input is known.
 */
import type { Output } from '../terminal/output.ts'
import { bytes, count, span } from '../text/quantity.ts'

const INTERVAL_MS = 250
/** The rate is that of this many intervals, so that it is steady and still follows. */
const WINDOW = 12

/** How far a run is. */
export type ProgressFigures = { readonly records: number; readonly bytes: number }

type Sample = ProgressFigures & { readonly at: number }

export class ProduceProgress {
  #output: Output
  #totalBytes: number | null
  #read: () => ProgressFigures
  #samples: Sample[] = []
  #timer: NodeJS.Timeout

  constructor(output: Output, totalBytes: number | null, read: () => ProgressFigures) {
    this.#output = output
    this.#totalBytes = totalBytes
    this.#read = read
    this.#samples.push({ ...read(), at: performance.now() })
    this.#timer = setInterval(() => this.#draw(), INTERVAL_MS)
    this.#timer.unref()
  }

  end(): void {
    clearInterval(this.#timer)
    this.#output.draw('\r\u001b[K')
  }

  #draw(): void {
    const now = { ...this.#read(), at: performance.now() }
    this.#samples.push(now)
    if (this.#samples.length > WINDOW) this.#samples.shift()
    const text = progressText(this.#samples[0] ?? now, now, this.#totalBytes)
    this.#output.draw(`\r\u001b[K${text.slice(0, this.#output.columns - 1)}`)
  }
}

/** `120,000 records  81,200/s  13.1 MiB/s  46%  3.2 s left` */
export function progressText(from: Sample, to: Sample, totalBytes: number | null): string {
  const seconds = (to.at - from.at) / 1000
  const rate = seconds > 0 ? (to.records - from.records) / seconds : 0
  const bytesRate = seconds > 0 ? (to.bytes - from.bytes) / seconds : 0
  const parts = [
    `${count(to.records)} records`,
    `${count(rate)}/s`,
    `${bytes(Math.round(bytesRate))}/s`,
  ]
  if (totalBytes !== null && totalBytes > 0) {
    parts.push(`${Math.floor((to.bytes / totalBytes) * 100)}%`)
    const left = Math.max(0, totalBytes - to.bytes)
    if (bytesRate > 0) parts.push(`${span((left / bytesRate) * 1000)} left`)
  }
  return parts.join('  ')
}
