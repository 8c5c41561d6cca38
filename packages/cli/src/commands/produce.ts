/**
 * `millrace produce TOPIC`: one record a line, from a file or standard input.
 *
 * Lines are split as bytes and go into the producer's batches as they are; a line is parsed only
 * when its key is a field of it. The producer's buffer is the only one: while it is full, nothing is
 * read. A bad line is named, counted and left out; a record that the log refuses ends the run, since
 * what comes after it could no longer be in order.
 */
import type { DeliveryFailure, Producer } from '@millrace/clients'
import { createProducer } from '@millrace/clients'
import type { Compression, NewHeader } from '@millrace/log'
import { LogError } from '@millrace/log'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import type { LogContext } from '../terminal/context.ts'
import { type Input, openInput } from '../terminal/input.ts'
import { LineSplitter, LineTooLongError } from '../text/line-splitter.ts'
import { bytes, count, counted, span } from '../text/quantity.ts'
import { BadLineError, type LineReader, lineReader } from './line-reader.ts'
import { ProduceProgress } from './produce-progress.ts'

const LINE_BYTES_MAX = 1024 * 1024
const NAMED_PROBLEMS_MAX = 10
const REPLICATION_DEFAULT = -1

/** Options of `produce`. */
export type ProduceOptions = {
  readonly file?: string
  readonly key?: string
  readonly keySeparator?: string
  readonly header?: readonly string[]
  readonly nullValue?: string
  readonly partition?: number
  readonly createPartitions?: number
  /** False with --no-create. */
  readonly create?: boolean
  readonly batchBytes?: number
  readonly lingerMs?: number
  readonly lineBytesMax?: number
  readonly strict?: boolean
  readonly quiet?: boolean
  readonly compression?: Compression
  readonly acks?: '0' | '1' | 'all'
  readonly input?: 'lines' | 'ndjson'
}

/** `produce TOPIC` */
export async function produce(
  context: LogContext,
  topic: string,
  options: ProduceOptions,
): Promise<ExitCode> {
  const reader = lineReader(options)
  const headers = (options.header ?? []).map(parseHeader)
  const input = await openInput(options.file, context.stdin, context.signal)
  await ensureTopic(context, topic, options)
  const run = new ProduceRun(context, topic, options, reader, headers)
  return run.pump(input)
}

class ProduceRun {
  #context: LogContext
  #topic: string
  #options: ProduceOptions
  #reader: LineReader
  #headers: readonly NewHeader[]
  #producer: Producer
  #line = 0
  #taken = 0
  #takenBytes = 0
  #badLines = 0
  #failedRecords = 0
  #named = 0
  #refused: LogError | null = null

  constructor(
    context: LogContext,
    topic: string,
    options: ProduceOptions,
    reader: LineReader,
    headers: readonly NewHeader[],
  ) {
    this.#context = context
    this.#topic = topic
    this.#options = options
    this.#reader = reader
    this.#headers = headers
    const acks = options.acks ?? 'all'
    this.#producer = createProducer(context.log, {
      acks: acks === 'all' ? 'all' : acks === '1' ? 1 : 0,
      compression: options.compression ?? 'none',
      recordBytesMax: options.lineBytesMax ?? LINE_BYTES_MAX,
      onFailure: failure => this.#onFailure(failure),
      ...(options.batchBytes === undefined ? {} : { batchBytesMax: options.batchBytes }),
      ...(options.lingerMs === undefined ? {} : { lingerMs: options.lingerMs }),
    })
  }

  /** Reads the input to its end, and tells what became of it. */
  async pump(input: Input): Promise<ExitCode> {
    const startedAt = performance.now()
    const { stderr, signal } = this.#context
    const progress =
      stderr.isTerminal && this.#options.quiet !== true
        ? new ProduceProgress(stderr, input.totalBytes, () => ({
            records: this.#taken,
            bytes: input.bytesRead(),
          }))
        : null
    let problem: unknown
    try {
      await this.#read(input)
    } catch (error) {
      problem = error
    }
    // What was taken is stored also when reading ended early.
    await this.#producer.close().catch((error: unknown) => {
      problem ??= this.#refused === null ? error : undefined
    })
    progress?.end()
    this.#summary(performance.now() - startedAt)
    if (problem !== undefined && problem !== this.#refused) throw problem
    if (this.#refused !== null) throw this.#refused
    if (signal.aborted) return EXIT.interrupted
    return this.#badLines === 0 ? EXIT.ok : EXIT.failed
  }

  async #read(input: Input): Promise<void> {
    const splitter = new LineSplitter(this.#options.lineBytesMax ?? LINE_BYTES_MAX)
    try {
      for await (const chunk of input.chunks) {
        for (const line of splitter.push(chunk)) {
          if (!this.#take(line)) await this.#takeLater(line)
        }
        if (this.#stopped()) return
      }
      const last = splitter.end()
      if (last !== null && !this.#take(last)) await this.#takeLater(last)
    } catch (error) {
      if (!(error instanceof LineTooLongError)) throw error
      throw new CommandError(error.message, EXIT.failed, 'Raise --line-bytes-max.', error)
    }
  }

  #stopped(): boolean {
    return this.#refused !== null || this.#context.signal.aborted
  }

  /** Offers a line; false when the producer has no room for it now. Bad lines count as taken. */
  #take(line: Buffer, again = false): boolean {
    if (!again) this.#line += 1
    if (line.length === 0) return true
    const { partition } = this.#options
    try {
      const { key, value } = this.#reader(line)
      const taken = this.#producer.offer(this.#topic, {
        key,
        value,
        headers: this.#headers,
        ...(partition === undefined ? {} : { partition }),
      })
      if (!taken) return false
      this.#taken += 1
      this.#takenBytes += line.length
      return true
    } catch (error) {
      if (!isAboutLine(error)) throw error
      this.#badLine(error.message)
      return true
    }
  }

  async #takeLater(line: Buffer): Promise<void> {
    do {
      if (this.#stopped()) return
      await this.#producer.ready(this.#topic)
    } while (!this.#take(line, true))
  }

  #badLine(message: string): void {
    const text = `line ${this.#line}: ${message}`
    if (this.#options.strict === true) throw new CommandError(text, EXIT.failed)
    this.#badLines += 1
    this.#name(text)
  }

  #onFailure({ partition, error, recordCount }: DeliveryFailure): void {
    this.#refused ??= error
    this.#failedRecords += recordCount
    this.#name(
      `partition ${partition}: ${counted(recordCount, 'record')} not stored: ${error.message}`,
    )
  }

  /** Names the first problems; the summary counts them all. */
  #name(text: string): void {
    this.#named += 1
    const { stderr } = this.#context
    // On a terminal the line of the progress stands there and is shorter than many messages.
    if (stderr.isTerminal && this.#named <= NAMED_PROBLEMS_MAX + 1) stderr.draw('\r\u001b[K')
    if (this.#named <= NAMED_PROBLEMS_MAX) stderr.write(`${text}\n`)
    else if (this.#named === NAMED_PROBLEMS_MAX + 1) stderr.write('further ones are only counted\n')
  }

  #summary(ms: number): void {
    const stored = this.#taken - this.#failedRecords
    const { stdout, stderr, json } = this.#context
    if (json) {
      stdout.write(
        `${JSON.stringify({
          topic: this.#topic,
          records: stored,
          bytes: this.#takenBytes,
          badLines: this.#badLines,
          failedRecords: this.#failedRecords,
          ms: Math.round(ms),
        })}\n`,
      )
      return
    }
    if (this.#options.quiet === true) return
    const rate = ms > 0 ? `, ${count((stored * 1000) / ms)}/s` : ''
    const parts = [
      `${counted(stored, 'record')} (${bytes(this.#takenBytes)}) to ${this.#topic} in ${span(ms)}${rate}`,
    ]
    if (this.#badLines > 0) parts.push(`${counted(this.#badLines, 'bad line')} left out`)
    if (this.#failedRecords > 0) parts.push(`${counted(this.#failedRecords, 'record')} not stored`)
    stderr.write(`${parts.join('; ')}\n`)
  }
}

/** Whether an error is about one line, so that the next one can succeed. */
function isAboutLine(error: unknown): error is Error {
  return (
    error instanceof BadLineError ||
    (error instanceof LogError && error.code === 'MESSAGE_TOO_LARGE')
  )
}

/** Creates the topic where it is missing, unless told not to. */
async function ensureTopic(
  context: LogContext,
  name: string,
  options: ProduceOptions,
): Promise<void> {
  const { log, stderr } = context
  const found = (await log.describeTopics([name])).some(topic => topic.name === name)
  if (found) return
  if (options.create === false) throw new LogError('UNKNOWN_TOPIC_OR_PARTITION', name)
  const partitions = options.createPartitions ?? -1
  const [outcome] = await log.createTopics([
    { name, partitions, replicationFactor: REPLICATION_DEFAULT },
  ])
  if (outcome?.error !== undefined && outcome.error.code !== 'TOPIC_ALREADY_EXISTS') {
    throw outcome.error
  }
  if (options.quiet !== true) stderr.write(`created the topic ${name}\n`)
}

/** NAME=VALUE as a header. Throws a usage error. */
function parseHeader(text: string): NewHeader {
  const at = text.indexOf('=')
  if (at < 1) throw new CommandError(`--header wants NAME=VALUE, not "${text}"`, EXIT.usage)
  return { key: text.slice(0, at), value: text.slice(at + 1) }
}
