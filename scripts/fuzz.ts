// `npm run test:fuzz -- --cases N --seed S [--from I]`: the fuzzer's test with other numbers than its
// own. Without a seed a random one is taken; the test prints it, and a failure prints the command
// that replays it. `--from` makes the cases before it, but sends only those from there on.
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const seedMax = 2 ** 31 - 1
const casesByDefault = 1_000_000
const root = join(import.meta.dirname, '..')
const { values } = parseArgs({
  options: { cases: { type: 'string' }, seed: { type: 'string' }, from: { type: 'string' } },
})

const whole = (name: 'cases' | 'seed' | 'from', fallback: number): string => {
  const text = values[name] ?? String(fallback)
  if (/^\d{1,12}$/.test(text)) return text
  console.error(`--${name} must be a whole number, not ${JSON.stringify(text)}`)
  process.exit(2)
}

const env = {
  ...process.env,
  FUZZ_CASES: whole('cases', casesByDefault),
  FUZZ_SEED: whole('seed', randomInt(seedMax)),
  FUZZ_FROM: whole('from', 0),
}
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
const args = [vitest, 'run', '--project', 'int', 'packages/broker/test/fuzz']
const { status } = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' })
process.exitCode = status ?? 1
