// The commands about applications as users run them: on a running node and on a folder.
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Finished, run } from '../scripts/peers/command.ts'
import { generatedLines } from './loans/generated.ts'
import { millrace, runAndKill } from './loans/importing.ts'
import { differences, eventsOf, naiveFigures } from './loans/state.ts'
import { millraceBin, TestNode } from './support/node.ts'
import { seeded, testSeed } from './support/seeded.ts'
import { until } from './support/wait.ts'

const counting = join(import.meta.dirname, 'applications', 'counter.ts')

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-commands-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const tried = (args: readonly string[], input?: string): Promise<Finished> =>
  run(process.execPath, [millraceBin, ...args], input === undefined ? {} : { input })

const rowsOf = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Record<string, unknown>)

describe('import and replay on a running node', () => {
  const lines = generatedLines(60, 7)
  const text = lines.map(line => `${line}\n`).join('')
  let node: TestNode
  let where: readonly string[]
  beforeAll(async () => {
    node = await TestNode.start()
    where = ['--bootstrap', node.bootstrap]
  })
  afterAll(() => node.dispose())

  it('takes a gzipped file, and knows all of it the second time', async () => {
    const file = join(folder, 'lines.ndjson.gz')
    await writeFile(file, gzipSync(text))
    const first = rowsOf(await millrace('import', 'loans', file, ...where, '--json'))
    expect(first).toMatchObject([{ lines: lines.length, imported: lines.length, known: 0 }])
    const second = rowsOf(await millrace('import', 'loans', file, ...where, '--json'))
    expect(second).toMatchObject([{ lines: lines.length, imported: 0, known: lines.length }])
  })

  it.each([
    ['{"applicationId":"x"', 'line 2: '],
    ['{"applicationId":"x","seq":0}', 'line 2: activity: '],
    [
      JSON.stringify({ ...JSON.parse(lines[0] ?? ''), applicationId: 'x', amountRequested: -1 }),
      'line 2: ',
    ],
    [
      JSON.stringify({ ...JSON.parse(lines[0] ?? ''), applicationId: 'x', seq: 3 }),
      'line 2: loan x has 0 events, and this is number 4',
    ],
  ])('names the line and what is wrong with it: %s', async (bad, message) => {
    const { code, stderr } = await tried(
      ['import', 'loans', '-', ...where],
      `${lines[0]}\n${bad}\n`,
    )
    expect(stderr).toContain(message)
    expect(code).toBe(1)
  })

  it('goes on after kills of the importing process', async () => {
    const seed = testSeed()
    const random = seeded(seed)
    const many = generatedLines(500, seed)
    const file = join(folder, 'many.ndjson')
    await writeFile(file, many.map(line => `${line}\n`).join(''))
    const other = await TestNode.start()
    try {
      const args = ['import', 'loans', file, '--bootstrap', other.bootstrap, '--json']
      for (let kill = 0; kill < 5; kill++) await runAndKill(args, 400 + random() * 800)
      const [last] = rowsOf(await millrace(...args))
      const { lines: all, imported, known } = last as Record<string, number>
      const repeat = `MILLRACE_TEST_SEED=${seed}`
      expect([all, (imported ?? 0) + (known ?? 0)], repeat).toEqual([many.length, many.length])
      await other.stop()
      expect(differences(many, await eventsOf(other.data)), repeat).toEqual([])
    } finally {
      await other.dispose()
    }
  })

  it('replays the whole, and any moment before', async () => {
    const figures = async (...at: readonly string[]): Promise<unknown> =>
      rowsOf(await millrace('replay', 'loans', ...at, ...where, '--json'))[0]?.['figures']
    expect(await figures()).toEqual(naiveFigures(lines))
    const half = lines.slice(0, lines.length / 2)
    const { time } = JSON.parse(half.at(-1) ?? '') as { time: string }
    const upTo = lines.filter(line => (JSON.parse(line) as { time: string }).time <= time)
    expect(await figures('--at', time)).toEqual(naiveFigures(upTo))
  })

  it('lists streams, shows one, and what its last event changed', async () => {
    const list = rowsOf(await millrace('streams', 'list', 'loan', '-n', '3', ...where, '--json'))
    expect(list).toHaveLength(3)
    const show = await millrace('streams', 'show', 'loan', 'g1', ...where)
    expect(show).toContain('Submitted')
    const diff = ['streams', 'diff', 'loan', 'g1', '--app', 'loans', '--from', '1', '--to', '2']
    const changes = rowsOf(await millrace(...diff, ...where, '--json'))
    expect(changes).toMatchObject([{ before: 'submitted', after: 'partlySubmitted' }])
    expect((await tried(['streams', 'show', 'loan', 'nobody', ...where])).code).toBe(1)
    expect((await tried(['streams', 'list', 'nothing', ...where])).stderr).toContain('no category')
  })
})

describe('projections of a running node', () => {
  let node: TestNode
  let mended = ''
  const http = (): readonly string[] => ['counting', '--http', node.http, '--json']
  beforeAll(async () => {
    mended = join(folder, 'mended')
    node = await TestNode.start({ args: ['--app', counting], env: { MENDED: mended } })
    const lines = ['good', 'bad', 'good', 'bad'].map((id, n) =>
      JSON.stringify({ id, by: n + 1, command: `c${n}` }),
    )
    await run(
      process.execPath,
      [millraceBin, 'import', counting, '-', '--bootstrap', node.bootstrap],
      { input: lines.join('\n') },
    )
    await until('it is parked', async () => {
      const { stdout } = await tried(['projections', 'list', ...http()])
      return rowsOf(stdout)[0]?.['parked'] === 1
    })
  })
  afterAll(() => node.dispose())

  it('show what is parked and why; neither redrive nor rebuild passes over it', async () => {
    const parked = rowsOf(await millrace('projections', 'parked', ...http()))
    expect(parked).toMatchObject([
      { stream: { category: 'counter', id: 'bad' }, firstVersion: 1, lastVersion: 2 },
    ])
    expect(parked[0]?.['reason']).toContain('not mended')
    const redrive = ['projections', 'redrive', 'counting', 'totals', '--http', node.http]
    const refused = await tried(redrive)
    expect([refused.code, refused.stdout]).toEqual([1, expect.stringContaining('still parked')])
    const rebuild = ['projections', 'rebuild', 'counting', 'totals', '--http', node.http]
    const held = await tried(rebuild)
    expect([held.code, held.stderr]).toEqual([1, expect.stringContaining('redrive them')])
  })

  it('are redriven, and then rebuilt', async () => {
    await writeFile(mended, '')
    const at = ['--http', node.http]
    const redriven = await millrace('projections', 'redrive', 'counting', 'totals', ...at)
    expect(redriven).toContain('handled 2 events')
    const rebuilt = await millrace('projections', 'rebuild', 'counting', 'totals', ...at)
    expect(rebuilt).toContain('totals is rebuilt')
    const unknown = await tried(['projections', 'rebuild', 'counting', 'nothing', ...at])
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('It has: totals.')])
    const list = rowsOf(await millrace('projections', 'list', ...http()))
    expect(list).toMatchObject([{ name: 'totals', parked: 0, state: 'running', lag: 0 }])
  })

  it('are in the metrics', async () => {
    const metrics = await (await fetch(`http://${node.http}/metrics`)).text()
    const labels = '{application="counting",kind="projection",name="totals"}'
    expect(metrics).toContain(`millrace_processor_up${labels} 1`)
    expect(metrics).toContain(`millrace_processor_parked${labels} 0`)
  })

  it.each([
    ['a web page', { 'content-type': 'application/json', origin: 'https://example.org' }, 403],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 403],
    ['nobody in particular', { 'content-type': 'application/json' }, 200],
  ])('are changed or not for %s', async (_, headers, status) => {
    const url = `http://${node.http}/applications/counting/projections/totals/redrive`
    const answer = await fetch(url, { method: 'POST', headers, body: '{"limit":1}' })
    expect(answer.status).toBe(status)
  })

  it.each([
    ['POST', '{"limit":0}', 400],
    ['POST', '[', 400],
    ['POST', `{"x":"${'x'.repeat(5_000)}"}`, 400],
    ['PUT', '{}', 405],
  ])('answer %s %.20s with %i', async (method, body, status) => {
    const url = `http://${node.http}/applications/counting/projections/totals/redrive`
    const headers = { 'content-type': 'application/json' }
    expect((await fetch(url, { method, headers, body })).status).toBe(status)
  })

  it('are not shown to who asks by a name that was made to resolve to this machine', async () => {
    const [host, port] = node.http.split(':')
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { host: `rebound.example.org:${port}` }
      get({ host, port, path: '/applications', headers }, answer => {
        answer.resume()
        resolve(answer.statusCode)
      }).on('error', reject)
    })
    expect(status).toBe(403)
  })

  it('say so when the node does not run the application', async () => {
    const { code, stderr } = await tried(['projections', 'list', 'loans', '--http', node.http])
    expect([code, stderr]).toEqual([1, expect.stringContaining('It runs: counting.')])
    const away = await tried(['projections', 'list', 'loans', '--http', '127.0.0.1:1'])
    expect(away.code).toBe(3)
  })
})

describe('category rewrite', () => {
  it('ends well however often it is killed, and nothing of the application changes', async () => {
    const seed = testSeed()
    const random = seeded(seed)
    const data = join(folder, 'rewrite')
    const lines = generatedLines(400, 3)
    const file = join(folder, 'rewrite.ndjson')
    await writeFile(file, lines.map(line => `${line}\n`).join(''))
    await millrace('import', 'loans', file, '--data', data)
    const list = ['projections', 'list', 'loans', '--data', data, '--json']
    await millrace(...list)
    const rewrite = ['category', 'rewrite', 'loan', '--data', data]
    for (let kill = 0; kill < 5; kill++) await runAndKill(rewrite, 300 + random() * 900)
    const repeat = `MILLRACE_TEST_SEED=${seed}`
    expect(await millrace(...rewrite), repeat).toContain(lines.length.toLocaleString('en-US'))
    // The read models go on where they were: they have nothing to handle.
    const rows = rowsOf(await millrace(...list))
    expect(rows.map(row => [row['handled'], row['lag']])).toEqual(rows.map(() => [0, 0]))
    const [{ figures } = { figures: undefined }] = rowsOf(
      await millrace('replay', 'loans', '--data', data, '--json'),
    )
    expect(figures, repeat).toEqual(naiveFigures(lines))
    const [again] = rowsOf(await millrace('import', 'loans', file, '--data', data, '--json'))
    expect(again, repeat).toMatchObject({ imported: 0, known: lines.length })

    const spread = [...rewrite, '--buckets', '24']
    expect((await tried(spread)).stderr).toContain('--app')
    await millrace(...spread, '--app', 'loans')
    const anew = rowsOf(await millrace(...list))
    expect(anew.find(row => row['name'] === 'counts')?.['handled']).toBe(lines.length)
    const [after] = rowsOf(await millrace('replay', 'loans', '--data', data, '--json'))
    expect(after?.['figures'], repeat).toEqual(naiveFigures(lines))
  })

  it('is refused while a node has the folder open', async () => {
    const node = await TestNode.start()
    const rewrite = ['category', 'rewrite', 'loan', '--data']
    try {
      expect((await tried([...rewrite, node.data])).code).toBe(5)
      expect((await tried([...rewrite, join(folder, 'no-such-folder')])).code).toBe(2)
    } finally {
      await node.dispose()
    }
  })
})

describe('start --app --demo', () => {
  it('makes traffic, shows figures, stops cleanly, and goes on where it was', async () => {
    const data = join(folder, 'demo')
    const node = await TestNode.start({ data, args: ['--app', 'loans', '--demo'] })
    const events = async (): Promise<number> => {
      // Until the application runs, the node does not know it.
      const list = await tried(['projections', 'list', 'loans', '--http', node.http, '--json'])
      const row = rowsOf(list.stdout).find(each => each['name'] === 'counts')
      return Number(row?.['handled'] ?? 0)
    }
    await until('events come', async () => (await events()) > 20)
    await node.stop()
    const before = (await millrace('streams', 'list', 'loan', '--data', data, '--json')).length
    expect(before).toBeGreaterThan(0)
    await node.restart()
    await until('more events come', async () => (await events()) > 20)
    await node.stop()
    const after = (await millrace('streams', 'list', 'loan', '--data', data, '--json')).length
    expect(after).toBeGreaterThanOrEqual(before)
    expect(existsSync(join(data, 'applications', 'loans', 'read-models.sqlite'))).toBe(true)
  })
})
