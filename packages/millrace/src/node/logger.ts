/**
 * Where the node writes what an operator should know: standard error, one line each.
 *
 * On a terminal a line is for eyes; elsewhere it is JSON by pino, loaded once the node listens so
 * that the first acknowledgement does not wait for it. What is logged before is kept, up to
 * KEPT_LINES_MAX, and written then. Standard output is never touched: it belongs to the answers.
 */
import type { Logger as PinoLogger } from 'pino'

/** The fields of one line. */
export type LogFields = Readonly<Record<string, unknown>>

/** The severities that a node logs. */
export type LogLevel = 'info' | 'warn' | 'error'

/** A logger as the listener and the node use it. */
export interface Logger {
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

type Line = {
  readonly level: LogLevel
  readonly fields: LogFields
  readonly message: string
  readonly time: number
}

const LEVELS: readonly LogLevel[] = ['info', 'warn', 'error']
const KEPT_LINES_MAX = 1_000

/** What a {@link NodeLogger} writes to. */
export type LogTarget = {
  readonly isTTY?: boolean | undefined
  write(text: string): unknown
}

export class NodeLogger implements Logger {
  #least: number
  #target: LogTarget
  #now: () => number
  #kept: Line[] | null
  #lost = 0
  #pino: PinoLogger | null = null

  /** @param level 'silent' logs nothing */
  constructor(level: LogLevel | 'silent', target: LogTarget, now: () => number) {
    this.#least = level === 'silent' ? LEVELS.length : LEVELS.indexOf(level)
    this.#target = target
    this.#now = now
    this.#kept = target.isTTY === true ? null : []
  }

  info(fields: LogFields, message: string): void {
    this.#log('info', fields, message)
  }

  warn(fields: LogFields, message: string): void {
    this.#log('warn', fields, message)
  }

  error(fields: LogFields, message: string): void {
    this.#log('error', fields, message)
  }

  /** Loads pino where lines are for machines, and writes what was kept. Safe to call again. */
  async load(): Promise<void> {
    if (this.#kept === null) return
    const { pino, stdSerializers } = await import('pino')
    if (this.#kept === null) return
    // Kept lines carry the time of their event, so every line brings its own.
    this.#pino = pino(
      {
        base: null,
        timestamp: false,
        formatters: { level: label => ({ level: label }) },
        serializers: { error: stdSerializers.err, reason: stdSerializers.err },
      },
      { write: text => void this.#target.write(text) },
    )
    const kept = this.#kept
    this.#kept = null
    for (const line of kept) this.#write(line)
    if (this.#lost > 0) this.warn({ lines: this.#lost }, 'lines logged before start were lost')
  }

  #log(level: LogLevel, fields: LogFields, message: string): void {
    if (LEVELS.indexOf(level) < this.#least) return
    const line = { level, fields, message, time: this.#now() }
    if (this.#kept === null) this.#write(line)
    else if (this.#kept.length < KEPT_LINES_MAX) this.#kept.push(line)
    else this.#lost += 1
  }

  #write(line: Line): void {
    const time = new Date(line.time).toISOString()
    if (this.#pino === null) this.#target.write(`${forEyes(line, time)}\n`)
    else this.#pino[line.level]({ time, ...line.fields }, line.message)
  }
}

/** `12:00:00.000 WARN  message key=value` */
function forEyes(line: Line, time: string): string {
  const fields = Object.entries(line.fields).map(([key, value]) => `${key}=${fieldText(value)}`)
  return [time.slice(11, 23), line.level.toUpperCase().padEnd(5), line.message, ...fields].join(' ')
}

function fieldText(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message)
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
}
