// The clients of a run: each does one operation after the other and tells the oracle what it was
// told. What a crash leaves unanswered is repeated in the next life by idempotent producers, as real
// ones do.
import { encodeBatch, LogError, type LogErrorCode, NO_GENERATION } from '@millrace/log'
import type { Prng } from '../../../src/simulation.ts'
import { drawOperation, type Operation, type Plan, type TopicPlan } from './climate.ts'
import {
  batchesOf,
  type KnownPartition,
  type KnownTopic,
  knownBatch,
  type Oracle,
  Violation,
} from './oracle.ts'
import type { Life } from './world.ts'

/** After this virtual time a client gives up on an answer. */
const PATIENCE_MS = 60_000
const PATIENCE_STEP_MS = 1000
const IN_FLIGHT_MAX = 5
/** Of the wall clock: by NTP, by hand, by years. */
const JUMPS_MS = [60_000, 7_200_000, 691_200_000, -60_000, -7_200_000, -691_200_000]
/** Looks at the clocks are a second apart. */
const JUMPS_APART_MS = 2000
/** Of the whole process. */
const PAUSES_MS = [300, 5000, 60_000, 300_000]
const GROUPS = ['g0', 'g1']

type Pending = { readonly batch: Buffer; readonly sequence: number; readonly records: number }

/** An idempotent producer of one partition. */
type Producer = {
  readonly topic: KnownTopic
  readonly partition: number
  producerId: number
  sequence: number
  /** Sent, or to be sent, and not acknowledged: in order. */
  unresolved: Pending[]
  /** The last acknowledged ones, for deliberate repetitions. */
  done: (Pending & { readonly baseOffset: number })[]
  busy: boolean
}

/** What may answer while nothing is wrong with the disk. */
const ALWAYS_LEGAL: ReadonlySet<LogErrorCode> = new Set(['UNKNOWN_TOPIC_OR_PARTITION'])
/** What may answer where the disk fails. */
const FAULTY: ReadonlySet<LogErrorCode> = new Set([
  'KAFKA_STORAGE_ERROR',
  'REQUEST_TIMED_OUT',
  'COORDINATOR_NOT_AVAILABLE',
  // A batch before it was refused.
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
])

export class Clients {
  readonly #plan: Plan
  readonly #oracle: Oracle
  readonly #prng: Prng
  readonly #producers: Producer[] = []
  #left: number
  /** Names of topics that are being created. */
  readonly #creating: string[] = []
  #jumpedAt = Number.NEGATIVE_INFINITY
  /** Whether storage errors are legal now. */
  faulty = false
  /** Answers that never came, though nothing was wrong with the disk. */
  hung = 0

  constructor(plan: Plan, oracle: Oracle, prng: Prng) {
    this.#plan = plan
    this.#oracle = oracle
    this.#prng = prng
    this.#left = plan.operations
  }

  get left(): number {
    return this.#left
  }

  /** Runs until `operations` are used up, or the machine dies. */
  async run(life: Life, operations: number): Promise<void> {
    for (const producer of this.#producers) producer.busy = false
    const until = Math.max(0, this.#left - operations)
    let failure: unknown
    const one = async (): Promise<void> => {
      while (this.#left > until && !life.disk.crashed && failure === undefined) {
        this.#left -= 1
        try {
          await this.#operate(life, drawOperation(this.#prng, this.#plan.mix))
        } catch (cause) {
          if (life.disk.crashed) return
          failure = cause
          throw cause
        }
      }
    }
    const all = Promise.all(Array.from({ length: this.#plan.clients }, one))
    await life.outside.drive(all, { maxMs: 2 ** 50, until: () => life.disk.crashed })
  }

  /** Every sync partition takes a record: what was left open is finished first. */
  async finish(life: Life): Promise<void> {
    for (const producer of this.#producers) {
      if (producer.topic.state !== 'live') continue
      await life.outside.drive(this.#resend(life, producer))
      if (producer.unresolved.length > 0) throw new Violation('a producer cannot finish')
    }
    for (const topic of this.#oracle.topics.values()) {
      if (topic.state !== 'live') continue
      for (let i = 0; i < topic.partitionsAtLeast; i += 1) {
        const answered = await life.outside.drive(this.#append(life, topic, i))
        if (answered !== true) throw new Violation(`${topic.name}-${i} takes no records`)
      }
    }
  }

  async createTopic(life: Life, plan: TopicPlan): Promise<void> {
    const oracle = this.#oracle
    // From here on an answer about this name may be about the new topic.
    for (const topic of oracle.topics.values()) {
      if (topic.name === plan.name && topic.state === 'leaving') topic.replaced = true
    }
    this.#creating.push(plan.name)
    const result = await this.#ask(life, life.engine.createTopics([plan]))
    this.#creating.splice(this.#creating.indexOf(plan.name), 1)
    const outcome = result?.[0]
    if (outcome === undefined) return
    if (outcome.error !== undefined) {
      if (outcome.error.code !== 'TOPIC_ALREADY_EXISTS') this.#legal(outcome.error, 'createTopics')
      return
    }
    if (oracle.topics.has(outcome.topicId ?? '')) return
    // Where the name was free again, an unanswered deletion has worked.
    for (const topic of oracle.topics.values()) if (topic.name === plan.name) topic.state = 'gone'
    oracle.learn({ ...plan, topicId: outcome.topicId ?? '', partitionsAtLeast: plan.partitions })
  }

  async #operate(life: Life, operation: Operation): Promise<void> {
    const prng = this.#prng
    if (operation === 'rest') return life.outside.sleep(prng.pick([0, 0.5, 5, 100, 3000]))
    if (operation === 'timeJump') return this.#jump(life)
    if (operation === 'pause') return this.#pause(life)
    if (operation === 'createTopic') return this.createTopic(life, prng.pick(this.#plan.topics))
    const topics = [...this.#oracle.topics.values()].filter(topic => topic.state === 'live')
    if (topics.length === 0) return this.createTopic(life, prng.pick(this.#plan.topics))
    const topic = prng.pick(topics)
    const partition = prng.below(topic.partitionsAtLeast)
    switch (operation) {
      case 'plain':
        await this.#append(life, topic, partition)
        return
      case 'idempotent':
        return this.#produce(life, topic, partition)
      case 'duplicate':
        return this.#repeat(life)
      case 'fetch':
        return this.#fetch(life, topic, partition)
      case 'listOffsets':
        return this.#listOffsets(life, topic, partition)
      case 'commit':
        return this.#commit(life, topic, partition)
      case 'fetchOffsets':
        return this.#fetchOffsets(life, topic, partition)
      case 'deleteRecords':
        return this.#deleteRecords(life, topic, partition)
      case 'deleteTopic':
        return this.#deleteTopic(life, topic)
      case 'addPartitions':
        return this.#addPartitions(life, topic)
      case 'newProducer':
        this.#producers.splice(0, prng.below(this.#producers.length + 1))
        return
    }
  }

  /** Ahead and back between two looks is not noticed by anybody: jumps leave time for a look. */
  #jump({ outside }: Life): void {
    const now = outside.clock.monotonic()
    if (now - this.#jumpedAt < JUMPS_APART_MS) return
    this.#jumpedAt = now
    outside.jumpWallClock(this.#prng.pick(JUMPS_MS))
  }

  /** Nobody looks at the clocks meanwhile. */
  #pause({ outside }: Life): void {
    outside.pause(this.#prng.pick(PAUSES_MS))
    this.#jumpedAt = outside.clock.monotonic()
  }

  #batch(life: Life, producer?: { producerId: number; sequence: number }): Pending {
    const prng = this.#prng
    const records = prng.pick([1, 1, 1, 2, 5])
    this.#oracle.sends += 1
    this.#oracle.sentAt.set(this.#oracle.sends, life.outside.clock.monotonic())
    const timestamp = life.outside.clock.now()
    const values = Array.from({ length: records }, () => {
      const value = Buffer.alloc(
        8 + prng.below(this.#plan.recordBytesMax),
        this.#oracle.sends & 0xff,
      )
      value.writeBigUInt64BE(BigInt(this.#oracle.sends), value.length - 8)
      return { key: null, value }
    })
    const identity =
      producer === undefined
        ? {}
        : {
            producer: { producerId: producer.producerId, producerEpoch: 0 },
            baseSequence: producer.sequence,
          }
    const batch = encodeBatch({ records: values, timestamp, ...identity })
    return { batch, sequence: producer?.sequence ?? -1, records }
  }

  /** A plain append; true when acknowledged. */
  async #append(life: Life, topic: KnownTopic, partition: number): Promise<boolean> {
    const { batch } = this.#batch(life)
    const outcome = await this.#send(life, topic, partition, batch)
    return typeof outcome === 'number'
  }

  /** Sends; answers with the base offset, an error, or undefined if no answer came. */
  async #send(
    life: Life,
    topic: KnownTopic,
    partition: number,
    batch: Buffer,
  ): Promise<number | LogError | undefined> {
    const entry = { topic: topic.name, partition, batch: Buffer.from(batch) }
    const results = await this.#ask(life, life.engine.append([entry]))
    const result = results?.[0]
    if (result === undefined) return undefined
    // A topic of the same name may have come back while the batch was under way.
    if (this.#oracle.named(topic.name) !== topic || topic.replaced) return undefined
    if (result.error !== undefined) {
      this.#legal(result.error, `append to ${topic.name}-${partition}`)
      return result.error
    }
    this.#oracle.acknowledged += 1
    this.#oracle
      .partition(topic, partition)
      .note(knownBatch(batch, result.baseOffset), 'an acknowledgement')
    return result.baseOffset
  }

  async #produce(life: Life, topic: KnownTopic, partition: number): Promise<void> {
    if (topic.durability !== 'sync') return
    let producer = this.#producers.find(
      p => p.topic === topic && p.partition === partition && !p.busy,
    )
    if (producer === undefined) {
      const identity = await this.#ask(life, life.engine.initProducer({ transactionalId: null }))
      if (identity === undefined) return
      const { producerId } = identity
      if (this.#producers.some(p => p.producerId === producerId)) {
        throw new Violation(`producer id ${producerId} was given out twice`)
      }
      producer = {
        topic,
        partition,
        producerId,
        sequence: 0,
        unresolved: [],
        done: [],
        busy: false,
      }
      this.#producers.push(producer)
    }
    producer.busy = true
    const count = 1 + this.#prng.below(IN_FLIGHT_MAX)
    while (producer.unresolved.length < count) {
      const pending = this.#batch(life, producer)
      producer.sequence += pending.records
      producer.unresolved.push(pending)
    }
    await this.#resend(life, producer)
    producer.busy = false
  }

  /** Sends everything that is open, pipelined and in order. */
  async #resend(life: Life, producer: Producer): Promise<void> {
    const sent = [...producer.unresolved]
    const outcomes = await Promise.all(
      sent.map(({ batch }) => this.#send(life, producer.topic, producer.partition, batch)),
    )
    if (life.disk.crashed) return
    for (const [i, pending] of sent.entries()) {
      const outcome = outcomes[i]
      if (typeof outcome !== 'number') return // it, and all behind it, are sent again
      producer.unresolved.shift()
      producer.done.push({ ...pending, baseOffset: outcome })
      if (producer.done.length > IN_FLIGHT_MAX) producer.done.shift()
    }
  }

  /** A batch that was acknowledged comes once more: its first answer is due. */
  async #repeat(life: Life): Promise<void> {
    const idle = this.#producers.filter(
      p => !p.busy && p.done.length > 0 && p.unresolved.length === 0 && p.topic.state === 'live',
    )
    if (idle.length === 0) return
    const producer = this.#prng.pick(idle)
    producer.busy = true
    const pending = this.#prng.pick(producer.done)
    const outcome = await this.#send(life, producer.topic, producer.partition, pending.batch)
    producer.busy = false
    if (typeof outcome === 'number' && outcome !== pending.baseOffset) {
      throw new Violation(`P5: a repeated batch is at ${outcome}, first at ${pending.baseOffset}`)
    }
  }

  async #fetch(life: Life, topic: KnownTopic, partition: number): Promise<void> {
    const known = this.#oracle.partition(topic, partition)
    const offset =
      known.startSeen + this.#prng.below(Math.max(0, known.highWatermark - known.startSeen) + 2)
    const positions = [
      { topic: topic.name, partition, offset, maxBytes: this.#prng.pick([1, 1000, 1 << 20]) },
    ]
    const results = await this.#ask(
      life,
      life.engine.fetch({
        positions,
        minBytes: 1,
        maxBytes: 1 << 20,
        maxWaitMs: this.#prng.pick([0, 0, 50]),
        isolation: 'read_uncommitted',
      }),
    )
    const result = results?.[0]
    if (result === undefined || this.#oracle.named(topic.name) !== topic) return
    if (result.error !== undefined) {
      if (result.error.code !== 'OFFSET_OUT_OF_RANGE') this.#legal(result.error, 'fetch')
      return
    }
    this.#saw(known, offset, result)
  }

  #saw(
    known: KnownPartition,
    offset: number,
    result: { records: Buffer; highWatermark: number; logStartOffset: number },
  ): void {
    let next = offset
    for (const [i, bytes] of batchesOf(result.records).entries()) {
      const batch = knownBatch(bytes)
      if (i === 0 ? batch.base > offset || batch.last < offset : batch.base !== next) {
        throw new Violation(`${known.name}: a read at ${next} answers with ${batch.base}`)
      }
      next = batch.last + 1
      if (next > result.highWatermark)
        throw new Violation(`${known.name}: shown above the watermark`)
      known.note(batch, 'a read')
    }
    // Answers may overtake each other on the way to the client: the ends only ever grow.
    known.highWatermark = Math.max(known.highWatermark, result.highWatermark)
    known.startSeen = Math.max(known.startSeen, result.logStartOffset)
  }

  async #listOffsets(life: Life, topic: KnownTopic, partition: number): Promise<void> {
    const known = this.#oracle.partition(topic, partition)
    const { startAtLeast, highWatermark } = known
    const target = { topic: topic.name, partition }
    const answers = await this.#ask(
      life,
      life.engine.listOffsets([
        { ...target, place: 'earliest' },
        { ...target, place: 'latest' },
        { ...target, place: 'maxTimestamp' },
        { ...target, place: life.outside.clock.now() - 1000 },
      ]),
    )
    if (answers === undefined || this.#oracle.named(topic.name) !== topic) return
    const [earliest, latest] = answers
    for (const { error } of answers) if (error !== undefined) this.#legal(error, 'listOffsets')
    if (earliest?.error !== undefined || latest?.error !== undefined) return
    if ((earliest?.offset ?? 0) < startAtLeast || (latest?.offset ?? 0) < highWatermark) {
      throw new Violation(`${known.name}: the ends moved back`)
    }
  }

  async #commit(life: Life, topic: KnownTopic, partition: number): Promise<void> {
    const groupId = this.#prng.pick(GROUPS)
    const key = `${groupId} ${topic.topicId} ${partition}`
    const offset = (this.#oracle.tried.get(key) ?? -1) + 1 + this.#prng.below(3)
    this.#oracle.tried.set(key, offset)
    // A topic of the same name may be there before anybody was told.
    if (topic.state !== 'live')
      this.#oracle.stray.set(`${groupId} ${topic.name} ${partition}`, offset)
    const outcomes = await this.#ask(
      life,
      life.engine.groups.commit({
        groupId,
        generationId: NO_GENERATION,
        memberId: '',
        groupInstanceId: null,
        offsets: [{ topic: topic.name, partition, offset, leaderEpoch: -1, metadata: null }],
      }),
    )
    const outcome = outcomes?.[0]
    if (outcome === undefined || this.#oracle.named(topic.name) !== topic) return
    if (outcome.error !== undefined) this.#legal(outcome.error, 'commit')
    else this.#oracle.noteCommit(key, offset)
  }

  async #fetchOffsets(life: Life, topic: KnownTopic, partition: number): Promise<void> {
    const groupId = this.#prng.pick(GROUPS)
    const key = `${groupId} ${topic.topicId} ${partition}`
    const atLeast = this.#oracle.committed.get(key) ?? -1
    const target = { topic: topic.name, partition }
    const found = await this.#ask(life, life.engine.groups.fetchOffsets(groupId, [target]))
    const answer = found?.[0]
    if (answer === undefined || this.#oracle.named(topic.name) !== topic) return
    if (answer.error !== undefined) return this.#legal(answer.error, 'fetchOffsets')
    if (answer.offset < atLeast)
      throw new Violation(`P7: ${key} was ${atLeast}, is ${answer.offset}`)
  }

  async #deleteRecords(life: Life, topic: KnownTopic, partition: number): Promise<void> {
    const known = this.#oracle.partition(topic, partition)
    const range = Math.max(0, known.highWatermark - known.startSeen)
    const offset = known.startSeen + this.#prng.below(range + 1)
    known.startAsked = Math.max(known.startAsked, offset)
    const target = { topic: topic.name, partition, offset }
    const outcomes = await this.#ask(life, life.engine.deleteRecords([target]))
    const outcome = outcomes?.[0]
    if (outcome === undefined || this.#oracle.named(topic.name) !== topic) return
    if (outcome.error !== undefined) this.#legal(outcome.error, 'deleteRecords')
    else known.startAtLeast = Math.max(known.startAtLeast, outcome.lowWatermark)
  }

  async #deleteTopic(life: Life, topic: KnownTopic): Promise<void> {
    topic.state = 'leaving'
    // One that was asked for before, and decides behind the deletion, makes the new topic.
    if (this.#creating.includes(topic.name)) topic.replaced = true
    const outcomes = await this.#ask(life, life.engine.deleteTopics([topic.name]))
    const outcome = outcomes?.[0]
    if (outcome === undefined) return
    if (outcome.error === undefined) topic.state = 'gone'
    else this.#legal(outcome.error, 'deleteTopics')
  }

  async #addPartitions(life: Life, topic: KnownTopic): Promise<void> {
    if (topic.partitionsAtLeast >= 6) return
    const partitions = topic.partitionsAtLeast + 1
    const outcomes = await this.#ask(
      life,
      life.engine.createPartitions([{ name: topic.name, partitions }]),
    )
    const outcome = outcomes?.[0]
    if (outcome === undefined || this.#oracle.named(topic.name) !== topic) return
    if (outcome.error === undefined) {
      topic.partitionsAtLeast = Math.max(partitions, topic.partitionsAtLeast)
    } else if (outcome.error.code !== 'INVALID_PARTITIONS') {
      this.#legal(outcome.error, 'createPartitions')
    }
  }

  /** Waits for an answer, with patience; undefined when none came, or the machine died. */
  async #ask<T>(life: Life, work: Promise<T>): Promise<T | undefined> {
    let timedOut = false
    let done = false
    const answer = await Promise.race([
      work.catch((cause: unknown) => {
        if (!(cause instanceof LogError)) throw cause
        if (!life.disk.crashed) this.#legal(cause, 'a call')
        return undefined
      }),
      patience(life, () => done).then(() => {
        timedOut = !done
        return undefined
      }),
    ])
    done = true
    if (life.disk.crashed) return undefined
    if (timedOut) this.hung += 1
    if (timedOut && !this.faulty) throw new Violation('a call was not answered within a minute')
    return answer
  }

  #legal(error: LogError, call: string): void {
    if (ALWAYS_LEGAL.has(error.code) || (this.faulty && FAULTY.has(error.code))) return
    throw new Violation(`${call} answers ${error.code}: ${error.message}`)
  }
}

/** Time in which the client is awake: a pause of the process is one step of it. */
async function patience(life: Life, isOver: () => boolean): Promise<void> {
  for (let ms = 0; ms < PATIENCE_MS && !isOver(); ms += PATIENCE_STEP_MS) {
    await life.outside.sleep(PATIENCE_STEP_MS)
  }
}
