import { LogError } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { produce } from '../../src/commands/produce.ts'
import { progressText } from '../../src/commands/produce-progress.ts'
import { commandRun } from '../support/command-run.ts'
import { ScriptedLog } from '../support/scripted-log.ts'

async function logWith(partitions: number): Promise<ScriptedLog> {
  const log = new ScriptedLog()
  await log.createTopics([{ name: 't', partitions }])
  return log
}

describe('produce', () => {
  test('writes every line in order, the last one without an end too', async () => {
    const log = await logWith(1)
    const lines = Array.from({ length: 5_000 }, (_, index) => `line ${index}`)
    const run = commandRun(log, { stdin: lines.join('\n') })
    expect(await produce(run, 't', {})).toBe(0)
    expect(log.values('t', 0)).toEqual(lines)
    expect(run.stderr.text).toMatch(/^5,000 records \(.* KiB\) to t in /)
    expect(run.stdout.text).toBe('')
  })

  test('puts lines of one key into one partition, in order, bytes unchanged', async () => {
    const log = await logWith(4)
    const lines = Array.from({ length: 400 }, (_, n) => `{ "id": "k${n % 7}",  "n": ${n} }`)
    await produce(commandRun(log, { stdin: `${lines.join('\n')}\n` }), 't', { key: 'id' })
    const partitionOf = new Map<string, number>()
    const seen: string[] = []
    for (let partition = 0; partition < 4; partition += 1) {
      const last = new Map<string, number>()
      for (const value of log.values('t', partition)) {
        const { id, n } = JSON.parse(value ?? '') as { id: string; n: number }
        expect(partitionOf.get(id) ?? partition).toBe(partition)
        expect(n).toBeGreaterThan(last.get(id) ?? -1)
        partitionOf.set(id, partition)
        last.set(id, n)
        seen.push(value ?? '')
      }
    }
    expect(seen.sort()).toEqual(lines.sort())
  })

  test('names a bad line by its number, leaves it out, and ends with a failure', async () => {
    const log = await logWith(1)
    const stdin = '{"id":1}\n\nnot json\n{"other":2}\n{"id":3}\n'
    const run = commandRun(log, { stdin })
    expect(await produce(run, 't', { key: 'id' })).toBe(1)
    expect(run.stderr.lines[0]).toBe('line 3: not JSON: not json')
    expect(run.stderr.lines[1]).toBe('line 4: no field id in {"other":2}')
    expect(run.stderr.lines[2]).toMatch(/^2 records .*; 2 bad lines left out$/)
    expect(log.values('t', 0)).toEqual(['{"id":1}', '{"id":3}'])
  })

  test('names ten bad lines and counts the others', async () => {
    const run = commandRun(await logWith(1), { stdin: 'bad\n'.repeat(50) })
    await produce(run, 't', { input: 'ndjson' })
    expect(run.stderr.lines).toHaveLength(12)
    expect(run.stderr.lines[10]).toBe('further ones are only counted')
    expect(run.stderr.lines[11]).toContain('50 bad lines left out')
  })

  test('stops at the first bad line with --strict, keeping what came before', async () => {
    const log = await logWith(1)
    const run = commandRun(log, { stdin: '{"id":1}\nbad\n{"id":2}\n' })
    await expect(produce(run, 't', { key: 'id', strict: true })).rejects.toThrow(
      'line 2: not JSON: bad',
    )
    expect(log.values('t', 0)).toEqual(['{"id":1}'])
  })

  test('refuses a line beyond its limit by its number', async () => {
    const run = commandRun(await logWith(1), { stdin: `ok\n${'x'.repeat(200)}\n` })
    await expect(produce(run, 't', { lineBytesMax: 100 })).rejects.toThrow(
      'line 2 is longer than 100 bytes',
    )
  })

  test('fails with the reason when the log refuses records, and counts them', async () => {
    const log = await logWith(1)
    log.appendErrors.push(new LogError('POLICY_VIOLATION', 'no'))
    const run = commandRun(log, { stdin: 'a\nb\n', json: true })
    await expect(produce(run, 't', {})).rejects.toMatchObject({ code: 'POLICY_VIOLATION' })
    expect(run.stdout.json).toEqual([
      expect.objectContaining({ topic: 't', records: 0, failedRecords: 2 }),
    ])
  })

  test('creates a missing topic unless told not to', async () => {
    const log = new ScriptedLog()
    const run = commandRun(log, { stdin: 'a\n' })
    await produce(run, 'new', { createPartitions: 3 })
    expect(log.topics.get('new')?.partitions).toHaveLength(3)
    expect(run.stderr.lines[0]).toBe('created the topic new')
    const refused = produce(commandRun(log, { stdin: 'a\n' }), 'other', { create: false })
    await expect(refused).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
  })

  test('says nothing with --quiet, and one object with --json', async () => {
    const log = await logWith(1)
    const quiet = commandRun(log, { stdin: 'a\n' })
    await produce(quiet, 't', { quiet: true })
    expect(quiet.stderr.text + quiet.stdout.text).toBe('')
    const json = commandRun(log, { stdin: 'a\nb\n', json: true })
    await produce(json, 't', {})
    expect(json.stdout.json).toEqual([
      { topic: 't', records: 2, bytes: 2, badLines: 0, failedRecords: 0, ms: expect.any(Number) },
    ])
  })

  test('stores what it has read when interrupted while its input is silent', async () => {
    const log = await logWith(1)
    async function* stdin(): AsyncGenerator<Buffer> {
      yield Buffer.from('a\nb\n')
      run.interrupt()
      await new Promise(() => {})
    }
    const run = commandRun(log, { stdin: stdin() })
    expect(await produce(run, 't', {})).toBe(130)
    expect(log.values('t', 0)).toEqual(['a', 'b'])
  })
})

describe('progress', () => {
  test('shows the time left where the size is known', () => {
    const from = { records: 0, bytes: 0, at: 0 }
    const to = { records: 1_000, bytes: 1024 * 1024, at: 1_000 }
    expect(progressText(from, to, 4 * 1024 * 1024)).toBe(
      '1,000 records  1,000/s  1.0 MiB/s  25%  3.0 s left',
    )
    expect(progressText(from, to, null)).toBe('1,000 records  1,000/s  1.0 MiB/s')
  })
})
