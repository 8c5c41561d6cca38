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
