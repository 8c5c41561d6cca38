/**
 * A scripted cluster on loopback sockets, built from the codecs: several brokers that share topics,
 * leaders and coordinators, and do to their answers what a test tells them to.
 */
import { createServer, type Server, type Socket } from 'node:net'
import {
  type AnyApi,
  APIS,
  type Api,
  apiVersions,
  apiVersionsList,
  type Decoded,
  decodeRequest,
  decodeRequestHeader,
  encodeResponseFrame,
  findCoordinator,
  frameBytes,
  metadata,
} from '@millrace/protocol'

/** A request as a broker got it. */
export type Got = {
  readonly broker: FakeBroker
  readonly api: AnyApi
  readonly version: number
  readonly correlationId: number
  readonly clientId: string
  readonly request: object
  readonly socket: Socket
}

/** What an API answers: a response, nothing (undefined), or what the promise comes to. */
type Answer = (got: Got) => object | undefined | Promise<object | undefined>

/** Brokers, who leads what, who coordinates what. */
export class FakeCluster {
  readonly brokers: FakeBroker[] = []
  /** Node id of the leader, by topic, by partition. */
  readonly leaders = new Map<string, number[]>()
  coordinator = 0
  readonly got: Got[] = []
  /** What the brokers say they speak; by default all that this side does. */
  versions: readonly { apiKey: number; minVersion: number; maxVersion: number }[] =
    apiVersionsList()
  readonly #answers = new Map<number, Answer>()

  static async start(brokers: number): Promise<FakeCluster> {
    const cluster = new FakeCluster()
    for (let nodeId = 0; nodeId < brokers; nodeId += 1) {
      const broker = new FakeBroker(cluster, nodeId)
      await broker.listen()
      cluster.brokers.push(broker)
    }
    cluster.#script()
    return cluster
  }

  broker(nodeId: number): FakeBroker {
    const broker = this.brokers[nodeId]
    if (broker === undefined) throw new Error(`no broker ${nodeId}`)
    return broker
  }

  get bootstrap(): string {
    return this.broker(0).name
  }

  /** Says what an API answers from now on. */
  on<Request extends object, Response extends object>(
    api: Api<Request, Response>,
    answer: (
      request: Decoded<Request>,
      got: Got,
    ) => Response | undefined | Promise<Response | undefined>,
  ): void {
    this.#answers.set(api.key, got => answer(got.request as Decoded<Request>, got))
  }

  /** Requests of an API so far. */
  requests<Request extends object>(
    api: Api<Request, object>,
  ): readonly (Got & {
    readonly request: Decoded<Request>
  })[] {
    return this.got.filter(({ api: { key } }) => key === api.key) as never
  }

  answer(got: Got): object | undefined | Promise<object | undefined> {
    this.got.push(got)
    const answer = this.#answers.get(got.api.key)
    if (answer === undefined) throw new Error(`no script for ${got.api.name}`)
    return answer(got)
  }

  async stop(): Promise<void> {
    await Promise.all(this.brokers.map(broker => broker.stop()))
  }

  #script(): void {
    this.on(apiVersions, () => ({ errorCode: 0, apiKeys: this.versions }))
    this.on(metadata, ({ topics }) => ({
      clusterId: 'fake',
      brokers: this.brokers
        .filter(({ listening }) => listening)
        .map(({ nodeId, port }) => ({ nodeId, host: '127.0.0.1', port })),
      topics: (topics ?? [...this.leaders.keys()].map(name => ({ name }))).map(({ name }) => {
        const leaders = this.leaders.get(name ?? '')
        return {
          errorCode: leaders === undefined ? 3 : 0,
          name,
          partitions: (leaders ?? []).map((leaderId, partitionIndex) => ({
            errorCode: 0,
            partitionIndex,
            leaderId,
            replicaNodes: [leaderId],
            isrNodes: [leaderId],
          })),
        }
      }),
    }))
    this.on(findCoordinator, ({ key, coordinatorKeys }) => {
      const { nodeId, port } = this.broker(this.coordinator)
      const found = { nodeId, host: '127.0.0.1', port, errorCode: 0, errorMessage: null }
      return { coordinators: [{ key: coordinatorKeys[0] ?? key, ...found }] }
    })
  }
}

/** One broker of the cluster. */
export class FakeBroker {
  readonly nodeId: number
  /** What is done to a frame before it is written; by default nothing. */
  mangle: (frame: Buffer) => readonly Buffer[] = frame => [frame]
  port = 0
  listening = false
  readonly sockets = new Set<Socket>()
  readonly #cluster: FakeCluster
  #server: Server | undefined

  constructor(cluster: FakeCluster, nodeId: number) {
    this.#cluster = cluster
    this.nodeId = nodeId
  }

  get name(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Begins to listen, at the port that it had before if it had one. */
  async listen(): Promise<void> {
    const server = createServer(socket => this.#accept(socket))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.port, '127.0.0.1', () => resolve())
    })
    const address = server.address()
    if (address !== null && typeof address === 'object') this.port = address.port
    this.#server = server
    this.listening = true
  }

  /** Cuts all connections and listens no more. */
  async stop(): Promise<void> {
    this.listening = false
    this.cut()
    const server = this.#server
    this.#server = undefined
    if (server !== undefined) await new Promise<void>(resolve => server.close(() => resolve()))
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  #accept(socket: Socket): void {
    this.sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.on('close', () => this.sockets.delete(socket))
    let bytes = Buffer.alloc(0)
    // Answers go out in the order of the requests, as brokers do it.
    let turn: Promise<void> = Promise.resolve()
    socket.on('data', chunk => {
      bytes = Buffer.concat([bytes, chunk])
      while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
        const end = 4 + bytes.readInt32BE(0)
        const payload = bytes.subarray(4, end)
        bytes = bytes.subarray(end)
        turn = this.#answer(socket, payload, turn)
      }
    })
  }

  async #answer(socket: Socket, payload: Buffer, turn: Promise<void>): Promise<void> {
    const { api, apiVersion, correlationId, clientId, bodyAt } = decodeRequestHeader(payload, APIS)
    if (api === undefined) throw new Error('a request of no API')
    const request = decodeRequest(api as Api<object, object>, apiVersion, payload, bodyAt)
    const got = { broker: this, api, version: apiVersion, correlationId, clientId, request, socket }
    const response = await this.#cluster.answer(got)
    await turn
    if (response === undefined || socket.destroyed) return
    const frame = frameBytes(encodeResponseFrame(api, apiVersion, correlationId, response))
    for (const part of this.mangle(frame)) {
      socket.write(part)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
}
