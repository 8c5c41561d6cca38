// Kafka Connect with its file connectors and those of MirrorMaker 2, from Maven Central's artifacts: one
// distributed worker, which keeps its own topics on the broker that it is given, and its REST interface.
// Bounds: 90 s for the worker to answer, 20 s for it to stop.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fetchJars, jarSet, quickJvm } from './apache-kafka.ts'
import { freePort, type Running, start } from './command.ts'
import type { Peer } from './peer.ts'

const startTimeoutMs = 90_000
const stopTimeoutMs = 20_000

const set = jarSet('kafka-connect', [
  'connect-runtime',
  'connect-file',
  'connect-json',
  'connect-mirror',
])

/** Fetches the jars if they are not there. */
export const fetchKafkaConnect = (): Promise<Peer> => fetchJars('Kafka Connect', set)

/** How to run a worker. */
export interface ConnectOptions {
  /** Holds its properties. */
  readonly folder: string
  /** The broker on which it works. */
  readonly bootstrap: string
}

/** A running worker. */
export interface Connect {
  readonly running: Running
  /** Starts a connector, or changes it. */
  configure(name: string, config: Readonly<Record<string, string>>): Promise<void>
  /** The states of a connector and of its tasks; undefined while it has none. */
  states(name: string): Promise<readonly string[] | undefined>
  /** Why tasks of a connector failed, empty when none has. */
  failure(name: string): Promise<string>
  stop(): Promise<void>
}

interface Status {
  readonly connector: { readonly state: string; readonly trace?: string }
  readonly tasks: readonly { readonly state: string; readonly trace?: string }[]
}

const properties = (bootstrap: string, rest: number): Record<string, string> => ({
  'bootstrap.servers': bootstrap,
  'group.id': 'connect-cluster',
  'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
  'value.converter': 'org.apache.kafka.connect.storage.StringConverter',
  'config.storage.topic': 'connect-configs',
  'offset.storage.topic': 'connect-offsets',
  'status.storage.topic': 'connect-status',
  'config.storage.replication.factor': '1',
  'offset.storage.replication.factor': '1',
  'status.storage.replication.factor': '1',
  'offset.storage.partitions': '3',
  'status.storage.partitions': '2',
  'offset.flush.interval.ms': '1000',
  'scheduled.rebalance.max.delay.ms': '0',
  'plugin.discovery': 'service_load',
  listeners: `HTTP://127.0.0.1:${rest}`,
})

/** Starts a worker and waits until it has joined its group. */
export async function startConnect({ folder, bootstrap }: ConnectOptions): Promise<Connect> {
  const rest = await freePort()
  const url = `http://127.0.0.1:${rest}`
  const file = join(folder, 'worker.properties')
  await mkdir(folder, { recursive: true })
  const lines = Object.entries(properties(bootstrap, rest))
  await writeFile(file, lines.map(([key, value]) => `${key}=${value}\n`).join(''))
  const running = start('java', [
    ...quickJvm(set.quietLogging),
    ...['-Xmx512m', '-cp', join(set.jars, '*')],
    'org.apache.kafka.connect.cli.ConnectDistributed',
    file,
  ])
  const stop = (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> =>
    running.stop(signal, stopTimeoutMs)
  try {
    await untilReady(url, running)
  } catch (error) {
    await stop('SIGKILL')
    throw new Error(`${String(error)}\n${running.output().slice(-4000)}`)
  }
  const status = async (name: string): Promise<Status | undefined> => {
    const answer = await fetch(`${url}/connectors/${name}/status`)
    return answer.ok ? ((await answer.json()) as Status) : undefined
  }
  return {
    running,
    configure: async (name, config) => {
      const answer = await fetch(`${url}/connectors/${name}/config`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(config),
      })
      if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`)
    },
    states: async name => {
      const found = await status(name)
      return found && [found.connector, ...found.tasks].map(({ state }) => state)
    },
    failure: async name => {
      const found = await status(name)
      const parts = found === undefined ? [] : [found.connector, ...found.tasks]
      return parts.flatMap(({ trace }) => trace ?? []).join('\n')
    },
    stop: () => stop(),
  }
}

/** `/health` answers 200 once the worker has read its topics and joined its group. */
async function untilReady(url: string, running: Running): Promise<void> {
  const deadline = Date.now() + startTimeoutMs
  for (;;) {
    const healthy = await fetch(`${url}/health`).then(
      answer => answer.ok,
      () => false,
    )
    if (healthy) return
    if (running.child.exitCode !== null) throw new Error('the worker ended before it was ready')
    if (Date.now() > deadline) throw new Error(`the worker is not ready in ${startTimeoutMs} ms`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
