// The loans example from outside: events go in by commands, through kills of the importing process at
// seeded moments; each command has its event once; the read models come to the figures, after kills
// of theirs and after rebuilds, too. With the bank's real events where they are at hand, and always
// with generated ones. MILLRACE_TEST_SEED repeats the kills of a run.
// On two cores the real ones take about a minute and a half, the generated ones a quarter of a minute.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { hasLoans, loanEvents, loanLines, loansFile } from './loans/data.ts'
import { generatedLines } from './loans/generated.ts'
import { importWhole, importWithKills, millrace, runAndKill } from './loans/importing.ts'
import { naiveLetters, writtenLetters } from './loans/letters.ts'
import { differences, digests, eventsOf, naiveFigures } from './loans/state.ts'
import { seeded, testSeed } from './support/seeded.ts'

const generatedApplications = 600
const readModelKills = 3
const projections = ['applications', 'work-list', 'months', 'counts']

/** As published with the data. */
const published = {
  events: loanEvents,
  applications: 13_087,
  open: 399,
  approved: 2_246,
  declined: 7_635,
  cancelled: 2_807,
  euros: 177_634_511,
  'most events of one': 175,
}

const folders: string[] = []
async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-loans-'))
  folders.push(folder)
  return folder
}
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

async function figuresOf(data: string): Promise<object> {
  const { figures } = JSON.parse(await millrace('replay', 'loans', '--data', data, '--json')) as {
    figures: object
  }
  return figures
}

/** The whole acceptance, over lines and the file that has them. */
async function accept(lines: readonly string[], file: string, kills: number): Promise<void> {
  const seed = testSeed()
  const random = seeded(seed)
  const folder = await newFolder()
  const data = join(folder, 'data')
  const where = ['--data', data]
  const repeat = `MILLRACE_TEST_SEED=${seed}`

  await importWithKills(lines, kills, where, random)
  const last = await importWhole(file, where)
  expect(last.lines, repeat).toBe(lines.length)
  expect(last.imported + last.known, repeat).toBe(lines.length)
  expect(last.known, `${repeat}: what was imported under kills`).toBeGreaterThan(0)
  expect(await importWhole(file, where)).toMatchObject({ imported: 0, known: lines.length })

  const events = await eventsOf(data)
  expect(differences(lines, events), repeat).toEqual([])

  const list = ['projections', 'list', 'loans', ...where, '--json']
  for (let kill = 0; kill < readModelKills; kill++) await runAndKill(list, 700 + random() * 3_000)
  await millrace(...list)
  const reached = digests(data)
  expect(Object.keys(reached)).toEqual(['applications', 'counts', 'months', 'work'])
  expect(await figuresOf(data), repeat).toEqual(naiveFigures(lines))

  for (const name of projections) await millrace('projections', 'rebuild', 'loans', name, ...where)
  expect(digests(data), `${repeat}: rebuilt`).toEqual(reached)
  await rm(join(data, 'applications'), { recursive: true })
  await millrace(...list)
  expect(digests(data), `${repeat}: made from nothing`).toEqual(reached)

  const letters = naiveLetters(events)
  expect(letters.length).toBeGreaterThan(0)
  expect(await writtenLetters(data, letters.length), `${repeat}: letters`).toEqual(letters)
}

describe('the loans application', () => {
  it('takes generated events through 10 kills', async () => {
    const lines = generatedLines(generatedApplications, testSeed())
    const file = join(await newFolder(), 'lines.ndjson')
    await writeFile(file, lines.map(line => `${line}\n`).join(''))
    await accept(lines, file, 10)
  })

  it('takes the 262,200 real events through 20 kills, and reaches the published figures', async context => {
    // The data is not part of the project, so that its absence fails nothing, not even in CI.
    if (!hasLoans) context.skip(`no ${loansFile}`)
    const lines: string[] = []
    for await (const line of loanLines()) lines.push(line)
    expect(naiveFigures(lines)).toMatchObject(published)
    await accept(lines, loansFile, 20)
  }, 900_000)
})
