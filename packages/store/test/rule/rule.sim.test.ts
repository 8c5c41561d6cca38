// The fold beside the naive rule over many random logs. A failing seed is replayed with SIM_SEED;
// SIM_SEEDS sets how many are run. `sweep.ts` runs any number of them without stopping.
import { expect, it } from 'vitest'
import { checkSeed } from './check-log.ts'

const one = process.env['SIM_SEED']
const count = Number(process.env['SIM_SEEDS'] ?? 60_000)

/** Seeds after which every outcome has been seen. */
const ALL_SEEN_SEEDS = 50_000

const replay = (seed: number): string =>
  `seed ${seed}; replay: SIM_SEED=${seed} npx vitest run --project sim packages/store/test/rule/rule`

/** Every way in which an append can end; the logs must hold them all. */
const OUTCOMES: readonly string[] = [
  ...['accepted', 'archived', 'cancelled', 'check', 'command', 'condition', 'copy', 'misplaced'],
  'order',
  ...['overflow', 'replaced', 'settled', 'stale', 'tombstoned', 'version'],
]

it(`${one === undefined ? `${count} logs` : `log ${one}`}: the fold says what the naive rule says, however often it is stopped, and every reader is given the same`, () => {
  const seeds = one === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(one)]
  const seen = new Set<string>()
  for (const seed of seeds) {
    try {
      for (const outcome of checkSeed(seed).outcomes) seen.add(outcome)
    } catch (cause) {
      throw new Error(`${replay(seed)}\n${cause instanceof Error ? cause.stack : cause}`, { cause })
    }
  }
  if (count >= ALL_SEEN_SEEDS && one === undefined) expect([...seen].sort()).toEqual(OUTCOMES)
})
