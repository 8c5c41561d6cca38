// The systems under test, each a process of its own with a data folder on the same disk. Apache
// Kafka stands in two settings over one broker: as it comes, and with flush.messages=1 on the
// topic, which syncs each append before it is acknowledged, as Millrace does.
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { launchBroker, startBroker, untilAnswers } from '../scripts/peers/apache-kafka.ts'
import { checkout } from '../scripts/peers/cache.ts'
import { freePort, type Running, start } from '../scripts/peers/command.ts'

const millraceBin = join(checkout, 'packages', 'millrace', 'bin', 'millrace.js')
const startTimeoutMs = 60_000

/** One running server. */
export interface Server {
  readonly bootstrap: string
  readonly pid: number
  stop(): Promise<void>
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>
}

/** How a server is started: with the same place, it is the same server again. */
export interface Place {
  readonly folder: string
  readonly ports: { readonly broker: number; readonly controller: number }
  readonly env: Readonly<Record<string, string>>
}

/** A kind of server. */
export interface Kind {
  readonly name: string
  /** Starts the process; resolves at once with its handle, before it answers. */
  launch(place: Place): Promise<Server>
  /** Prepares a new folder; what an operator does once. */
  prepare(place: Place): Promise<void>
}

/** One column of the tables: a kind of server, and the settings of its topics. */
export interface System {
  readonly name: string
  readonly title: string
  readonly kind: Kind
  readonly topicConfig: Readonly<Record<string, string>>
  /** Part of the load that one run sends, for systems that are known to be slow. */
  readonly load: number
}

const handle = (running: Running, bootstrap: string): Server => ({
  bootstrap,
  pid: running.child.pid ?? 0,
  stop: () => running.stop('SIGTERM', 30_000),
  kill: () => running.stop('SIGKILL'),
})

/** The command line of a node. */
export const millraceArgs = (place: Place): string[] => [
  millraceBin,
  'start',
  '--data',
  join(place.folder, 'data'),
  '--kafka',
  `127.0.0.1:${place.ports.broker}`,
  '--http',
  '127.0.0.1:0',
]

const millrace: Kind = {
  name: 'millrace',
  prepare: async () => {
    if (!existsSync(millraceBin)) throw new Error(`no ${millraceBin}: run npm run build`)
  },
  launch: async place =>
    handle(
      start(process.execPath, millraceArgs(place), { env: place.env }),
      `127.0.0.1:${place.ports.broker}`,
    ),
}

const heapMib = 1024

const kafka: Kind = {
  name: 'kafka',
  prepare: async place => {
    const broker = await startBroker({ ...place, heapMib })
    await broker.stop()
  },
  launch: async place => {
    const { running, bootstrap } = await launchBroker({ ...place, heapMib })
    return handle(running, bootstrap)
  },
}

const all: readonly System[] = [
  {
    name: 'millrace',
    title: 'Millrace, synced',
    kind: millrace,
    topicConfig: {},
    load: 1,
  },
  {
    name: 'millrace-os',
    title: 'Millrace, durability os',
    kind: millrace,
    topicConfig: { durability: 'os' },
    load: 1,
  },
  {
    name: 'kafka',
    title: 'Kafka, unsynced (default)',
    kind: kafka,
    topicConfig: {},
    load: 1,
  },
  {
    name: 'kafka-flush',
    title: 'Kafka, flush.messages=1',
    kind: kafka,
    topicConfig: { 'flush.messages': '1' },
    load: 0.125,
  },
]

/** The systems of these names. */
export function pickSystems(names: readonly string[]): readonly System[] {
  return names.map(name => {
    const system = all.find(each => each.name === name)
    if (system === undefined) throw new Error(`no such system: ${name}`)
    return system
  })
}

/** A new place for a kind of server, under `folder`. What was there is removed. */
export async function newPlace(
  kind: Kind,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Place> {
  const own = join(folder, 'data', kind.name)
  await rm(own, { recursive: true, force: true })
  const place = {
    folder: own,
    ports: { broker: await freePort(), controller: await freePort() },
    env,
  }
  await kind.prepare(place)
  return place
}

/** Starts a server and waits until it answers. */
export async function startServer(kind: Kind, place: Place): Promise<Server> {
  const server = await kind.launch(place)
  await untilAnswers(server.bootstrap, startTimeoutMs)
  return server
}

/** The kinds of server that some systems need, each once. */
export const kindsOf = (systems: readonly System[]): readonly Kind[] => [
  ...new Set(systems.map(system => system.kind)),
]
