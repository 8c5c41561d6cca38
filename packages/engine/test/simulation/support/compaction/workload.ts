// The clients of compacted topics: producers that repeat what was not answered, readers from any
// offset, and somebody who asks for a cleaning now and then.
import {
  type AppendResult,
  encodeBatch,
  LogError,
  type NewRecord,
  RecordBatch,
} from '@millrace/log'
import type { Prng } from '../../../../src/simulation.ts'
import { batchesOf, Violation } from '../oracle.ts'
import type { Life } from '../world.ts'
import { auditCompacted } from './audit-compacted.ts'
import { CompactedPartitionModel, markOf, readRecords } from './model.ts'
import type { CompactedTopic, CompactionPlan } from './plan.ts'

const PATIENCE_MS = 60_000
const REPEATED_MAX = 5

type SentBatch = { readonly bytes: Buffer; readonly ids: readonly number[]; sequence: number }

/** A producer of one partition; plain if it has no id. */
type Producer = {
  readonly topic: CompactedTopic
  readonly partition: number
  producerId: number | null
  sequence: number
  unanswered: SentBatch | undefined
  done: { readonly batch: SentBatch; readonly base: number }[]
  busy: boolean
}

export class CompactionClients {
  readonly #plan: CompactionPlan
  readonly #prng: Prng
  readonly models: Map<string, CompactedPartitionModel> = new Map()
  readonly #producers: Producer[] = []
  #ids = 0
  left: number
  /** Whether refusals and hung calls are legal. */
  faulty = false

  constructor(plan: CompactionPlan, prng: Prng) {
    this.#plan = plan
    this.#prng = prng
    this.left = plan.operations
    for (const topic of plan.topics) {
      for (let i = 0; i < topic.partitions; i += 1) {
        const name = `${topic.name}-${i}`
        this.models.set(name, new CompactedPartitionModel(name, topic.rules, topic.appendTime))
      }
    }
  }

  async createTopics(life: Life): Promise<void> {
    for (const { name, partitions, configs } of this.#plan.topics) {
      const outcomes = await this.#ask(
        life,
        life.engine.createTopics([{ name, partitions, configs }]),
      )
      const error = outcomes?.[0]?.error
      if (error !== undefined && error.code !== 'TOPIC_ALREADY_EXISTS') this.#legal(error)
    }
  }

  /** Runs until so many operations are used up, or the machine dies. */
  async run(life: Life, operations: number): Promise<void> {
    for (const producer of this.#producers) producer.busy = false
    const until = Math.max(0, this.left - operations)
    let failure: unknown
    const client = async (): Promise<void> => {
      while (this.left > until && !life.disk.crashed && failure === undefined) {
        this.left -= 1
        try {
          await this.#operate(life)
        } catch (cause) {
          if (life.disk.crashed) return
          failure = cause
          throw cause
        }
      }
    }
    const all = Promise.all(Array.from({ length: this.#plan.clients }, client))
    await life.outside.drive(all, { maxMs: 2 ** 50, until: () => life.disk.crashed })
  }

  /** What was never answered is answered now, and what was is known. */
  async finish(life: Life): Promise<void> {
    for (const producer of this.#producers) {
      if (!(await this.#send(life, producer))) throw new Violation('a producer cannot finish')
      for (const { batch, base } of producer.done) await this.#repeat(life, producer, batch, base)
    }
  }

  /** Reads all, holds it against the model, and looks at it from other offsets and by time. */
  async audit(life: Life): Promise<void> {
    for (const topic of this.#plan.topics) {
      for (let partition = 0; partition < topic.partitions; partition += 1) {
        const place = { topic: topic.name, partition }
        await auditCompacted(life, this.#model(topic, partition), place, this.#prng)
      }
    }
  }

  async #operate(life: Life): Promise<void> {
    const prng = this.#prng
    const topic = prng.pick(this.#plan.topics)
    const partition = prng.below(topic.partitions)
    const draw = prng.fraction()
    if (draw < 0.7) return this.#produce(life, topic, partition)
    if (draw < 0.76) return this.#repeatAny(life)
    if (draw < 0.84) return this.#fetch(life, topic, partition)
    if (draw < 0.88) return this.#compact(life, topic)
    if (draw < 0.9 && topic.rules.deletes) return this.#deleteRecords(life, topic, partition)
    return life.outside.sleep(prng.pick([0.5, 5, 100, 1000, 5000]))
  }

  async #produce(life: Life, topic: CompactedTopic, partition: number): Promise<void> {
    const idempotent = this.#prng.chance(0.6)
    let producer = this.#producers.find(
      p => p.topic === topic && p.partition === partition && (p.producerId !== null) === idempotent,
    )
    if (producer === undefined) {
      let producerId: number | null = null
      if (idempotent) {
        const identity = await this.#ask(life, life.engine.initProducer({ transactionalId: null }))
        if (identity === undefined) return
        producerId = identity.producerId
      }
      producer = {
        ...{ topic, partition, producerId, sequence: 0 },
        ...{ unanswered: undefined, done: [], busy: false },
      }
      this.#producers.push(producer)
    }
    if (producer.busy) return
    producer.busy = true
    if (await this.#send(life, producer)) {
      producer.unanswered = this.#newBatch(life, producer)
      await this.#send(life, producer)
    }
    producer.busy = false
  }

  #newBatch(life: Life, producer: Producer): SentBatch {
    const { topic, partition, producerId, sequence } = producer
    const prng = this.#prng
    const compression = prng.pick(topic.codecs)
    const now = life.outside.clock.now()
    const ids: number[] = []
    const records = Array.from({ length: prng.pick([1, 1, 2, 8]) }, (): NewRecord => {
      this.#ids += 1
      const id = this.#ids
      ids.push(id)
      const key = `k${prng.below(this.#plan.keys)}`
      const value = prng.chance(this.#plan.tombstones)
        ? null
        : `${markOf(id)}${'.'.repeat(prng.below(this.#plan.valueBytesMax))}`
      const timestamp = now - prng.below(1000)
      const compressed = compression !== 'none'
      this.#model(topic, partition).sent.set(id, {
        ...{ id, key, value, timestamp, compressed },
        sentAt: now,
      })
      return { key, value, timestamp, headers: [{ key: 'id', value: String(id) }] }
    })
    producer.sequence += records.length
    const identity =
      producerId === null
        ? {}
        : { producer: { producerId, producerEpoch: 0 }, baseSequence: sequence }
    return { bytes: encodeBatch({ records, compression, ...identity }), ids, sequence }
  }

  /** Sends what is open; true when nothing is any more. Plain batches are not repeated. */
  async #send(life: Life, producer: Producer): Promise<boolean> {
    const batch = producer.unanswered
    if (batch === undefined) return true
    if (producer.producerId === null) producer.unanswered = undefined
    const base = await this.#append(life, producer, batch)
    if (base === undefined) return producer.producerId === null
    producer.unanswered = undefined
    producer.done.push({ batch, base })
    if (producer.done.length > REPEATED_MAX) producer.done.shift()
    if (producer.producerId === null) producer.done.length = 0
    const model = this.#model(producer.topic, producer.partition)
    for (const [i, id] of batch.ids.entries()) model.learn(base + i, id)
    return true
  }

  async #append(life: Life, producer: Producer, batch: SentBatch): Promise<number | undefined> {
    const entry = { topic: producer.topic.name, partition: producer.partition }
    const results: readonly AppendResult[] | undefined = await this.#ask(
      life,
      life.engine.append([{ ...entry, batch: Buffer.from(batch.bytes) }]),
    )
    const result = results?.[0]
    if (result?.error !== undefined) this.#legal(result.error)
    return result === undefined || result.error !== undefined ? undefined : result.baseOffset
  }

  async #repeatAny(life: Life): Promise<void> {
    const idle = this.#producers.filter(p => !p.busy && p.unanswered === undefined)
    const producer = this.#prng.pick([...idle, undefined])
    const done = producer?.done[this.#prng.below(producer.done.length)]
    if (producer === undefined || done === undefined) return
    producer.busy = true
    await this.#repeat(life, producer, done.batch, done.base)
    producer.busy = false
  }

  async #repeat(life: Life, producer: Producer, batch: SentBatch, base: number): Promise<void> {
    const again = await this.#append(life, producer, batch)
    if (again !== undefined && again !== base) {
      throw new Violation(`P5: a repeated batch is at ${again}, first at ${base}`)
    }
  }

  async #fetch(life: Life, topic: CompactedTopic, partition: number): Promise<void> {
    const model = this.#model(topic, partition)
    const { logStart, highWatermark } = model
    const offset = logStart + this.#prng.below(Math.max(1, highWatermark - logStart))
    const maxBytes = this.#prng.pick([1, 500, 5000])
    const positions = [{ topic: topic.name, partition, offset, maxBytes }]
    const fetched = await this.#ask(
      life,
      life.engine.fetch({
        ...{ positions, minBytes: 1, maxBytes, maxWaitMs: 0 },
        isolation: 'read_uncommitted',
      }),
    )
    const result = fetched?.[0]
    if (result === undefined) return
    if (result.error !== undefined) {
      if (result.error.code !== 'OFFSET_OUT_OF_RANGE') this.#legal(result.error)
      return
    }
    for (const bytes of batchesOf(result.records)) {
      for (const record of readRecords(new RecordBatch(bytes))) model.see(record)
    }
    if (result.records.length === 0 && offset < result.highWatermark) {
      throw new Violation(`${model.name}: nothing at ${offset} below ${result.highWatermark}`)
    }
  }

  async #compact(life: Life, topic: CompactedTopic): Promise<void> {
    await this.#ask(life, life.engine.compactNow(topic.name))
  }

  async #deleteRecords(life: Life, topic: CompactedTopic, partition: number): Promise<void> {
    const model = this.#model(topic, partition)
    const offset = this.#prng.below(model.highWatermark + 1)
    const target = { topic: topic.name, partition, offset }
    const outcome = (await this.#ask(life, life.engine.deleteRecords([target])))?.[0]
    if (outcome?.error !== undefined) this.#legal(outcome.error)
  }

  #model(topic: CompactedTopic, partition: number): CompactedPartitionModel {
    const model = this.models.get(`${topic.name}-${partition}`)
    if (model === undefined) throw new Error('no such partition')
    return model
  }

  /** An answer; undefined when the machine dies, or the disk is bad. */
  async #ask<T>(life: Life, work: Promise<T>): Promise<T | undefined> {
    const answer = await Promise.race([
      work.catch((cause: unknown) => {
        if (!(cause instanceof LogError)) throw cause
        if (!life.disk.crashed) this.#legal(cause)
        return undefined
      }),
      life.outside.sleep(PATIENCE_MS).then(() => 'late' as const),
    ])
    if (life.disk.crashed) return undefined
    if (answer !== 'late') return answer
    if (!this.faulty) throw new Violation(`no answer within ${PATIENCE_MS} ms`)
    return undefined
  }

  #legal(error: LogError): void {
    if (!this.faulty) throw new Violation(`refused: ${error.code} ${error.message}`)
  }
}
