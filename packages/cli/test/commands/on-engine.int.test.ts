import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openEmbedded } from 'millrace'
import { describe, expect, test } from 'vitest'
import { tempFolder } from '../../../millrace/test/support/temp-folder.ts'
import { consume } from '../../src/commands/consume.ts'
import { dump } from '../../src/commands/dump.ts'
import { describeGroup, resetGroup } from '../../src/commands/groups.ts'
import { produce } from '../../src/commands/produce.ts'
import { repair } from '../../src/commands/repair.ts'
import { verify } from '../../src/commands/verify.ts'
import { commandRun } from '../support/command-run.ts'

const LINES = Array.from({ length: 5_000 }, (_, n) => `{"id":"k${n % 97}","n":${n}}`)
const sorted = (lines: readonly string[]) => [...lines].sort()

/** A segment gets its file with its first record. */
const WITH_FILES = { 'segment.memory.max.bytes': 0 }

describe('commands on a real log', () => {
  test('give back what was given, in order per key', async () => {
    await using folder = await tempFolder()
    await using log = await openEmbedded({ data: folder.path })
    const writing = commandRun(log, { stdin: `${LINES.join('\n')}\n` })
    await produce(writing, 't', { key: 'id', createPartitions: 5, compression: 'lz4' })
    const reading = commandRun(log)
    await consume(reading, 't', { untilEnd: true, format: 'value' })
    expect(sorted(reading.stdout.lines)).toEqual(sorted(LINES))
    const last = new Map<string, number>()
    for (const line of reading.stdout.lines) {
      const { id, n } = JSON.parse(line) as { id: string; n: number }
      expect(n).toBeGreaterThan(last.get(id) ?? -1)
      last.set(id, n)
    }
  })

  test('let two members of a group share the work, each record once', async () => {
    await using folder = await tempFolder()
    await using log = await openEmbedded({ data: folder.path })
    const writing = commandRun(log, { stdin: `${LINES.join('\n')}\n` })
    await produce(writing, 't', { key: 'id', createPartitions: 4 })
    const runs = [commandRun(log), commandRun(log)]
    const options = { group: 'g', untilEnd: true, format: 'value' } as const
    await Promise.all(runs.map(run => consume(run, 't', options)))
    expect(sorted(runs.flatMap(run => run.stdout.lines))).toEqual(sorted(LINES))
    const described = commandRun(log, { json: true })
    await describeGroup(described, 'g')
    expect(described.stdout.json).toEqual([expect.objectContaining({ state: 'Empty', lag: 0 })])
  })

  test('let a group go on exactly where --limit has left it', async () => {
    await using folder = await tempFolder()
    await using log = await openEmbedded({ data: folder.path })
    await produce(commandRun(log, { stdin: '0\n1\n2\n3\n4\n' }), 't', { createPartitions: 1 })
    const read = async (limit: number) => {
      const run = commandRun(log)
      await consume(run, 't', { group: 'g', limit, format: 'value' })
      return run.stdout.lines.map(Number)
    }
    expect(await read(2)).toEqual([0, 1])
    expect(await read(1)).toEqual([2])
    await resetGroup(commandRun(log), 'g', { to: '1' })
    expect(await read(4)).toEqual([1, 2, 3, 4])
  })

  test('verify finds a stopped folder whole, and refuses one that is open', async () => {
    await using folder = await tempFolder()
    {
      await using log = await openEmbedded({ data: folder.path })
      await produce(commandRun(log, { stdin: 'a\nb\n' }), 't', {})
      await expect(verify(commandRun(log), folder.path)).rejects.toMatchObject({ exitCode: 5 })
    }
    const run = commandRun({} as never, { json: true })
    expect(await verify(run, folder.path)).toBe(0)
    expect(run.stdout.json).toEqual([
      expect.objectContaining({ cleanStop: true, batches: expect.any(Number) }),
    ])
  })

  test('verify and dump find a flipped byte, say where, and end with code 4', async () => {
    await using folder = await tempFolder()
    {
      await using log = await openEmbedded({ data: folder.path, ...WITH_FILES })
      await produce(commandRun(log, { stdin: 'a record\n' }), 't', { createPartitions: 1 })
    }
    const [segment] = globSync('partitions/**/*.log', { cwd: folder.path }).filter(path =>
      readFileSync(join(folder.path, path)).includes('a record'),
    )
    const path = join(folder.path, segment ?? '')
    const bytes = readFileSync(path)
    const at = bytes.indexOf('a record')
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(path, bytes)
    const verifying = commandRun({} as never)
    expect(await verify(verifying, folder.path)).toBe(4)
    expect(verifying.stdout.text).toContain(segment)
    expect(verifying.stdout.text).toContain('Acknowledged data is damaged.')
    const dumping = commandRun({} as never)
    expect(await dump(dumping, path, {})).toBe(4)
    expect(dumping.stdout.text).toContain('DAMAGED')
  })

  test('repair changes nothing without --accept-loss, and with it serves what is whole', async () => {
    await using folder = await tempFolder()
    {
      await using log = await openEmbedded({ data: folder.path, ...WITH_FILES })
      for (const line of ['first', 'second', 'third']) {
        await produce(commandRun(log, { stdin: `${line}\n` }), 't', { createPartitions: 1 })
      }
    }
    const [segment] = globSync('partitions/**/*.log', { cwd: folder.path }).filter(path =>
      readFileSync(join(folder.path, path)).includes('second'),
    )
    const path = join(folder.path, segment ?? '')
    const bytes = readFileSync(path)
    const at = bytes.indexOf('second')
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(path, bytes)
    await expect(repair(commandRun({} as never), folder.path, {})).rejects.toMatchObject({
      exitCode: 4,
    })
    expect(readFileSync(path).equals(bytes), 'nothing has been changed').toBe(true)
    const repairing = commandRun({} as never, { json: true })
    expect(await repair(repairing, folder.path, { acceptLoss: true })).toBe(0)
    const givenUp = [{ topic: 't', partition: 0, from: 1, to: 1 }]
    expect(repairing.stdout.lines).toContain(JSON.stringify({ givenUp }))
    for (const line of ['fourth', 'fifth']) {
      await using log = await openEmbedded({ data: folder.path, ...WITH_FILES })
      await produce(commandRun(log, { stdin: `${line}\n` }), 't', {})
    }
    expect(await verify(commandRun({} as never), folder.path)).toBe(0)
    await using log = await openEmbedded({ data: folder.path, ...WITH_FILES })
    const reading = commandRun(log, { json: true })
    await consume(reading, 't', { untilEnd: true, format: 'value' })
    expect(reading.stdout.lines).toEqual(['first', 'third', 'fourth', 'fifth'])
    const [end] = await log.listOffsets([{ topic: 't', partition: 0, place: 'latest' }])
    expect(end?.offset, 'offsets that are lost are not given out again').toBe(5)
  })

  test('dump shows the records of a segment', async () => {
    await using folder = await tempFolder()
    {
      await using log = await openEmbedded({ data: folder.path, ...WITH_FILES })
      await produce(commandRun(log, { stdin: 'dumped value\n' }), 't', { createPartitions: 1 })
    }
    let text = ''
    for (const segment of globSync('partitions/**/*.log', { cwd: folder.path })) {
      const run = commandRun({} as never)
      expect(await dump(run, `${folder.path}/${segment}`, { records: true })).toBe(0)
      text += run.stdout.text
    }
    expect(text).toContain('"dumped value"')
  })
})
