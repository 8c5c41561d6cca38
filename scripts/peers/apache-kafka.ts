// A real Apache Kafka: broker, tools and load generators from Maven Central's artifacts, no archive
// and no container. `mvn dependency:copy-dependencies` over a generated pom gives the jars once; a
// broker is one KRaft node with its own folder and free ports; every tool is a Java class.
// Bounds: 60 s for a broker to answer, 30 s for it to stop.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { peersFolder } from './cache.ts'
import {
  type CommandOptions,
  type Finished,
  freePort,
  type Running,
  run,
  runWell,
  start,
  which,
} from './command.ts'
import { ensureDebian } from './debian.ts'
import { attempt, type Peer } from './peer.ts'

/** The version of Apache Kafka that tests and benchmarks run against. */
export const kafkaVersion = '4.3.1'

const log4jVersion = '2.24.3'
const minJavaMajor = 17
const startTimeoutMs = 60_000
const stopTimeoutMs = 30_000

/** Jars of the distribution that are fetched together. */
export interface JarSet {
  /** Where they lie. */
  readonly folder: string
  readonly jars: string
  /** Properties of log4j that print errors alone. */
  readonly quietLogging: string
  readonly pom: string
}

/** Artifacts of Kafka, with everything that they need. */
export function jarSet(name: string, artifacts: readonly string[]): JarSet {
  const dependency = (group: string, artifact: string, version: string): string =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
  const folder = join(peersFolder, `${name}-${kafkaVersion}`)
  return {
    folder,
    jars: join(folder, 'lib'),
    quietLogging: join(folder, 'log4j2-quiet.properties'),
    pom: `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>peers</groupId><artifactId>${name}</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
${artifacts.map(artifact => dependency('org.apache.kafka', artifact, kafkaVersion)).join('\n')}
${dependency('org.apache.logging.log4j', 'log4j-slf4j-impl', log4jVersion)}
${dependency('org.apache.logging.log4j', 'log4j-core', log4jVersion)}
</dependencies></project>
`,
  }
}

const brokerJars = jarSet('apache-kafka', ['kafka_2.13', 'kafka-tools'])
const { jars, quietLogging } = brokerJars

const logging = (level: string): string => `rootLogger.level=${level}
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.target=SYSTEM_ERR
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%p %c{1}: %m%n
`

const javaMajor = async (): Promise<number> => {
  if ((await which('java')) === undefined) return 0
  const { stderr } = await run('java', ['-version'])
  return Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0)
}

/** Fetches the jars if they are not there. Needs Java 17 and Maven, and installs both on Debian when it may. */
export const fetchApacheKafka = (): Promise<Peer> => fetchJars('Apache Kafka', brokerJars)

/** Fetches a set of jars if it is not there. */
export const fetchJars = (name: string, set: JarSet): Promise<Peer> =>
  attempt(name, async () => {
    if ((await javaMajor()) < minJavaMajor) {
      const reason = await ensureDebian(['openjdk-17-jre-headless'])
      if (reason !== undefined) throw new Error(`no Java ${minJavaMajor}: ${reason}`)
    }
    const marker = join(set.folder, 'complete')
    if ((await readFile(marker, 'utf8').catch(() => '')) !== set.pom) await download(set, marker)
    return `${kafkaVersion} (Java ${await javaMajor()})`
  })

async function download(set: JarSet, marker: string): Promise<void> {
  if ((await which('mvn')) === undefined) {
    const reason = await ensureDebian(['maven'])
    if (reason !== undefined) throw new Error(`no Maven: ${reason}`)
  }
  await rm(set.folder, { recursive: true, force: true })
  await mkdir(set.folder, { recursive: true })
  await writeFile(join(set.folder, 'pom.xml'), set.pom)
  await runWell(
    'mvn',
    ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${set.jars}`],
    { cwd: set.folder, timeoutMs: 600_000 },
  )
  await writeFile(set.quietLogging, logging('error'))
  await writeFile(marker, set.pom)
}

/** Options of a JVM that is short-lived: it starts fast and prints errors alone. */
export const quickJvm = (logging: string = quietLogging): readonly string[] => [
  `-Dlog4j2.configurationFile=${logging}`,
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
]

/** How to run a Java class of the distribution. */
export interface JavaOptions extends CommandOptions {
  /** The JVM's own options; by default those that make a short command start fast. */
  readonly jvm?: readonly string[]
}

/** The classes that the tests and benchmarks use, by the name of their shell script. */
export const tools = {
  'kafka-broker-api-versions': 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-consumer-perf-test': 'org.apache.kafka.tools.ConsumerPerformance',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'kafka-producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
} as const

/** The name of one of Kafka's own commands. */
export type Tool = keyof typeof tools

const toolArgs = (tool: Tool, args: readonly string[], jvm: readonly string[]): string[] => [
  ...jvm,
  '-cp',
  join(jars, '*'),
  tools[tool],
  ...args,
]

/** Runs one of Kafka's own commands to its end, whatever its exit code. */
export const runTool = (
  tool: Tool,
  args: readonly string[],
  options: JavaOptions = {},
): Promise<Finished> => run('java', toolArgs(tool, args, options.jvm ?? quickJvm()), options)

/** Starts one of Kafka's own commands and returns its handle. */
export const startTool = (
  tool: Tool,
  args: readonly string[],
  options: Omit<JavaOptions, 'timeoutMs'> = {},
): Running => start('java', toolArgs(tool, args, options.jvm ?? quickJvm()), options)

/** How to run a broker. */
export interface BrokerOptions {
  /** Holds the broker's data and properties; formatted when it is new. */
  readonly folder: string
  /** Heap in MiB. 1,024 unless told, as Kafka's own script does. */
  readonly heapMib?: number
  /** Broker properties in addition to those of a single node. */
  readonly properties?: Readonly<Record<string, string>>
  /** Added to the environment, for example LD_PRELOAD. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** The ports to listen on; free ones unless told. */
  readonly ports?: { readonly broker: number; readonly controller: number }
}

/** A running broker. */
export interface Broker {
  /** `127.0.0.1:PORT` of the plaintext listener. */
  readonly bootstrap: string
  readonly ports: { readonly broker: number; readonly controller: number }
  readonly pid: number
  readonly running: Running
  /** Stops it with SIGTERM, or at once with SIGKILL. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

const singleNode = (
  data: string,
  ports: { readonly broker: number; readonly controller: number },
): Record<string, string> => ({
  'process.roles': 'broker,controller',
  'node.id': '1',
  'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
  listeners: `PLAINTEXT://127.0.0.1:${ports.broker},CONTROLLER://127.0.0.1:${ports.controller}`,
  'advertised.listeners': `PLAINTEXT://127.0.0.1:${ports.broker}`,
  'controller.listener.names': 'CONTROLLER',
  'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
  'inter.broker.listener.name': 'PLAINTEXT',
  'log.dirs': data,
  'num.partitions': '1',
  'offsets.topic.num.partitions': '4',
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
})

/** Formats the folder if it is new: what an operator does once, before any start. */
export async function formatBroker(options: BrokerOptions): Promise<string> {
  const ports = options.ports ?? { broker: await freePort(), controller: await freePort() }
  const data = join(options.folder, 'data')
  const properties = { ...singleNode(data, ports), ...options.properties }
  const file = join(options.folder, 'server.properties')
  const fresh = !existsSync(join(data, 'meta.properties'))
  await mkdir(options.folder, { recursive: true })
  await writeFile(
    file,
    Object.entries(properties)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  )
  if (fresh) {
    const java = (...args: string[]) =>
      runWell('java', [...quickJvm(), '-cp', join(jars, '*'), 'kafka.tools.StorageTool', ...args])
    const { stdout } = await java('random-uuid')
    await java('format', '-t', stdout.trim().split('\n').at(-1) ?? '', '-c', file)
  }
  return file
}

/** Starts a broker's process and returns at once, before it answers. */
export async function launchBroker(options: BrokerOptions): Promise<Broker> {
  const ports = options.ports ?? { broker: await freePort(), controller: await freePort() }
  const file = await formatBroker({ ...options, ports })
  const heap = `${options.heapMib ?? 1024}m`
  // The options of Kafka's own kafka-run-class.sh, so that the broker is as its makers start it.
  const jvm = [
    `-Xmx${heap}`,
    `-Xms${heap}`,
    '-server',
    '-XX:+UseG1GC',
    '-XX:MaxGCPauseMillis=20',
    '-XX:InitiatingHeapOccupancyPercent=35',
    '-XX:+ExplicitGCInvokesConcurrent',
    '-XX:MaxInlineLevel=15',
    '-Djava.awt.headless=true',
    `-Dlog4j2.configurationFile=${quietLogging}`,
  ]
  const running = start('java', [...jvm, '-cp', join(jars, '*'), 'kafka.Kafka', file], {
    ...(options.env === undefined ? {} : { env: options.env }),
  })
  return {
    bootstrap: `127.0.0.1:${ports.broker}`,
    ports,
    pid: running.child.pid ?? 0,
    running,
    stop: signal => running.stop(signal, stopTimeoutMs),
  }
}

/** Starts a broker and waits until it answers an ApiVersions request. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const broker = await launchBroker(options)
  const { running, bootstrap } = broker
  try {
    await untilAnswers(bootstrap, startTimeoutMs, () => running.child.exitCode === null)
    return broker
  } catch (error) {
    await running.stop('SIGKILL')
    throw new Error(`${String(error)}\n${running.output().slice(-4000)}`)
  }
}

/** ApiVersions v0, correlation id 1, no client id: 4 + 10 bytes that any Kafka listener answers. */
const apiVersionsRequest = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255])

/** Resolves true when a Kafka listener at `bootstrap` answers an ApiVersions request, false when it does not. */
export function answers(bootstrap: string, timeoutMs = 2_000): Promise<boolean> {
  const [host, port] = bootstrap.split(':')
  return new Promise(resolve => {
    const socket = new Socket()
    const settle = (result: boolean): void => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(timeoutMs, () => settle(false))
    socket.on('error', () => settle(false))
    socket.on('close', () => settle(false))
    socket.on('data', data => settle(data.length >= 4))
    socket.connect(Number(port), host ?? '127.0.0.1', () => socket.write(apiVersionsRequest))
  })
}

/** Waits until a Kafka listener answers. Throws after `timeoutMs`, or as soon as `alive` is false. */
export async function untilAnswers(
  bootstrap: string,
  timeoutMs: number,
  alive: () => boolean = () => true,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await answers(bootstrap))) {
    if (!alive()) throw new Error(`the program at ${bootstrap} ended before it answered`)
    if (Date.now() > deadline) throw new Error(`no answer at ${bootstrap} in ${timeoutMs} ms`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
