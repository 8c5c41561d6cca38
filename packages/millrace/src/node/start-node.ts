/**
 * A node: engine, Kafka listener, HTTP side, put together and taken down in order.
 *
 *   start   engine, listener, HTTP
 *   stop    listener (answers in flight are sent), engine (everything is synced), HTTP
 *
 * Records are taken from the moment the listener is there; what they do not need is loaded after it,
 * HTTP first, the rest when it is asked for (see metrics-page).
 */
import { resolve } from 'node:path'
import {
  type Address,
  formatAddress,
  isLoopback,
  parseAddress,
  systemOutside,
} from '@millrace/base'
import {
  BROKER_SETTINGS,
  type BrokerSettings,
  type Listener,
  type Logger,
  startListener,
} from '@millrace/broker'
import {
  ENGINE_SETTINGS,
  type Engine,
  type EngineEvent,
  GROUP_SETTINGS,
  openEngine,
} from '@millrace/engine'
import { NODE_SETTINGS, type NodeSettings } from '../config/node-settings.ts'
import type { Config } from '../config/resolve-config.ts'
import { settingsOf } from '../config/tables.ts'
import { topicDefaultsOf } from '../config/topic-defaults.ts'
import { CommandError, ConfigError, EXIT } from '../errors.ts'
import { ApplicationsApi } from './applications-api.ts'
import type { HttpServer, Readiness } from './http-server.ts'
import { MetricsPage } from './metrics-page.ts'
import { openFailure } from './open-failure.ts'
import { hostsOf } from './own-host.ts'
import { processorMetrics } from './processor-metrics.ts'
import { readinessOf } from './readiness.ts'

const DRAIN_MS_MAX = 10_000
const HTTP_OFF = 'off'
/** Descriptors of a node beside its log and its connections: listeners, modules that are loaded late. */
const OTHER_DESCRIPTORS = 32
/** Below it a node could not be looked at. */
const CONNECTIONS_MIN = 16

/** A node that listens. */
export interface RunningNode extends AsyncDisposable {
  /** HOST:PORT of the Kafka listener. */
  readonly kafka: string
  /** HOST:PORT of the HTTP side; null when there is none. */
  readonly http: string | null
  /** Absolute path of the data folder. */
  readonly data: string
  /** The log itself, for use in the same process. */
  readonly log: Engine
  /** What runs within the node: shown and administered on the HTTP side. */
  readonly applications: ApplicationsApi
  /** Sends the answers in flight, syncs everything, closes. */
  stop(): Promise<void>
}

type Addresses = {
  readonly kafka: Address
  readonly http: Address | null
  readonly advertise: Address | null
}

/**
 * Starts a node. Throws `ConfigError` on a bad address, `CommandError` (exit code `busy`) when the
 * data folder or a port is in use, else what the engine throws.
 */
export async function startNode(config: Config, logger: Logger): Promise<RunningNode> {
  const settings = settingsOf(config, NODE_SETTINGS)
  const addresses = addressesOf(settings)
  const node = new StartingNode(settings, addresses, logger)
  try {
    return await node.start(config)
  } catch (error) {
    await node.stop()
    throw error
  }
}

class StartingNode {
  #settings: NodeSettings
  #addresses: Addresses
  #logger: Logger
  #engine: Engine | null = null
  #listener: Listener | null = null
  #http: HttpServer | null = null
  #stopping: Promise<void> | null = null
  readonly #applications = new ApplicationsApi()

  constructor(settings: NodeSettings, addresses: Addresses, logger: Logger) {
    this.#settings = settings
    this.#addresses = addresses
    this.#logger = logger
  }

  async start(config: Config): Promise<RunningNode> {
    const data = resolve(this.#settings.data)
    const engine = await this.#openEngine(config, data)
    this.#engine = engine
    const { kafka, advertise } = this.#addresses
    const settings = this.#fitting(settingsOf(config, BROKER_SETTINGS), engine.descriptorsLeft)
    this.#listener = await bound('kafka', kafka, () =>
      startListener({
        engine,
        host: kafka.host,
        port: kafka.port,
        ...(advertise === null ? {} : { advertise }),
        settings,
        outside: systemOutside({ keepAlive: false }),
        logger: this.#logger,
      }),
    )
    await this.#startHttp()
    const stop = (): Promise<void> => this.stop()
    return {
      kafka: formatAddress(this.#listener.address),
      http: this.#http?.address ?? null,
      data,
      log: engine,
      applications: this.#applications,
      stop,
      [Symbol.asyncDispose]: stop,
    }
  }

  /** Safe at any moment, and to call again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const timeoutMs = this.#settings['stop.timeout.ms']
    // Timers and threads of the parts do not keep the process alive; a stop that has begun does.
    const awake = setTimeout(() => {}, timeoutMs)
    try {
      await this.#listener?.close({ drainMs: Math.min(DRAIN_MS_MAX, timeoutMs / 2) })
      await this.#engine?.close()
      await this.#http?.close()
    } finally {
      clearTimeout(awake)
    }
  }

  async #openEngine(config: Config, folder: string): Promise<Engine> {
    try {
      return await openEngine({
        folder,
        settings: settingsOf(config, ENGINE_SETTINGS),
        groupSettings: settingsOf(config, GROUP_SETTINGS),
        topicDefaults: topicDefaultsOf(config),
        onEvent: event => this.#onEvent(event),
      })
    } catch (cause) {
      throw openFailure(cause, folder)
    }
  }

  async #startHttp(): Promise<void> {
    const { http } = this.#addresses
    if (http === null) return
    const { startHttpServer } = await import('./http-server.ts')
    const page = new MetricsPage({
      engine: () => this.#engine?.metrics() ?? {},
      listener: () => this.#listener?.metrics() ?? {},
    })
    this.#http = await bound('http', http, () =>
      startHttpServer({
        address: http,
        connectionsMax: this.#settings['http.connections.max'],
        requestTimeoutMs: this.#settings['http.request.timeout.ms'],
        headersBytesMax: this.#settings['http.headers.max.bytes'],
        hosts: [http.host, ...hostsOf(this.#settings['http.hosts'])],
        readiness: () => this.#readiness(),
        metrics: async () => {
          const { contentType, body } = await page.render()
          return { contentType, body: body + processorMetrics(this.#applications) }
        },
        applications: this.#applications,
      }),
    )
  }

  /** Connections within the descriptors that there are: over a limit of ours a client is told. */
  #fitting(settings: BrokerSettings, descriptors: number): BrokerSettings {
    const wanted = settings['connections.max']
    const others = this.#settings['http.connections.max'] + OTHER_DESCRIPTORS
    const room = Math.max(CONNECTIONS_MIN, descriptors - others)
    if (room >= wanted) return settings
    this.#logger.warn(
      { 'connections.max': wanted, instead: room },
      'the process may open too few files for as many connections (ulimit -n)',
    )
    return { ...settings, 'connections.max': room }
  }

  #readiness(): Readiness {
    if (this.#stopping !== null) return { ready: false, reason: 'the node is stopping' }
    if (this.#engine === null) return { ready: false, reason: 'the node is starting' }
    return readinessOf(this.#engine.health())
  }

  #onEvent(event: EngineEvent): void {
    this.#logger[event.level]({ part: 'engine' }, event.message)
  }
}

/** Checks the addresses, and that nothing listens to the world without being told to. */
function addressesOf(settings: NodeSettings): Addresses {
  const problems: string[] = []
  const address = (text: string, key: string): Address | null => {
    try {
      return parseAddress(text, key)
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error))
      return null
    }
  }
  const kafka = address(settings.kafka, 'kafka')
  const http = settings.http === HTTP_OFF ? null : address(settings.http, 'http')
  const advertise = settings.advertise === '' ? null : address(settings.advertise, 'advertise')
  for (const [key, each] of [['kafka', kafka] as const, ['http', http] as const]) {
    if (each === null || isLoopback(each.host) || settings['insecure.listen']) continue
    problems.push(
      `${key} ${formatAddress(each)} can be reached from other machines, and nobody has to authenticate; ` +
        'listen on 127.0.0.1, or accept it with --insecure-listen',
    )
  }
  if (kafka === null || problems.length > 0) throw new ConfigError(problems)
  return { kafka, http, advertise }
}

/** Binds, and tells a failure by the setting that names the address. */
async function bound<T>(key: string, address: Address, listen: () => Promise<T>): Promise<T> {
  try {
    return await listen()
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException | null)?.code
    const where = formatAddress(address)
    if (code === 'EADDRINUSE') {
      throw new CommandError(
        `${where} is in use: another process listens there`,
        EXIT.busy,
        `Stop it, or choose another address with --${key} HOST:PORT.`,
        cause,
      )
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EACCES') {
      throw new CommandError(
        `cannot listen on ${where} (${code})`,
        EXIT.usage,
        `Give an address of this machine with --${key} HOST:PORT.`,
        cause,
      )
    }
    throw cause
  }
}
