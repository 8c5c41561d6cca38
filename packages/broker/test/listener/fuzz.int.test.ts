/**
 * The fuzzer's cases over real sockets: every connection ends with answers or a reason, no request
 * fails in an unexpected way, nothing is held when all is over.
 *
 * FUZZ_SEED and FUZZ_CASES choose the run; a failure names both and the case.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { env } from 'node:process'
import { apiVersions } from '@millrace/protocol'
import { expect, test } from 'vitest'
import { type FuzzCase, fuzzFrames } from '../../../protocol/test/support/fuzz/index.ts'
import { slices } from '../support/fake-engine.ts'
import { type Harness, startHarness } from '../support/harness.ts'

const SEED = Number(env['FUZZ_SEED'] ?? 20_261_121)
const CASES = Number(env['FUZZ_CASES'] ?? 10_000)
const CONNECTIONS = 16
const ENDS_WITHIN_MS = 10_000

const replay = (label: string): string =>
  `${label}; FUZZ_SEED=${SEED} FUZZ_CASES=${CASES} npx vitest run --project int packages/broker/test/listener/fuzz`

test('no frame, however spoiled, takes more with it than its own connection', async () => {
  const harness = await startHarness({ 'socket.request.max.bytes': 1_048_576 })
  for (const topic of ['fuzz-0', 'fuzz-1']) harness.fake.addTopic(topic, 4)
  const bystander = await harness.connect()
  // A connection that never asks for anything is closed after a while: this one has asked.
  await bystander.call(apiVersions, 0, {})
  const cases = fuzzFrames(SEED, CASES)
  const answered = { frames: 0 }
  const runner = async (): Promise<void> => {
    // The generator is shared: each runner takes the next case.
    for (;;) {
      const next = cases.next()
      if (next.done === true) return
      const frames = await run(harness, next.value)
      answered.frames += frames
      for (const { level, fields } of harness.lines.splice(0)) {
        assert.ok(level !== 'error', `${JSON.stringify(fields)}: ${replay(next.value.label)}`)
      }
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, runner))
  expect(answered.frames).toBeGreaterThan(CASES / 20)
  expect((await bystander.call(apiVersions, 0, {})).errorCode).toBe(0)
  expect(harness.listener.connections).toBe(1)
  await harness.stop()
  expect(slices.open).toBe(0)
  expect(harness.listener.metrics()).toMatchObject({ bytes_in_flight: 0, chunk_bytes_used: 0 })
}, 600_000)

/** Sends a case, ends its side, and waits for the end of the other; how many frames came back. */
function run(harness: Harness, { bytes, splits, label, valid }: FuzzCase): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: harness.listener.address.port, host: '127.0.0.1' })
    const received: Buffer[] = []
    const deadline = setTimeout(() => {
      reject(new Error(`the connection does not end: ${replay(label)}`))
      socket.destroy()
    }, ENDS_WITHIN_MS)
    socket.setNoDelay(true)
    socket.on('data', chunk => received.push(chunk))
    // A connection that was refused while more was on its way to it is reset.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(deadline)
      const frames = countFrames(Buffer.concat(received))
      if (valid && frames < 0) reject(new Error(`half an answer: ${replay(label)}`))
      else resolve(Math.max(frames, 0))
    })
    socket.on('connect', async () => {
      let from = 0
      for (const to of [...splits, bytes.length]) {
        if (!socket.destroyed) socket.write(bytes.subarray(from, to))
        from = to
        await new Promise(resolveTurn => setImmediate(resolveTurn))
      }
      socket.end()
    })
  })
}

/** How many whole frames; -1 where bytes are left over. */
function countFrames(bytes: Buffer): number {
  let at = 0
  let count = 0
  while (at + 4 <= bytes.length) {
    at += 4 + bytes.readInt32BE(at)
    count += 1
  }
  return at === bytes.length ? count : -1
}
