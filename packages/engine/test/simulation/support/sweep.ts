// Many seeds of the engine's simulation:
//     node --conditions=millrace:source packages/engine/test/simulation/support/sweep.ts FIRST COUNT
import { runSeed } from './run-seed.ts'
import { sweepSeeds } from './sweep-seeds.ts'

await sweepSeeds(async seed => {
  const { acknowledged, crashes, crashesInRecovery, refusedFull } = await runSeed(seed)
  return {
    acknowledged,
    crashes,
    'crashes in recovery': crashesInRecovery,
    'starts refused by a full disk': refusedFull,
  }
})
