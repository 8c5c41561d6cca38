// A writing process: `writer.ts KIND NAME BOOTSTRAP TOPIC PARTITIONS JOURNAL`, until SIGTERM. The
// value of each record is NAME:PARTITION:N with N rising, so that the audit sees loss, repetition
// and order. Kinds: raw (idempotent, five batches in flight for each partition, resends with the
// same sequence until answered), kafkajs and confluent (their own idempotent producers), commits
// (a group's offsets, rising).
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { confluentKafka } from '../support/confluent.ts'
import { note } from './journal.ts'
import { RawClient, recordBatch } from './raw-client.ts'

const [kind = '', name = '', bootstrap = '', topic = '', partitionsText, journal = ''] =
  process.argv.slice(2)
const partitions = Number(partitionsText)
const maxInFlight = 5
const batchRecords = 3
const pauseMs = 30
const retryMs = 10
/** The sequence of this batch is below the last one: it was stored before, its offset is forgotten. */
const duplicateSequence = 46
/** A batch before this one has failed: both are sent again, in order. */
const outOfOrder = 45
/** NOT_LEADER_OR_FOLLOWER, COORDINATOR_LOADING, ...: a restarted broker is not ready yet. */
const retriable = new Set([3, 5, 6, 7, 14, 15, 16, 41, 56])

let stopping = false
process.on('SIGTERM', () => {
  stopping = true
})

/** An answer that no restart explains: the writer gives up, and the run fails. */
class RefusedByNode extends Error {}

/** A connection that is opened anew when it was lost. */
class Reconnecting {
  #client: Promise<RawClient> | undefined
  #generation = 0

  async use<T>(work: (client: RawClient) => Promise<T>): Promise<T | undefined> {
    this.#client ??= RawClient.connect(bootstrap)
    const generation = this.#generation
    try {
      return await work(await this.#client)
    } catch (error) {
      if (error instanceof RefusedByNode) {
        console.error(`${name}: ${error.message}`)
        process.exit(3)
      }
      if (generation === this.#generation) {
        this.#generation++
        void this.#client?.then(
          client => client.close(),
          () => undefined,
        )
        this.#client = undefined
      }
      await sleep(retryMs)
      return undefined
    }
  }
}

interface Batch {
  readonly values: readonly string[]
  readonly baseSequence: number
}

async function rawPartition(partition: number): Promise<void> {
  const connection = new Reconnecting()
  let identity: Awaited<ReturnType<RawClient['initProducer']>> | undefined
  while (identity === undefined && !stopping) {
    identity = await connection.use(client => client.initProducer())
  }
  if (identity === undefined) return
  const known = identity
  let next = 0
  let sequence = 0
  let inFlight: Batch[] = []
  // Sends all batches in flight in order over one connection; those that are answered leave the list.
  while (!stopping) {
    while (inFlight.length < maxInFlight) {
      const values = Array.from({ length: batchRecords }, () => `${name}:${partition}:${next++}`)
      inFlight.push({ values, baseSequence: sequence })
      sequence += values.length
    }
    const answers = await connection.use(client =>
      Promise.allSettled(
        inFlight.map(async batch => {
          const bytes = recordBatch(batch.values, { ...known, baseSequence: batch.baseSequence })
          const answer = await client.produce(topic, partition, bytes)
          if (answer.code === 0) {
            note(
              journal,
              batch.values.map((value, i) => ({
                ...{ kind: 'record', partition, value },
                offset: answer.offset + i,
              })),
            )
          }
          return { batch, code: answer.code }
        }),
      ).then(outcomes => {
        const done = new Set<Batch>()
        let lost = false
        for (const outcome of outcomes) {
          if (outcome.status === 'rejected') lost = true
          else if (outcome.value.code === 0 || outcome.value.code === duplicateSequence) {
            done.add(outcome.value.batch)
          } else if (!retriable.has(outcome.value.code) && outcome.value.code !== outOfOrder) {
            throw new RefusedByNode(`produce answered ${outcome.value.code}`)
          }
        }
        inFlight = inFlight.filter(batch => !done.has(batch))
        if (lost) throw new Error('lost connection')
      }),
    )
    if (answers === undefined) await sleep(retryMs)
    await sleep(pauseMs)
  }
}

async function kafkajs(): Promise<void> {
  const retry = { retries: 10_000, initialRetryTime: 30, maxRetryTime: 200 }
  const client = new Kafka({
    clientId: name,
    brokers: [bootstrap],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 500,
    requestTimeout: 5_000,
    retry,
  })
  let next = 0
  while (!stopping) {
    const producer = client.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry,
    })
    try {
      await producer.connect()
      while (!stopping) {
        const partition = next % partitions
        const value = `${name}:${partition}:${next++}`
        const [sent] = await producer.send({ topic, acks: -1, messages: [{ partition, value }] })
        // A batch that was stored before has no offset in the answer of some brokers.
        const offset = Number(sent?.baseOffset)
        if (offset >= 0) note(journal, [{ kind: 'record', partition, offset, value }])
      }
    } catch {
      // The outcome of the last record is unknown. A new producer goes on with the next one, because
      // this client would give the old sequence to other records.
      await sleep(retryMs)
    } finally {
      await producer.disconnect().catch(() => undefined)
    }
  }
}

async function confluent(): Promise<void> {
  const producer = confluentKafka(bootstrap).producer({
    kafkaJS: { idempotent: true },
    'linger.ms': 1,
    'reconnect.backoff.ms': 20,
    'reconnect.backoff.max.ms': 100,
    'retry.backoff.ms': 20,
    'retry.backoff.max.ms': 100,
    'message.timeout.ms': 120_000,
  })
  await producer.connect()
  let next = 0
  const lane = async (): Promise<void> => {
    while (!stopping) {
      const partition = next % partitions
      const value = `${name}:${partition}:${next++}`
      const [sent] = await producer.send({ topic, messages: [{ partition, value }] })
      const offset = Number(sent?.baseOffset)
      if (offset >= 0) note(journal, [{ kind: 'record', partition, offset, value }])
      await sleep(pauseMs)
    }
  }
  await Promise.all(Array.from({ length: 10 }, lane))
  await producer.disconnect()
}

async function commits(): Promise<void> {
  const connection = new Reconnecting()
  for (let offset = 1; !stopping; ) {
    const answer = await connection.use(async client => {
      const codes = await Promise.all(
        Array.from({ length: partitions }, async (_, partition) => {
          const code = await client.commit(name, topic, partition, offset)
          if (code === 0) note(journal, [{ kind: 'commit', partition, offset }])
          return code
        }),
      )
      return codes
    })
    if (answer?.every(code => code === 0) === true) offset++
    else await connection.use(client => client.findCoordinator(name))
    await sleep(pauseMs)
  }
}

const kinds: Readonly<Record<string, () => Promise<unknown>>> = {
  raw: () => Promise.all(Array.from({ length: partitions }, (_, i) => rawPartition(i))),
  kafkajs,
  confluent,
  commits,
}
note(journal, [])
await kinds[kind]?.()
process.exit(0)
