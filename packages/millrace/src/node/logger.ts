/**
 * Where the node writes what an operator should know: standard error, one line each.
 *
 * On a terminal a line is for eyes; elsewhere it is JSON by pino, which the first line loads: a node
 * that has nothing to say starts faster and is smaller. Lines that come meanwhile are kept, up to
 * KEPT_LINES_MAX, and written then. Standard output is never touched: it belongs to the answers.
 */
import type { LogFields, Logger } from '@millrace/broker'
import type { Logger as PinoLogger } from 'pino'

/** The severities that a node logs. */
export type LogLevel = 'info' | 'warn' | 'error'

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
  #loading: Promise<void> | null = null

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

  /** Resolves when every line so far is written. */
  async flush(): Promise<void> {
    await this.#loading
  }

  async #load(): Promise<void> {
    try {
      this.#pino = await this.#newPino()
    } catch (cause) {
      // No file descriptors left, or the installation is broken: the lines matter more than that.
      this.#target.write(`${JSON.stringify({ level: 'warn', msg: `no pino: ${String(cause)}` })}\n`)
    }
    const kept = this.#kept ?? []
    this.#kept = null
    for (const line of kept) this.#write(line)
    if (this.#lost > 0) this.warn({ lines: this.#lost }, 'lines logged at the start were lost')
  }

  async #newPino(): Promise<PinoLogger> {
    const { pino, stdSerializers } = await import('pino')
    return pino(
      {
        base: null,
        // Kept lines carry the time of their event, so every line brings its own.
        timestamp: false,
        formatters: { level: label => ({ level: label }) },
        serializers: { error: stdSerializers.err, reason: stdSerializers.err },
      },
      { write: text => void this.#target.write(text) },
    )
  }

  #log(level: LogLevel, fields: LogFields, message: string): void {
    if (LEVELS.indexOf(level) < this.#least) return
    const line = { level, fields, message, time: this.#now() }
    if (this.#kept === null) {
      this.#write(line)
      return
    }
    if (this.#kept.length < KEPT_LINES_MAX) this.#kept.push(line)
    else this.#lost += 1
    this.#loading ??= this.#load()
  }

  #write(line: Line): void {
    const time = new Date(line.time).toISOString()
    if (this.#pino !== null) this.#pino[line.level]({ time, ...line.fields }, line.message)
    else if (this.#target.isTTY === true) this.#target.write(`${forEyes(line, time)}\n`)
    else {
      const { level, fields, message } = line
      this.#target.write(`${JSON.stringify({ level, time, ...fields, msg: message })}\n`)
    }
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
