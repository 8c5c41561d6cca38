/** Surroundings of a command that keep what it writes, around a log in memory. */
import type { Log } from '@millrace/log'
import type { LogContext } from '../../src/terminal/context.ts'
import type { Output } from '../../src/terminal/output.ts'

export const NOW = Date.parse('2026-03-01T12:00:00Z')

/** An output that keeps everything. */
export class KeptOutput implements Output {
  readonly isTerminal: boolean
  readonly columns = 80
  #chunks: Buffer[] = []
  #onWrite: () => void

  constructor(isTerminal = false, onWrite: () => void = () => {}) {
    this.isTerminal = isTerminal
    this.#onWrite = onWrite
  }

  write(data: string | Uint8Array): void {
    this.#chunks.push(Buffer.from(data))
    this.#onWrite()
  }

  draw(text: string): void {
    this.write(text)
  }

  async ready(): Promise<void> {}

  get text(): string {
    return Buffer.concat(this.#chunks).toString()
  }

  get lines(): string[] {
    return this.text.split('\n').slice(0, -1)
  }

  get json(): unknown[] {
    return this.lines.map(line => JSON.parse(line))
  }
}

export type CommandRun = LogContext & {
  readonly stdout: KeptOutput
  readonly stderr: KeptOutput
  /** What a person would do with Ctrl-C. */
  interrupt(): void
}

export function commandRun(
  log: Log,
  options: { readonly json?: boolean; readonly stdin?: string | AsyncIterable<Buffer> } = {},
): CommandRun {
  const controller = new AbortController()
  const { json = false, stdin = '' } = options
  async function* chunks(): AsyncGenerator<Buffer> {
    if (typeof stdin === 'string') yield Buffer.from(stdin)
    else yield* stdin
  }
  return {
    log,
    json,
    stdout: new KeptOutput(),
    stderr: new KeptOutput(),
    stdin: { chunks: chunks(), totalBytes: null },
    now: () => NOW,
    signal: controller.signal,
    interrupt: () => controller.abort(),
  }
}
