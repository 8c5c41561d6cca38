/** A listener over the fake engine, a raw connection to it, and requests and answers as messages. */
import { connect, type Socket } from 'node:net'
import { type Outside, resolveSettings, systemOutside } from '@millrace/base'
import {
  type Api,
  type Decoded,
  decodeResponse,
  encodeRequestFrame,
  frameBytes,
} from '@millrace/protocol'
import { type Listener, startListener } from '../../src/listener/listener.ts'
import type { LogFields } from '../../src/listener/logger.ts'
import { BROKER_SETTINGS, type BrokerSettings } from '../../src/settings.ts'
import { FakeEngine } from './fake-engine.ts'

export type Line = { readonly level: string; readonly fields: LogFields; readonly message: string }

/** What a test works with. */
export type Harness = {
  readonly fake: FakeEngine
  readonly listener: Listener
  readonly lines: Line[]
  connect(): Promise<Peer>
  stop(): Promise<void>
}

export async function startHarness(
  given: Partial<BrokerSettings> = {},
  outside: Outside = systemOutside({ keepAlive: false }),
): Promise<Harness> {
  const fake = new FakeEngine()
  const lines: Line[] = []
  const peers: Peer[] = []
  const note = (level: string) => (fields: LogFields, message: string) => {
    lines.push({ level, fields, message })
  }
  const listener = await startListener({
    engine: fake.engine,
    host: '127.0.0.1',
    port: 0,
    settings: resolveSettings(BROKER_SETTINGS, given),
    outside,
    logger: { info: note('info'), warn: note('warn'), error: note('error') },
  })
  return {
    fake,
    listener,
    lines,
    connect: async () => {
      const peer = new Peer(connect(listener.address.port, '127.0.0.1'))
      peers.push(peer)
      await peer.connected
      return peer
    },
    stop: async () => {
      for (const peer of peers) peer.socket.destroy()
      await listener.close({ drainMs: 1_000 })
    },
  }
}

const NO_BYTES = Buffer.alloc(0)

/** A connection that counts frames; nothing is read before somebody asks. */
export class Peer {
  readonly socket: Socket
  readonly connected: Promise<void>
  readonly closed: Promise<void>
  #chunks: Buffer[] = []
  #received = 0
  #ended = false
  #wake: (() => void) | undefined
  #correlationId = 0

  constructor(socket: Socket) {
    this.socket = socket
    this.connected = new Promise((resolve, reject) => {
      socket.once('connect', () => resolve())
      socket.once('error', reject)
    })
    this.closed = new Promise(resolve => socket.once('close', () => resolve()))
    socket.on('error', () => undefined)
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#ended = true
        this.#wake?.()
      })
    }
  }

  listen(): void {
    if (this.socket.listenerCount('data') > 0) return
    this.socket.on('data', chunk => {
      this.#chunks.push(chunk)
      this.#received += chunk.length
      this.#wake?.()
    })
  }

  /** The next answer without its size; undefined when the connection has ended before it. */
  async frame(): Promise<Buffer | undefined> {
    this.listen()
    for (;;) {
      const first = this.#chunks[0]
      if (this.#chunks.length > 1 && first !== undefined) {
        const enough = first.length >= 4 && this.#received >= 4 + first.readInt32BE(0)
        if (enough || first.length < 4) this.#chunks = [Buffer.concat(this.#chunks)]
      }
      const bytes = this.#chunks[0] ?? NO_BYTES
      if (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
        const end = 4 + bytes.readInt32BE(0)
        this.#chunks[0] = bytes.subarray(end)
        this.#received -= end
        return bytes.subarray(4, end)
      }
      if (this.#ended) return undefined
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  send<Request extends object>(
    api: Api<Request, object>,
    version: number,
    request: Request,
  ): number {
    this.#correlationId += 1
    this.socket.write(bytesOf(api, version, this.#correlationId, request))
    return this.#correlationId
  }

  async receive<Response extends object>(
    api: Api<object, Response>,
    version: number,
  ): Promise<{ readonly correlationId: number; readonly response: Decoded<Response> }> {
    const frame = await this.frame()
    if (frame === undefined) throw new Error(`connection ended before the answer of ${api.name}`)
    return decodeResponse(api, version, frame)
  }

  async call<Request extends object, Response extends object>(
    api: Api<Request, Response>,
    version: number,
    request: Request,
  ): Promise<Decoded<Response>> {
    this.send(api, version, request)
    return (await this.receive(api, version)).response
  }
}

/** A request as bytes. */
export function bytesOf<Request extends object>(
  api: Api<Request, object>,
  version: number,
  correlationId: number,
  request: Request,
): Buffer {
  return frameBytes(encodeRequestFrame(api, version, { correlationId, clientId: 'test' }, request))
}
