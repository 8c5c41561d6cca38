/**
 * Producers under random faults: requests lost, answers lost, answers that never come, batches
 * refused for a while, random delays. What was acknowledged is stored once, at its offset, in
 * order; nothing else is stored but what was given up with its outcome unknown.
 */

import type { LogErrorCode } from '@millrace/log'
import { expect, test } from 'vitest'
import { createProducer } from '../../src/producer/producer.ts'
import { type AppendFault, FakeLog } from '../support/fake-log.ts'
import { SimOutside } from '../support/sim-outside.ts'

const SEED_FIRST = Number(process.env['SEED'] ?? 1)
const SEEDS = Number(process.env['SEEDS'] ?? 150)
const RECORDS = 300
const PARTITIONS = 3

async function run(seed: number): Promise<void> {
  const outside = new SimOutside(seed)
  const log = new FakeLog(outside)
  await log.createTopics([{ name: 't', partitions: PARTITIONS }])
  const faultRate = outside.next() * 0.4
  const refusalRate = outside.next() * 0.2
  const latencyMax = 1 + outside.next() * 100
  log.latencyMs = () => outside.next() * latencyMax
  log.faultOf = (): AppendFault => {
    if (outside.next() > faultRate) return 'none'
    const draw = outside.next()
    if (draw < 0.45) return 'answerLost'
    if (draw < 0.9) return 'requestLost'
    return 'never'
  }
  const codes: LogErrorCode[] = ['NOT_LEADER_OR_FOLLOWER', 'KAFKA_STORAGE_ERROR', 'INVALID_RECORD']
  log.codeOf = () =>
    outside.next() > refusalRate ? null : (codes[Math.floor(outside.next() * 2.05)] ?? null)
  const producer = createProducer(log, {
    outside,
    batchBytesMax: 100 + Math.floor(outside.next() * 400),
    requestBytesMax: 200 + Math.floor(outside.next() * 2_000),
    bufferBytesMax: 1_024 + Math.floor(outside.next() * 20_000),
    requestTimeoutMs: 500,
    deliveryTimeoutMs: 300_000,
    blockMsMax: 3_000_000,
  })
  const sent: Promise<{ value: string; partition: number; offset: number } | string>[] = []
  for (let index = 0; index < RECORDS; index += 1) {
    const value = `v${index}`
    sent.push(
      producer.send('t', { value, partition: index % PARTITIONS }).then(
        ({ partition, offset }) => ({ value, partition, offset }),
        () => value,
      ),
    )
    if (outside.next() < 0.05) await outside.pass(outside.next() * 50)
  }
  const answers = await outside.until(Promise.all(sent))
  await outside.until(producer.close())
  const failed = new Set(answers.filter(answer => typeof answer === 'string'))
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const stored = log.records('t', partition).map(record => String(record.value))
    expect(new Set(stored).size, 'nothing is stored twice').toBe(stored.length)
    const order = stored.map(value => Number(value.slice(1)))
    expect(order, 'in the order of the calls').toEqual(order.toSorted((a, b) => a - b))
  }
  for (const answer of answers) {
    if (typeof answer === 'string') continue
    const stored = log.records('t', answer.partition)
    expect(String(stored[answer.offset]?.value), 'acknowledged at its offset').toBe(answer.value)
  }
  expect(failed.size).toBeLessThan(RECORDS)
}

test(`acknowledged records are stored once, in order, over ${SEEDS} seeds of faults`, async () => {
  for (let seed = SEED_FIRST; seed < SEED_FIRST + SEEDS; seed += 1)
    try {
      await run(seed)
    } catch (error) {
      const replay = `SEED=${seed} SEEDS=1 npx vitest run --project sim packages/clients/test/producer`
      throw new Error(`seed ${seed} failed; replay: ${replay}`, { cause: error })
    }
})
