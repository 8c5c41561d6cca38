// A judge needs its own eyes: a small Kafka client on bare sockets, with nothing of the code under
// test in it. It speaks the oldest fixed-layout versions that both Millrace and Apache Kafka serve:
// Produce 3, Fetch 4, OffsetCommit 2, OffsetFetch 1, FindCoordinator 0, InitProducerId 0.
// One connection; requests may be pipelined; a lost connection rejects all that are under way.
import { Socket } from 'node:net'
import { crc32c } from '@node-rs/crc32'

const maxFrameBytes = 64 * 1024 * 1024
const answerTimeoutMs = 10_000

const int16 = (value: number): Buffer => {
  const buffer = Buffer.alloc(2)
  buffer.writeInt16BE(value)
  return buffer
}
const int32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}
const int64 = (value: number): Buffer => {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64BE(BigInt(value))
  return buffer
}
const string = (text: string): Buffer =>
  Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)])
const nothing = int16(-1)

/** Reads the fixed-layout fields of a response, in order. */
class Fields {
  readonly #buffer: Buffer
  #at = 0
  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }
  int16(): number {
    this.#at += 2
    return this.#buffer.readInt16BE(this.#at - 2)
  }
  int32(): number {
    this.#at += 4
    return this.#buffer.readInt32BE(this.#at - 4)
  }
  int64(): number {
    this.#at += 8
    return Number(this.#buffer.readBigInt64BE(this.#at - 8))
  }
  string(): string {
    return this.bytes(this.int16()).toString()
  }
  bytes(length: number): Buffer {
    if (length <= 0) return Buffer.alloc(0)
    this.#at += length
    return this.#buffer.subarray(this.#at - length, this.#at)
  }
}

type Waiting = {
  readonly resolve: (fields: Fields) => void
  readonly reject: (error: Error) => void
}

/** A producer's identity and the sequence of a batch's first record. */
export interface Sequence {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
}

const varint = (value: number): Buffer => {
  const bytes: number[] = []
  let rest = value >= 0 ? value * 2 : -value * 2 - 1
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** A record batch of version 2 with these values, without keys or compression. */
export function recordBatch(values: readonly string[], sequence: Sequence): Buffer {
  const records = values.map((value, i) => {
    const body = Buffer.concat([
      Buffer.from([0]),
      varint(0),
      varint(i),
      varint(-1),
      varint(Buffer.byteLength(value)),
      Buffer.from(value),
      varint(0),
    ])
    return Buffer.concat([varint(body.length), body])
  })
  const now = int64(Date.now())
  const checked = Buffer.concat([
    int16(0),
    int32(values.length - 1),
    ...[now, now],
    int64(sequence.producerId),
    int16(sequence.producerEpoch),
    int32(sequence.baseSequence),
    int32(values.length),
    ...records,
  ])
  const crc = Buffer.alloc(4)
  crc.writeUInt32BE(crc32c(checked))
  const rest = Buffer.concat([int32(-1), Buffer.from([2]), crc, checked])
  return Buffer.concat([int64(0), int32(rest.length), rest])
}

const readVarint = (buffer: Buffer, at: number): readonly [number, number] => {
  let value = 0
  let scale = 1
  let i = at
  for (;;) {
    const byte = buffer.readUInt8(i++)
    value += (byte & 0x7f) * scale
    if (byte < 0x80) break
    scale *= 128
  }
  return [value % 2 === 0 ? value / 2 : -(value + 1) / 2, i]
}

/** One stored record. */
export interface Stored {
  readonly offset: number
  readonly value: string
}

/** The records of the whole batches in a fetch answer. Throws on a wrong checksum or on compression. */
export function readBatches(buffer: Buffer): Stored[] {
  const records: Stored[] = []
  let at = 0
  while (at + 61 <= buffer.length) {
    const base = Number(buffer.readBigInt64BE(at))
    const end = at + 12 + buffer.readInt32BE(at + 8)
    if (end > buffer.length) break
    if (buffer.readUInt32BE(at + 17) !== crc32c(buffer.subarray(at + 21, end))) {
      throw new Error(`the batch at offset ${base} has a wrong checksum`)
    }
    const attributes = buffer.readInt16BE(at + 21)
    if ((attributes & 7) !== 0) throw new Error(`the batch at offset ${base} is compressed`)
    const isControl = (attributes & 0x20) !== 0
    const count = isControl ? 0 : buffer.readInt32BE(at + 57)
    let place = at + 61
    for (let i = 0; i < count; i++) {
      const [length, body] = readVarint(buffer, place)
      const [, afterTime] = readVarint(buffer, body + 1)
      const [delta, afterDelta] = readVarint(buffer, afterTime)
      const [keyBytes, afterKey] = readVarint(buffer, afterDelta)
      const [valueBytes, value] = readVarint(buffer, afterKey + Math.max(0, keyBytes))
      const text = buffer.toString('utf8', value, value + valueBytes)
      records.push({ offset: base + delta, value: text })
      place = body + length
    }
    at = end
  }
  return records
}

/** One connection to a broker. */
export class RawClient {
  readonly #socket = new Socket()
  readonly #waiting = new Map<number, Waiting>()
  #correlation = 0
  #received: Buffer[] = []
  #receivedBytes = 0

  private constructor() {
    this.#socket.setNoDelay(true)
    this.#socket.on('data', chunk => this.#take(chunk))
    this.#socket.on('error', error => this.#fail(error))
    this.#socket.on('close', () => this.#fail(new Error('the connection was closed')))
    this.#socket.setTimeout(answerTimeoutMs, () => {
      if (this.#waiting.size > 0) this.#socket.destroy(new Error('no answer in time'))
    })
  }

  /** Connects, or rejects. */
  static connect(bootstrap: string): Promise<RawClient> {
    const [host = '127.0.0.1', port] = bootstrap.split(':')
    const client = new RawClient()
    return new Promise((resolve, reject) => {
      client.#socket.once('error', reject)
      client.#socket.connect(Number(port), host, () => resolve(client))
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #fail(error: Error): void {
    for (const each of this.#waiting.values()) each.reject(error)
    this.#waiting.clear()
  }

  #take(chunk: Buffer): void {
    this.#received.push(chunk)
    this.#receivedBytes += chunk.length
    while (this.#receivedBytes >= 4) {
      const first = this.#received[0] ?? Buffer.alloc(0)
      const head = first.length >= 4 ? first : Buffer.concat(this.#received)
      const size = head.readInt32BE(0)
      if (size > maxFrameBytes)
        return void this.#socket.destroy(new Error(`frame of ${size} bytes`))
      if (this.#receivedBytes < 4 + size) return
      const all = Buffer.concat(this.#received)
      const rest = all.subarray(4 + size)
      this.#received = rest.length > 0 ? [rest] : []
      this.#receivedBytes = rest.length
      const fields = new Fields(all.subarray(4, 4 + size))
      const correlation = fields.int32()
      const waiting = this.#waiting.get(correlation)
      this.#waiting.delete(correlation)
      waiting?.resolve(fields)
    }
  }

  #send(apiKey: number, version: number, body: readonly Buffer[]): Promise<Fields> {
    const correlation = ++this.#correlation
    const frame = Buffer.concat([
      ...[int16(apiKey), int16(version), int32(correlation), string('judge')],
      ...body,
    ])
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('the connection is closed'))
      this.#waiting.set(correlation, { resolve, reject })
      this.#socket.write(Buffer.concat([int32(frame.length), frame]))
    })
  }

  /** A new producer id for an idempotent producer; throws an error code's number. */
  async initProducer(): Promise<{ readonly producerId: number; readonly producerEpoch: number }> {
    const fields = await this.#send(22, 0, [nothing, int32(60_000)])
    fields.int32()
    const code = fields.int16()
    if (code !== 0) throw new Error(`InitProducerId answered ${code}`)
    return { producerId: fields.int64(), producerEpoch: fields.int16() }
  }

  /** Appends one batch with acks=all; the error code and the offset of its first record. */
  async produce(
    topic: string,
    partition: number,
    batch: Buffer,
  ): Promise<{ readonly code: number; readonly offset: number }> {
    const fields = await this.#send(0, 3, [
      ...[nothing, int16(-1), int32(5_000), int32(1), string(topic)],
      ...[int32(1), int32(partition), int32(batch.length), batch],
    ])
    fields.int32()
    fields.string()
    fields.int32()
    fields.int32()
    return { code: fields.int16(), offset: fields.int64() }
  }

  /** Reads a partition from an offset: what one fetch gives, and the high watermark. */
  async fetch(
    topic: string,
    partition: number,
    offset: number,
  ): Promise<{
    readonly code: number
    readonly highWatermark: number
    readonly records: readonly Stored[]
  }> {
    const bytes = 8 * 1024 * 1024
    const fields = await this.#send(1, 4, [
      ...[int32(-1), int32(100), int32(0), int32(bytes), Buffer.from([0])],
      ...[int32(1), string(topic), int32(1), int32(partition), int64(offset), int32(bytes)],
    ])
    fields.int32()
    fields.int32()
    fields.string()
    fields.int32()
    fields.int32()
    const code = fields.int16()
    const highWatermark = fields.int64()
    fields.int64()
    const aborted = fields.int32()
    for (let i = 0; i < aborted; i++) fields.bytes(16)
    return { code, highWatermark, records: readBatches(fields.bytes(fields.int32())) }
  }

  /** The error code of asking for a group's coordinator, which creates it on some brokers. */
  async findCoordinator(group: string): Promise<number> {
    return (await this.#send(10, 0, [string(group)])).int16()
  }

  /** Commits an offset without membership; the error code. */
  async commit(group: string, topic: string, partition: number, offset: number): Promise<number> {
    const fields = await this.#send(8, 2, [
      ...[string(group), int32(-1), string(''), int64(-1), int32(1), string(topic)],
      ...[int32(1), int32(partition), int64(offset), nothing],
    ])
    fields.int32()
    fields.string()
    fields.int32()
    fields.int32()
    return fields.int16()
  }

  /** The committed offset of a group in a partition, -1 without one; and the error code. */
  async committed(
    group: string,
    topic: string,
    partition: number,
  ): Promise<{ readonly code: number; readonly offset: number }> {
    const fields = await this.#send(9, 1, [
      ...[string(group), int32(1), string(topic), int32(1), int32(partition)],
    ])
    fields.int32()
    fields.string()
    fields.int32()
    fields.int32()
    const offset = fields.int64()
    fields.string()
    return { offset, code: fields.int16() }
  }
}
