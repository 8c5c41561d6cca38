// Time to the first acknowledged record, seen from outside: connects as soon as the port opens and
// sends one record with acks=all until it is acknowledged. Raw bytes, so that no client's metadata
// or back-off is measured: Produce version 3 to partition 0 of a topic that exists.
import { Socket } from 'node:net'
import { oneRecordBatch } from './record-batch.ts'
import { sleep } from './stats.ts'

const retryMs = 1
const attemptTimeoutMs = 2_000

const string = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const int32 = (...values: number[]): Buffer => {
  const buffer = Buffer.alloc(values.length * 4)
  values.forEach((value, i) => {
    buffer.writeInt32BE(value, i * 4)
  })
  return buffer
}

function produceRequest(topic: string): Buffer {
  const batch = oneRecordBatch(100)
  const body = Buffer.concat([
    Buffer.from([0, 0, 0, 3]), // Produce, version 3
    int32(1), // correlation id
    string('probe'),
    Buffer.from([0xff, 0xff]), // no transactional id
    Buffer.from([0xff, 0xff]), // acks=all
    int32(1_000, 1), // timeout, one topic
    string(topic),
    int32(1, 0, batch.length), // one partition: 0
    batch,
  ])
  return Buffer.concat([int32(body.length), body])
}

/** The error code and base offset of partition 0 in a Produce response of version 3. */
function readResponse(frame: Buffer): { readonly code: number; readonly offset: number } {
  const topicBytes = frame.readInt16BE(12)
  const at = 14 + topicBytes + 4 + 4
  return { code: frame.readInt16BE(at), offset: Number(frame.readBigInt64BE(at + 2)) }
}

type Attempt = { readonly code: number; readonly offset: number } | undefined

function attempt(host: string, port: number, request: Buffer): Promise<Attempt> {
  return new Promise(resolve => {
    const socket = new Socket()
    let received = Buffer.alloc(0)
    const settle = (result: Attempt): void => {
      socket.destroy()
      resolve(result)
    }
    socket.setNoDelay(true)
    socket.setTimeout(attemptTimeoutMs, () => settle(undefined))
    socket.on('error', () => settle(undefined))
    socket.on('close', () => settle(undefined))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
      settle(readResponse(received))
    })
    socket.connect(port, host, () => socket.write(request))
  })
}

/**
 * Resolves when a record in partition 0 of `topic` has been acknowledged, with its offset.
 * Throws after `timeoutMs` with the last error code.
 */
export async function firstAcknowledged(
  bootstrap: string,
  topic: string,
  timeoutMs: number,
): Promise<number> {
  const [host = '127.0.0.1', port] = bootstrap.split(':')
  const request = produceRequest(topic)
  const deadline = performance.now() + timeoutMs
  let last: Attempt
  while (performance.now() < deadline) {
    last = await attempt(host, Number(port), request)
    if (last?.code === 0) return last.offset
    await sleep(retryMs)
  }
  throw new Error(`nothing acknowledged in ${timeoutMs} ms; last error code ${last?.code}`)
}
