import { LogError } from '@millrace/log'
import { describe, expect, test, vi } from 'vitest'
import { type ConsumeOptions, consume } from '../../src/commands/consume.ts'
import { produce } from '../../src/commands/produce.ts'
import { commandRun } from '../support/command-run.ts'
import { ScriptedLog } from '../support/scripted-log.ts'

/** Records 0 to 9 alternate between two partitions. */
async function filled(): Promise<ScriptedLog> {
  const log = new ScriptedLog()
  await log.createTopics([{ name: 't', partitions: 2 }])
  for (const partition of [0, 1]) {
    const lines = [0, 1, 2, 3, 4].map(n => String(2 * n + partition))
    const stdin = `${lines.join('\n')}\n`
    await produce(commandRun(log, { stdin }), 't', { partition, quiet: true })
  }
  return log
}

async function values(log: ScriptedLog, options: ConsumeOptions): Promise<number[]> {
  const run = commandRun(log)
  expect(await consume(run, 't', { format: 'value', ...options })).toBe(0)
  return run.stdout.lines.map(Number)
}

describe('consume', () => {
  test('ends at the high watermark, with everything, in order within a partition', async () => {
    const read = await values(await filled(), { untilEnd: true })
    expect(read.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(read.filter(n => n % 2 === 0)).toEqual([0, 2, 4, 6, 8])
  })

  test('begins in the middle of a batch, and only in the partitions asked for', async () => {
    const log = await filled()
    expect(await values(log, { untilEnd: true, partition: [1], from: '3' })).toEqual([7, 9])
    await expect(values(log, { untilEnd: true, partition: [7] })).rejects.toThrow(/partition 7/)
  })

  test('begins at a time', async () => {
    const log = await filled()
    expect(await values(log, { untilEnd: true, from: '2020-01-01' })).toHaveLength(10)
    expect(await values(log, { untilEnd: true, from: '2999-01-01' })).toEqual([])
  })

  test('ends after so many records', async () => {
    const log = await filled()
    expect(await values(log, { limit: 3 })).toHaveLength(3)
    expect(await values(log, { limit: 0 })).toEqual([])
  })

  test('begins at the first offset that is left when an older one is asked for', async () => {
    const log = await filled()
    log.trim('t', 0, 5)
    expect(await values(log, { untilEnd: true, from: '0' })).toEqual([1, 3, 5, 7, 9])
  })

  test('follows from the end until it is interrupted', async () => {
    const log = await filled()
    const run = commandRun(log)
    const done = consume(run, 't', { format: 'value' })
    await log.waiting() // it has begun to follow
    await produce(commandRun(log, { stdin: 'new\n' }), 't', { quiet: true })
    await vi.waitUntil(() => run.stdout.text !== '')
    run.interrupt()
    expect(await done).toBe(0)
    expect(run.stdout.text).toBe('new\n')
  })

  test('rides out what is worth another attempt, and fails with what is not', async () => {
    const log = await filled()
    log.fetchErrors.push(new LogError('NETWORK_EXCEPTION'))
    expect(await values(log, { untilEnd: true })).toHaveLength(10)
    log.fetchErrors.push(new LogError('LOG_CLOSED'))
    await expect(values(log, { untilEnd: true })).rejects.toMatchObject({ code: 'LOG_CLOSED' })
  })

  test('prints JSON to programs', async () => {
    const run = commandRun(await filled())
    await consume(run, 't', { limit: 1 })
    expect(run.stdout.json).toEqual([
      {
        topic: 't',
        partition: 0,
        offset: 0,
        timestamp: expect.any(Number),
        key: null,
        value: '0',
      },
    ])
  })
})
