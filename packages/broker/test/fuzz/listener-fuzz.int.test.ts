// Bytes that are nearly right, by the ten thousand: no crash, no growth, and every connection
// ends with its answers or a logged reason.

import { connectKafka } from '@millrace/kafka'
import { encodeBatch } from '@millrace/log'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FuzzRun } from './fuzz-run.ts'

const MIB = 1024 * 1024
/** `npm run test:fuzz` sends more. */
const CASES = 60_000
const TIME_MS_MAX = 30 * 60_000
/** Far below what a leak of one answer per case would come to. */
const HEAP_GROWTH_MAX = 24 * MIB
const RSS_GROWTH_MAX = 160 * MIB

const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_121)
const cases = Number(process.env['FUZZ_CASES'] ?? CASES)
const from = Number(process.env['FUZZ_FROM'] ?? 0)

describe('the listener under fuzzed frames', () => {
  const run = new FuzzRun({ seed, cases, from })
  const rejections: unknown[] = []
  const note = (reason: unknown): void => {
    rejections.push(reason)
  }

  beforeAll(async () => {
    process.on('unhandledRejection', note)
    await run.start()
  })

  afterAll(async () => {
    process.off('unhandledRejection', note)
    await run.stop()
  })

  it(
    `answers, or ends with a reason, each of ${cases} cases of seed ${seed}, and does not grow`,
    async () => {
      const report = await run.run()
      console.log(`fuzz: seed ${seed}, ${JSON.stringify(report)}`)
      expect(rejections, `seed ${seed}: unhandled rejections`).toEqual([])
      expect(run.causes.counted).toBeGreaterThanOrEqual(run.causes.due)
      expect(run.connectionsOpen).toBe(0)
      expect(run.bytesInFlight).toBe(0)
      expect(run.node.engine.health().state).toBe('ready')
      expect(report.heapGrowthBytes).toBeLessThan(HEAP_GROWTH_MAX)
      expect(report.rssGrowthBytes).toBeLessThan(RSS_GROWTH_MAX)
    },
    TIME_MS_MAX,
  )

  it('still serves a client that keeps to the protocol', async () => {
    await using log = await connectKafka({ bootstrap: run.node.bootstrap })
    const topic = 'after-the-storm'
    await log.createTopics([{ name: topic, partitions: 1 }])
    const batch = encodeBatch({ timestamp: Date.now(), records: [{ value: 'calm' }] })
    const [appended] = await log.append([{ topic, partition: 0, batch }])
    expect(appended).toMatchObject({ baseOffset: 0 })
    const [fetched] = await log.fetch({
      positions: [{ topic, partition: 0, offset: 0, maxBytes: MIB }],
      minBytes: 1,
      maxBytes: MIB,
      maxWaitMs: 1_000,
      isolation: 'read_uncommitted',
    })
    expect(fetched?.records.length).toBe(batch.length)
  })
})
