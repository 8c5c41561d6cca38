// A built node in a process of its own, as a user starts it: waits for the line that says where it
// listens, and can stop it cleanly, kill it, and start it again on the same data and ports.
// Bounds: 20 s to listen, 20 s to stop.
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout } from '../../scripts/peers/cache.ts'
import { type Running, start } from '../../scripts/peers/command.ts'

const listenTimeoutMs = 20_000
const stopGraceMs = 20_000

/** The built command. */
export const millraceBin: string = join(checkout, 'packages', 'millrace', 'bin', 'millrace.js')

interface Listening {
  readonly event: 'listening'
  readonly kafka: string
  readonly http: string
  readonly data: string
}

const asListening = (line: string): Listening | undefined => {
  if (!line.startsWith('{')) return undefined
  try {
    const parsed = JSON.parse(line) as { event?: unknown }
    return parsed.event === 'listening' ? (parsed as Listening) : undefined
  } catch {
    return undefined
  }
}

/** How a node is started. */
export interface NodeOptions {
  /** A data folder to use and keep; else a temporary one, removed by `dispose`. */
  readonly data?: string
  readonly env?: Readonly<Record<string, string>>
  /** More arguments of `millrace start`. */
  readonly args?: readonly string[]
}

/** A node in its own process. */
export class TestNode {
  readonly data: string
  readonly #options: NodeOptions
  readonly #temporary: boolean
  #running: Running | undefined
  #kafka = '127.0.0.1:0'
  #http = '127.0.0.1:0'

  private constructor(data: string, temporary: boolean, options: NodeOptions) {
    this.data = data
    this.#temporary = temporary
    this.#options = options
  }

  /** Starts a node on free ports and waits until it listens. */
  static async start(options: NodeOptions = {}): Promise<TestNode> {
    if (!existsSync(millraceBin)) throw new Error(`no ${millraceBin}: run npm run build`)
    const data = options.data ?? (await mkdtemp(join(tmpdir(), 'millrace-test-')))
    const node = new TestNode(data, options.data === undefined, options)
    await node.restart()
    return node
  }

  /** `127.0.0.1:PORT` of the Kafka listener. */
  get bootstrap(): string {
    return this.#kafka
  }

  /** `127.0.0.1:PORT` of the HTTP listener. */
  get http(): string {
    return this.#http
  }

  /** The process id; 0 when it does not run. */
  get pid(): number {
    return this.#running?.child.pid ?? 0
  }

  /** What the process has printed since its last start. */
  get output(): string {
    return this.#running?.output() ?? ''
  }

  /** Starts the stopped or killed node again, on the same data and ports. */
  async restart(): Promise<void> {
    const running = start(
      process.execPath,
      [
        ...[millraceBin, 'start', '--json', '--data', this.data],
        ...['--kafka', this.#kafka, '--http', this.#http, ...(this.#options.args ?? [])],
      ],
      this.#options.env === undefined ? {} : { env: this.#options.env },
    )
    this.#running = running
    const line = await running.line(text => asListening(text) !== undefined, listenTimeoutMs)
    const listening = asListening(line)
    if (listening === undefined) throw new Error(`not a listening line: ${line}`)
    this.#kafka = listening.kafka
    this.#http = listening.http
  }

  /** Stops it with SIGTERM. Throws when it did not end well by itself. */
  async stop(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    await running.stop('SIGTERM', stopGraceMs)
    this.#running = undefined
    if (running.child.exitCode !== 0) {
      throw new Error(
        `the node ended with ${running.child.exitCode ?? running.child.signalCode}:\n${running.output().slice(-4000)}`,
      )
    }
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    await this.#running?.stop('SIGKILL')
    this.#running = undefined
  }

  /** Kills it if it still runs, and removes a temporary data folder. */
  async dispose(): Promise<void> {
    await this.kill()
    if (this.#temporary) await rm(this.data, { recursive: true, force: true })
  }
}
