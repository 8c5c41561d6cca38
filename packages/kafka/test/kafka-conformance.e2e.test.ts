// The port's promises, kept by the client over a real Apache Kafka: what a program may ask of a log
// it may ask of a cluster.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { logConformance } from '@millrace/conformance/log'
import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest'
import { connectKafka } from '../src/index.ts'

// What is used of the workspace's scripts, which are no part of this package's project.
type Broker = { readonly bootstrap: string; stop(): Promise<void> }
type Scripts = {
  fetchApacheKafka(): Promise<{ readonly available: boolean; readonly reason?: string }>
  startBroker(options: {
    readonly folder: string
    readonly heapMib: number
    readonly properties: Readonly<Record<string, string>>
  }): Promise<Broker>
}
const scripts = new URL('../../../scripts/peers/apache-kafka.ts', import.meta.url).href
const { fetchApacheKafka, startBroker } = (await import(scripts)) as Scripts

const peer = await fetchApacheKafka()
let folder: string
let broker: Broker | undefined

beforeAll(async () => {
  if (!peer.available) return
  folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-conformance-'))
  const properties = { 'log.cleaner.backoff.ms': '100' }
  broker = await startBroker({ folder, heapMib: 512, properties })
})

afterAll(async () => {
  if (broker === undefined) return
  await broker.stop()
  await rm(folder, { recursive: true, force: true })
})

beforeEach(context => {
  if (peer.available) return
  const why = `Apache Kafka is not available: ${peer.reason}`
  if (process.env['CI'] === 'true') throw new Error(why)
  context.skip(why)
})

// No `reopen`: a broker learns of a change after it is answered, and to connect again waits for nothing.
const cases = logConformance({
  open: () => connectKafka({ bootstrap: broker?.bootstrap ?? '' }),
  features: {
    compactedTopics: true,
    cleansSoon: true,
    singleNode: true,
    durability: false,
    refusesTransactions: true,
    batchesSurviveRestart: false,
    closes: true,
    sessionTimeoutMsMin: 6_000,
  },
})

describe('the client over Apache Kafka', () => {
  for (const { name, run } of cases) it.concurrent(name, run)
})
