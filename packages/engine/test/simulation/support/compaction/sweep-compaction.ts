// Many seeds of the compaction's simulation:
//     node --conditions=millrace:source packages/engine/test/simulation/support/compaction/sweep-compaction.ts FIRST COUNT
import { sweepSeeds } from '../sweep-seeds.ts'
import { runCompaction } from './run-compaction.ts'

await sweepSeeds(async seed => {
  const { acknowledged, crashes, cleanings } = await runCompaction(seed)
  return { acknowledged, crashes, cleanings }
})
