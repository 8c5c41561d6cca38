// D2: random workloads with crashes at any disk operation, recovery's own included; then the audit.
// A failing seed is replayed with SIM_SEED; SIM_SEEDS sets how many are run.
import { expect, it } from 'vitest'
import { runSeed } from './support/run-seed.ts'

const FIRST = 1
const one = process.env['SIM_SEED']
const count = Number(process.env['SIM_SEEDS'] ?? 2000)

const replay = (seed: number): string =>
  `seed ${seed}; replay: SIM_SEED=${seed} npx vitest run --project sim packages/engine/test/simulation/crash`

it(`${one === undefined ? count : `seed ${one}`}: what was acknowledged or seen survives every crash`, async () => {
  const seeds =
    one === undefined ? Array.from({ length: count }, (_, i) => FIRST + i) : [Number(one)]
  let acknowledged = 0
  for (const seed of seeds) {
    try {
      const report = await runSeed(seed)
      acknowledged += report.acknowledged
    } catch (cause) {
      throw new Error(`${replay(seed)}\n${cause instanceof Error ? cause.stack : cause}`, { cause })
    }
  }
  expect(acknowledged).toBeGreaterThan(0)
})
