// kill -9 at random moments: everything acknowledged is there, once, at its offset.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Engine } from '../../src/index.ts'
import { killed, open, readAll, temporaryFolder, until } from './support.ts'

/** `npm run test:kill -- 100` kills whole nodes as often as one likes. */
const ROUNDS = 9
const CHILD = fileURLToPath(new URL('./kill-child.ts', import.meta.url))
const SEED = Number(process.env['MILLRACE_TEST_SEED'] ?? Date.now() % 1_000_000)

/** Runs the writers and kills them after some acknowledgements and up to `moreMs`. */
async function runAndKill(
  folder: string,
  file: string,
  run: number,
  moreMs: number,
): Promise<void> {
  const args = ['--conditions=millrace:source', CHILD, folder, file, String(run)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', piece => {
    errors += String(piece)
  })
  const ended = new Promise<string>(resolve => {
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}: ${errors}`))
  })
  const size = (): number => (existsSync(file) ? statSync(file).size : 0)
  const before = size()
  await Promise.race([until(() => size() > before + 500), ended])
  await new Promise(resolve => setTimeout(resolve, moreMs))
  child.kill('SIGKILL')
  expect(await ended).toBe('SIGKILL')
}

/** Compares what is stored with what was acknowledged; answers how many acknowledgements there are. */
async function audit(engine: Engine, file: string): Promise<number> {
  const stored = new Map<string, string>()
  for (let partition = 0; partition < 4; partition += 1) {
    const records = await readAll(engine, 't', partition)
    records.forEach(({ offset, value }, i) => {
      expect(offset).toBe(i)
      expect(stored.has(value), `${value} is stored twice`).toBe(false)
      stored.set(value, `${partition} ${offset}`)
    })
  }
  const text = readFileSync(file, 'utf8')
  // A line that the kill has cut in two is no acknowledgement.
  const lines = text.slice(0, text.lastIndexOf('\n')).split('\n')
  for (const line of lines) {
    const [partition = '', offset = '', value = ''] = line.split(' ')
    expect(stored.get(value), `${value} was acknowledged`).toBe(`${partition} ${offset}`)
  }
  return lines.length
}

test(`everything acknowledged survives ${ROUNDS} kills (seed ${SEED}, MILLRACE_TEST_SEED repeats the waits)`, async () => {
  const folder = join(temporaryFolder(), 'data')
  const file = join(temporaryFolder(), 'acknowledgements')
  let acknowledged = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    await runAndKill(folder, file, round, (SEED * (round + 1) * 7919) % 120)
    // A copy is audited, so that the next run recovers by itself from what the kill has left.
    if (round % 4 === 0) {
      const engine = await open({ folder: killed(folder) })
      expect(engine.health()).toMatchObject({ state: 'ready', partitions: [] })
      const now = await audit(engine, file)
      expect(now).toBeGreaterThan(acknowledged)
      acknowledged = now
      await engine.close()
    }
  }
  await audit(await open({ folder }), file)
}, 120_000)
