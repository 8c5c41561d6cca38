import { CommandError } from 'millrace/errors'
import { describe, expect, test } from 'vitest'
import { showOffsets } from '../../src/commands/offsets.ts'
import { produce } from '../../src/commands/produce.ts'
import {
  alterTopic,
  createTopics,
  deleteTopics,
  describeTopic,
  listTopics,
} from '../../src/commands/topics.ts'
import { commandRun } from '../support/command-run.ts'
import { ScriptedLog } from '../support/scripted-log.ts'

async function filled(): Promise<ScriptedLog> {
  const log = new ScriptedLog()
  await log.createTopics([{ name: 'loans', partitions: 2 }, { name: '__internal' }])
  await produce(commandRun(log, { stdin: 'a\nb\nc\n' }), 'loans', { partition: 1, quiet: true })
  return log
}

describe('topics', () => {
  test('are listed without those of the log itself, unless asked for', async () => {
    const log = await filled()
    const run = commandRun(log, { json: true })
    expect(await listTopics(run, {})).toBe(0)
    expect(run.stdout.json).toEqual([
      { topic: 'loans', topicId: 'id-loans', internal: false, partitions: 2 },
    ])
    const all = commandRun(log, { json: true })
    await listTopics(all, { internal: true })
    expect(all.stdout.lines).toHaveLength(2)
  })

  test('are listed with records and bytes', async () => {
    const run = commandRun(await filled(), { json: true })
    await listTopics(run, { long: true })
    expect(run.stdout.json).toEqual([
      expect.objectContaining({ topic: 'loans', records: 3, bytes: expect.any(Number) }),
    ])
    const table = commandRun(run.log)
    await listTopics(table, { long: true })
    expect(table.stdout.lines[0]).toMatch(/^TOPIC +PARTITIONS +RECORDS +SIZE$/)
  })

  test('are created, each failure told apart', async () => {
    const log = await filled()
    const run = commandRun(log)
    const options = { partitions: 3, config: ['retention.ms=5'] }
    expect(await createTopics(run, ['new', 'loans'], options)).toBe(1)
    expect(run.stdout.text).toBe('new: created\n')
    expect(run.stderr.text).toMatch(/^loans: a topic of this name exists/)
    expect(log.topics.get('new')?.partitions).toHaveLength(3)
    expect(log.topics.get('new')?.configs).toEqual({ 'retention.ms': '5' })
    expect(await createTopics(commandRun(log), ['loans'], { ifNotExists: true })).toBe(0)
  })

  test('are described with offsets and what is configured', async () => {
    const log = await filled()
    const run = commandRun(log, { json: true })
    await describeTopic(run, 'loans', {})
    expect(run.stdout.json).toEqual([
      {
        topic: 'loans',
        topicId: 'id-loans',
        internal: false,
        partitions: [
          { partition: 0, leader: 1, earliest: 0, latest: 0 },
          { partition: 1, leader: 1, earliest: 0, latest: 3 },
        ],
        configs: [],
      },
    ])
    await expect(describeTopic(commandRun(log), 'absent', {})).rejects.toMatchObject({
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
  })

  test('are altered: partitions, values set and unset', async () => {
    const log = await filled()
    const options = { partitions: 4, config: ['a=b=c'] }
    expect(await alterTopic(commandRun(log), 'loans', options)).toBe(0)
    expect(log.topics.get('loans')).toMatchObject({ configs: { a: 'b=c' } })
    expect(log.topics.get('loans')?.partitions).toHaveLength(4)
    await alterTopic(commandRun(log), 'loans', { unset: ['a'] })
    expect(log.topics.get('loans')?.configs).toEqual({})
    await expect(alterTopic(commandRun(log), 'loans', {})).rejects.toThrow(CommandError)
    await expect(alterTopic(commandRun(log), 'loans', { config: ['a'] })).rejects.toThrow(
      '"a" is not NAME=VALUE',
    )
  })

  test('are deleted', async () => {
    const log = await filled()
    expect(await deleteTopics(commandRun(log), ['loans'], {})).toBe(0)
    expect(await deleteTopics(commandRun(log), ['loans'], {})).toBe(1)
    expect(await deleteTopics(commandRun(log), ['loans'], { ifExists: true })).toBe(0)
  })
})

describe('offsets', () => {
  test('show where each partition begins and ends', async () => {
    const log = await filled()
    log.trim('loans', 1, 2)
    const run = commandRun(log, { json: true })
    await showOffsets(run, 'loans', {})
    expect(run.stdout.json).toEqual([
      { topic: 'loans', partition: 0, earliest: 0, latest: 0 },
      { topic: 'loans', partition: 1, earliest: 2, latest: 3 },
    ])
  })

  test('show the offset of a time, and the end where nothing is that new', async () => {
    const log = await filled()
    const at = async (place: string) => {
      const run = commandRun(log, { json: true })
      await showOffsets(run, 'loans', { at: place })
      return run.stdout.json.map(row => (row as { at: number }).at)
    }
    expect(await at('2020-01-01')).toEqual([0, 0])
    expect(await at('2999-01-01')).toEqual([0, 3])
    expect(await at('earliest')).toEqual([0, 0])
    await expect(at('never')).rejects.toThrow(/is not a place/)
  })
})
