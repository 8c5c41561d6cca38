// Keys of subjects in all weathers. A failing seed is replayed with SIM_SEED; SIM_SEEDS sets how many
// are run.
import { expect, it } from 'vitest'
import { type KeysReport, runKeysSeed } from './keys-run.ts'

const one = process.env['SIM_SEED']
const count = Number(process.env['SIM_SEEDS'] ?? 200)

const replay = (seed: number): string =>
  `seed ${seed}; replay: SIM_SEED=${seed} npx vitest run --project sim packages/store/test/personal/keys`

it(`${one === undefined ? `${count} runs` : `run ${one}`}: no key is lost, none comes back, none has other bytes, whoever crashes`, async () => {
  const seeds = one === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(one)]
  const sum: Record<keyof KeysReport, number> = { opened: 0, erased: 0, crashes: 0, rewrapped: 0 }
  for (const seed of seeds) {
    try {
      const report = await runKeysSeed(seed)
      for (const key of Object.keys(sum) as (keyof KeysReport)[]) sum[key] += report[key]
    } catch (cause) {
      throw new Error(`${replay(seed)}\n${cause instanceof Error ? cause.stack : cause}`, { cause })
    }
  }
  // A simulation in which nothing happens finds nothing.
  if (one === undefined && count >= 100) {
    for (const key of Object.keys(sum) as (keyof KeysReport)[])
      expect(sum[key], key).toBeGreaterThan(50)
  }
})
