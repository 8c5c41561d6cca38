// A journal that has lost something: whatever is gone, the engine says so, and verification agrees.
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { dumpJournal, nodeDisk, verifyFolder } from '../../src/index.ts'
import {
  batchWith,
  createTopic,
  killed,
  numbered,
  open,
  store,
  temporaryFolder,
  until,
  valuesOf,
} from './support.ts'

/** A killed folder: ten acknowledged records, and no checkpoint since the engine was opened. */
async function killedFolder(): Promise<string> {
  const folder = temporaryFolder()
  const engine = await open({ folder })
  await createTopic(engine, 't')
  for (const value of numbered(10)) await store(engine, 't', [value])
  return killed(folder)
}

/** A killed folder whose last acknowledged records lie in files that no checkpoint has named. */
async function grownFolder(): Promise<string> {
  const folder = temporaryFolder()
  const engine = await open({ folder, settings: { 'checkpoint.interval.ms': 3_600_000 } })
  await createTopic(engine, 't')
  const value = 'x'.repeat(300_000)
  for (let i = 0; i < 5; i += 1) {
    await until(() => journalFiles(folder).length > i / 3)
    const [result] = await engine.append([{ topic: 't', partition: 0, batch: batchWith([value]) }])
    expect(result?.error).toBeUndefined()
  }
  expect(journalFiles(folder).length).toBeGreaterThan(1)
  return killed(folder)
}

const journalFiles = (folder: string): string[] =>
  (existsSync(join(folder, 'journal')) ? readdirSync(join(folder, 'journal')) : [])
    .filter(name => name.endsWith('.journal'))
    .map(name => join(folder, 'journal', name))

const damaged = (folder: string): string[] =>
  verifyFolder(nodeDisk(folder))
    .findings.filter(({ severity }) => severity === 'damage')
    .map(({ path }) => path)

/** Both say that the journal is damaged, and opening changes nothing. */
async function expectTold(folder: string): Promise<void> {
  expect(damaged(folder)).not.toEqual([])
  const before = journalFiles(folder).map(path => readFileSync(path))
  const said: string[] = []
  const engine = await open({ folder, onEvent: ({ message }) => said.push(message) })
  expect(engine.health()).toMatchObject({ state: 'fenced', journalDamaged: true })
  expect(said.filter(line => line.includes('READ-ONLY'))).toHaveLength(1)
  expect(said.join(), 'a restart does not help').not.toContain('until a restart')
  expect(engine.health().reason).toContain('damaged')
  await engine.close()
  expect(journalFiles(folder).map(path => readFileSync(path))).toEqual(before)
  expect(existsSync(join(folder, 'fenced')), 'the mark of a failed journal').toBe(false)
  expect(damaged(folder)).not.toEqual([])
}

/** Segments that have grown, rolled, or got their first file since the checkpoint; a hole in the journal. */
async function holedFolder(): Promise<string> {
  const folder = temporaryFolder()
  const settings = { 'segment.memory.max.bytes': 16_384, 'checkpoint.interval.ms': 3_600_000 }
  const topics = [
    ['small', {}],
    ['rolls', { 'segment.bytes': '4096' }],
  ] as const
  const first = await open({ folder, settings })
  for (const [topic, configs] of topics) {
    await createTopic(first, topic, configs)
    await store(first, topic, ['kept '.padEnd(1000, 'x')])
  }
  await first.close()
  const second = await open({ folder, settings })
  for (const value of numbered(40)) {
    for (const [topic] of topics) await store(second, topic, [value.padEnd(1000, 'x')])
  }
  const whole = killed(folder)
  const groups = [...dumpJournal(nodeDisk(whole))]
  const { path, position } = groups[groups.length >> 1] ?? { path: '', position: 0 }
  const bytes = readFileSync(join(whole, path))
  bytes.fill(0, position, position + 64)
  writeFileSync(join(whole, path), bytes)
  return whole
}

/** The bytes of every file, but for the lock's own. */
const bytesOf = (folder: string): Map<string, string> =>
  new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && !entry.name.startsWith('lock.'))
      .map(({ parentPath, name }) => join(parentPath, name))
      .map(path => [path.slice(folder.length), readFileSync(path, 'latin1')]),
  )

async function repairedValues(folder: string): Promise<string[]> {
  const engine = await open({ folder, acceptLoss: true })
  const values = [...(await valuesOf(engine, 'small')), '', ...(await valuesOf(engine, 'rolls'))]
  await engine.close()
  return values.map(value => value.trimEnd())
}

const zero = (path: string): void => writeFileSync(path, Buffer.alloc(statSync(path).size))

function cutAndGrown(path: string): void {
  truncateSync(path, 0)
  truncateSync(path, 1 << 20)
}

describe('a journal file that no checkpoint names', () => {
  test.each([
    ['removed', (path: string) => rmSync(path)],
    ['cut to nothing', (path: string) => truncateSync(path, 0)],
    ['full of zeros', zero],
    ['cut, and as long again', cutAndGrown],
  ])('%s, is missed', async (_, harm) => {
    const folder = await killedFolder()
    for (const path of journalFiles(folder)) harm(path)
    await expectTold(folder)
  })

  test('is missed whichever of them it is', async () => {
    const whole = await grownFolder()
    const used = new Set([...dumpJournal(nodeDisk(whole))].map(({ path }) => path))
    expect(used.size).toBeGreaterThan(1)
    for (const path of used) {
      for (const harm of [rmSync, zero]) {
        const folder = killed(whole)
        harm(join(folder, path))
        await expectTold(folder)
      }
    }
  })

  test('is missed with the whole folder of the journal', async () => {
    const folder = await killedFolder()
    rmSync(join(folder, 'journal'), { recursive: true })
    await expectTold(folder)
  })

  test('is missed though one copy of the list of files is damaged; without both, that is told', async () => {
    const whole = await grownFolder()
    const list = (folder: string, name: string): string => join(folder, 'journal', name)
    for (const name of ['ring-a', 'ring-b']) {
      const folder = killed(whole)
      zero(list(folder, name))
      expect(damaged(folder)).toEqual([])
      rmSync(join(folder, [...dumpJournal(nodeDisk(folder))].at(-1)?.path ?? ''))
      await expectTold(folder)
    }
    const folder = killed(whole)
    rmSync(list(folder, 'ring-a'))
    rmSync(list(folder, 'ring-b'))
    await expectTold(folder)
  })

  test('repaired, costs what it held and nothing else; the next open is clean', async () => {
    const folder = await killedFolder()
    for (const path of journalFiles(folder)) zero(path)
    const repaired = await open({ folder, acceptLoss: true })
    expect(repaired.health().state).toBe('ready')
    await repaired.close()
    expect(damaged(folder)).toEqual([])
    const engine = await open({ folder })
    await createTopic(engine, 'u')
    await store(engine, 'u', ['goes on'])
  })
})

describe('an engine that reads only, because its journal is damaged', () => {
  test.each([
    ['as the process left them', 1],
    ['shorter than the journal, as a power cut may leave them', 0.5],
  ])('leaves every file as it was, and nothing is lost by it: segments %s', async (_, part) => {
    const folder = await holedFolder()
    for (const name of readdirSync(join(folder, 'partitions'), { recursive: true })) {
      const path = join(folder, 'partitions', String(name))
      if (path.endsWith('.log') && part < 1) truncateSync(path, statSync(path).size * part)
    }
    const settings = { 'segment.memory.max.bytes': 16_384 }
    const before = bytesOf(folder)
    const events: string[] = []
    const onEvent = ({ message }: { message: string }): number => events.push(message)
    const engine = await open({ folder, settings, onEvent })
    expect(engine.health().reason).toContain('damaged')
    expect((await valuesOf(engine, 'small')).length).toBeGreaterThan(10)
    expect((await valuesOf(engine, 'rolls')).length).toBeGreaterThan(10)
    expect(bytesOf(folder)).toEqual(before)
    await engine.close()
    expect(bytesOf(folder)).toEqual(before)
    expect(events.join()).not.toContain('until a restart')
  })

  test('takes nothing from a repair', async () => {
    const folder = await holedFolder()
    const other = killed(folder)
    await (await open({ folder })).close()
    expect(await repairedValues(folder)).toEqual(await repairedValues(other))
    expect(await repairedValues(folder)).toHaveLength(2 * 41 + 1)
  })
})

describe('a journal', () => {
  test('whose files have been swapped is read as their stamps say', async () => {
    const folder = await grownFolder()
    const [a, b] = journalFiles(folder)
    renameSync(a ?? '', `${a}.tmp`)
    renameSync(b ?? '', a ?? '')
    renameSync(`${a}.tmp`, b ?? '')
    expect(damaged(folder)).toEqual([])
    const engine = await open({ folder })
    expect(engine.health().state).toBe('ready')
    expect(await valuesOf(engine, 't')).toHaveLength(5)
    await engine.close()
    expect(await valuesOf(await open({ folder }), 't')).toHaveLength(5)
  })

  test('of another time than the checkpoint is told: an old checkpoint over a newer folder', async () => {
    for (const stopped of [true, false]) {
      const folder = temporaryFolder()
      const first = await open({ folder })
      await createTopic(first, 't')
      await store(first, 't', ['early'])
      if (stopped) await first.close()
      const old = killed(folder)
      if (!stopped) await first.close()
      const second = await open({ folder })
      for (const value of numbered(5)) await store(second, 't', [value])
      await second.close()
      const third = await open({ folder })
      await store(third, 't', ['late'])
      const mixed = killed(folder)
      for (const name of ['checkpoint-a', 'checkpoint-b'])
        cpSync(join(old, name), join(mixed, name))
      await expectTold(mixed)
    }
  })

  test('of another log is told: a checkpoint from another folder', async () => {
    const folder = await killedFolder()
    const other = await killedFolder()
    for (const name of ['checkpoint-a', 'checkpoint-b'])
      cpSync(join(other, name), join(folder, name))
    await expectTold(folder)
  })

  test('of a clean stop may be missing: nothing is in it', async () => {
    const folder = temporaryFolder()
    const engine = await open({ folder })
    await createTopic(engine, 't')
    await store(engine, 't', ['kept'])
    await engine.close()
    rmSync(join(folder, 'journal'), { recursive: true })
    expect(damaged(folder)).toEqual([])
    expect(await valuesOf(await open({ folder }), 't')).toEqual(['kept'])
    expect(existsSync(join(folder, 'journal', 'ring-a'))).toBe(true)
  })
})
