/**
 * `/metrics`: the counters of engine and listener and the process's own, as Prometheus text.
 *
 * prom-client is loaded by the first scrape, not at start. Names: `millrace_engine_` or
 * `millrace_listener_` before the part's own name in snake case. A name that ends in `total` is a
 * counter, all others are gauges. A scrape reads the parts once; nothing is sampled in between.
 */
import type { Registry } from 'prom-client'

/** Counters and gauges of one part, by the part's own names. */
export type Figures = Readonly<Record<string, number>>

/** The parts of a node that have figures, by name. */
export type FigureSources = Readonly<Record<string, () => Figures>>

/** A page as it is answered. */
export type Page = { readonly contentType: string; readonly body: string }

/** `journalBytesTotal` and `journal.bytes.total` are `millrace_engine_journal_bytes_total`. */
export function metricName(part: string, name: string): string {
  const snake = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[^a-zA-Z0-9]+/g, '_')
    .toLowerCase()
  return `millrace_${part}_${snake}`
}

export class MetricsPage {
  #sources: FigureSources
  #registry: Promise<Registry> | null = null

  constructor(sources: FigureSources) {
    this.#sources = sources
  }

  async render(): Promise<Page> {
    this.#registry ??= this.#processFigures()
    const registry = await this.#registry
    const parts = Object.entries(this.#sources).map(([part, read]) => rendered(part, read()))
    return {
      contentType: registry.contentType,
      body: parts.join('') + (await registry.metrics()),
    }
  }

  /** CPU, memory, event loop and garbage collection, by prom-client's own names. */
  async #processFigures(): Promise<Registry> {
    const { collectDefaultMetrics, Registry } = await import('prom-client')
    const registry = new Registry()
    collectDefaultMetrics({ register: registry })
    return registry
  }
}

function rendered(part: string, figures: Figures): string {
  let text = ''
  for (const [name, value] of Object.entries(figures)) {
    const metric = metricName(part, name)
    const type = metric.endsWith('_total') ? 'counter' : 'gauge'
    text += `# TYPE ${metric} ${type}\n${metric} ${value}\n`
  }
  return text
}
