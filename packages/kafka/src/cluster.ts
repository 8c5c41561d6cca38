/**
 * The cluster: its brokers, who leads which partition, who coordinates which group.
 *
 * Leaders are learnt from Metadata (never with auto-creation) and believed for
 * `metadata.max.age.ms`, or until a broker says otherwise; coordinators are learnt from
 * FindCoordinator. A call for any broker goes to one that is connected, else to the next that
 * answers: all known brokers, then the bootstrap addresses, each once.
 */
import { formatAddress } from '@millrace/base'
import { LogError } from '@millrace/log'
import {
  type Api,
  COORDINATOR_TYPE,
  type Decoded,
  findCoordinator,
  type MetadataResponse,
  metadata,
} from '@millrace/protocol'
import { Broker } from './broker.ts'
import type { CallOptions } from './broker-connection.ts'
import { ConnectionLost, closedError, coordinatorMoved, errorOf } from './errors.ts'
import type { BrokerAddress, KafkaClientOutside } from './outside.ts'
import { backoff } from './retry.ts'
import type { ClientSettings } from './settings.ts'

/** First version of Metadata that can be told not to create topics. */
const METADATA_MIN = 4
const NO_NODE = -1

/** What a cluster is made of. */
export type ClusterOptions = {
  readonly bootstrap: readonly BrokerAddress[]
  readonly clientId: string | null
  readonly outside: KafkaClientOutside
  readonly settings: ClientSettings
}

type KnownTopic = {
  readonly askedAt: number
  /** Node id of the leader, by partition; -1 where there is none. */
  readonly leaders: ReadonlyMap<number, number>
}

/** Who leads a partition, or why that cannot be told. */
export type Led = Broker | LogError

/** A cluster, seen from one client. */
export class Cluster {
  readonly outside: KafkaClientOutside
  readonly settings: ClientSettings
  readonly #options: ClusterOptions
  /** All brokers that were ever heard of, by address. */
  readonly #brokers = new Map<string, Broker>()
  #nodes: ReadonlyMap<number, BrokerAddress> = new Map()
  readonly #topics = new Map<string, KnownTopic>()
  readonly #asking = new Map<string, Promise<void>>()
  readonly #coordinators = new Map<string, BrokerAddress>()
  #id = ''
  #closed = false

  constructor(options: ClusterOptions) {
    this.#options = options
    this.outside = options.outside
    this.settings = options.settings
  }

  /** The cluster's id. */
  get id(): string {
    return this.#id
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Connects to the first bootstrap address that answers. Throws NETWORK_EXCEPTION. */
  async start(): Promise<void> {
    await this.describe([])
  }

  /** Ends all connections; see {@link Broker.close}. */
  async close(): Promise<void> {
    this.#closed = true
    const drainMs = this.settings['close.drain.max.ms']
    await Promise.all([...this.#brokers.values()].map(broker => broker.close(drainMs)))
  }

  /** All brokers of the cluster, as the last Metadata named them. */
  get brokers(): readonly { readonly nodeId: number; readonly broker: Broker }[] {
    return [...this.#nodes].map(([nodeId, address]) => ({ nodeId, broker: this.#broker(address) }))
  }

  /**
   * A call that any broker answers. `repeat`: whether it may be sent again when a connection ended
   * after it was sent.
   */
  async call<Request extends object, Response extends object>(
    api: Api<Request, Response>,
    request: Request,
    options: CallOptions & { readonly repeat?: boolean } = {},
  ): Promise<Decoded<Response>> {
    let last: LogError | undefined
    for (const broker of this.#candidates()) {
      if (this.#closed) throw closedError()
      try {
        return await broker.lane('control').call(api, request, options)
      } catch (error) {
        const elsewhere = error instanceof ConnectionLost && (options.repeat || !error.sent)
        if (!elsewhere) throw error
        last = error
      }
    }
    throw last ?? new LogError('NETWORK_EXCEPTION', 'no broker is known')
  }

  /** Metadata of some topics, or of all (null). What it tells of leaders is remembered. */
  async describe(names: readonly string[] | null): Promise<Decoded<MetadataResponse>> {
    const response = await this.call(
      metadata,
      {
        topics: names === null ? null : names.map(name => ({ name })),
        allowAutoTopicCreation: false,
      },
      { repeat: true, versions: { min: METADATA_MIN } },
    )
    this.#id = response.clusterId ?? this.#id
    this.#nodes = new Map(
      response.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]),
    )
    for (const topic of response.topics) this.#learn(topic)
    return response
  }

  /** The leader, if it is known and fresh. */
  known(topic: string, partition: number): Broker | undefined {
    const known = this.#topics.get(topic)
    if (known === undefined || this.#isOld(known)) return undefined
    const address = this.#nodes.get(known.leaders.get(partition) ?? NO_NODE)
    return address === undefined ? undefined : this.#broker(address)
  }

  /** The leader, asked for if need be. Throws when no broker answers. */
  async leader(topic: string, partition: number): Promise<Led> {
    const known = this.known(topic, partition)
    if (known !== undefined) return known
    await this.#ask(topic)
    return (
      this.known(topic, partition) ??
      (this.#topics.get(topic)?.leaders.has(partition)
        ? new LogError('NOT_LEADER_OR_FOLLOWER', `${topic}-${partition} has no leader`)
        : new LogError('UNKNOWN_TOPIC_OR_PARTITION', `${topic}-${partition}`))
    )
  }

  /** Forgets the leaders of a topic: the next call asks again. */
  forget(topic: string): void {
    this.#topics.delete(topic)
  }

  /**
   * Runs a call at the coordinator of a group, and again while the coordinator is moving, for at
   * most `coordinator.retry.max.ms`. `errorIn` finds the error of the answer as a whole; `repeat`:
   * whether it may be sent again when its connection ended after it was sent. Throws what the
   * search for the coordinator failed with, and NETWORK_EXCEPTION.
   */
  async atCoordinator<Result>(
    groupId: string,
    call: (broker: Broker) => Promise<Result>,
    errorIn: (result: Result) => LogError | undefined,
    { repeat = false }: { readonly repeat?: boolean } = {},
  ): Promise<Result> {
    const { clock } = this.outside
    const end = clock.monotonic() + this.settings['coordinator.retry.max.ms']
    for (let tries = 1; ; tries += 1) {
      const last = clock.monotonic() >= end
      try {
        const result = await call(await this.#coordinator(groupId))
        const error = errorIn(result)
        if (error === undefined || !coordinatorMoved(error) || last) return result
      } catch (error) {
        this.#coordinators.delete(groupId)
        if (!(error instanceof LogError) || last || this.#closed) throw error
        const lost = error instanceof ConnectionLost && (repeat || !error.sent)
        const again = lost && tries <= this.settings['network.retries.max']
        if (!again && !coordinatorMoved(error)) throw error
      }
      this.#coordinators.delete(groupId)
      await backoff(this.outside, this.settings, tries)
      if (this.#closed) throw closedError()
    }
  }

  async #coordinator(groupId: string): Promise<Broker> {
    const known = this.#coordinators.get(groupId)
    if (known !== undefined) return this.#broker(known)
    const keyType = COORDINATOR_TYPE.group
    const response = await this.call(
      findCoordinator,
      { key: groupId, keyType, coordinatorKeys: [groupId] },
      { repeat: true },
    )
    // From version 4 on the answer is in a list, before it is the message itself.
    const found = response.coordinators[0] ?? response
    const error = errorOf(found.errorCode, found.errorMessage)
    if (error !== undefined) throw error
    const address = { host: found.host, port: found.port }
    remember(this.#coordinators, groupId, address, this.settings['coordinators.cached.max'])
    return this.#broker(address)
  }

  #broker(address: BrokerAddress): Broker {
    const key = formatAddress(address)
    let broker = this.#brokers.get(key)
    if (broker === undefined) {
      if (this.#closed) throw closedError()
      broker = new Broker({ ...this.#options, address })
      this.#brokers.set(key, broker)
    }
    return broker
  }

  /** Connected ones first, then the cluster's, then the bootstrap addresses, each once. */
  #candidates(): ReadonlySet<Broker> {
    if (this.#closed) throw closedError()
    const cluster = [...this.#nodes.values()].map(address => this.#broker(address))
    const bootstrap = this.#options.bootstrap.map(address => this.#broker(address))
    const all = [...cluster, ...bootstrap]
    return new Set([...all.filter(broker => broker.hasLane('control')), ...all])
  }

  #isOld(known: KnownTopic): boolean {
    const age = this.outside.clock.monotonic() - known.askedAt
    return age > this.settings['metadata.max.age.ms']
  }

  /** One question about a topic at a time. */
  #ask(topic: string): Promise<void> {
    const asking = this.#asking.get(topic)
    if (asking !== undefined) return asking
    const question = this.describe([topic])
      .then(() => undefined)
      .finally(() => this.#asking.delete(topic))
    this.#asking.set(topic, question)
    return question
  }

  #learn(topic: Decoded<MetadataResponse>['topics'][number]): void {
    const { name, errorCode, partitions } = topic
    if (name === null) return
    if (errorCode !== 0) {
      this.#topics.delete(name)
      return
    }
    const known = {
      askedAt: this.outside.clock.monotonic(),
      leaders: new Map(partitions.map(each => [each.partitionIndex, each.leaderId])),
    }
    remember(this.#topics, name, known, this.settings['topics.cached.max'])
  }
}

/** Puts an entry into a map of at most `max`; the oldest goes. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value, max: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= max) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}
