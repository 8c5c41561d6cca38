// Runs many seeds from the command line and counts what they find, without stopping at the first:
//     node --conditions=millrace:source packages/engine/test/simulation/support/sweep.ts FIRST COUNT
import { runSeed } from './run-seed.ts'

const first = Number(process.argv[2] ?? 1)
const count = Number(process.argv[3] ?? 100)
const found = new Map<string, number[]>()
const started = performance.now()
let crashes = 0
let inRecovery = 0
let acknowledged = 0
let refusedFull = 0
for (let seed = first; seed < first + count; seed += 1) {
  try {
    const report = await runSeed(seed)
    crashes += report.crashes
    inRecovery += report.crashesInRecovery
    acknowledged += report.acknowledged
    refusedFull += report.refusedFull
  } catch (cause) {
    const text = String(cause).replaceAll(/\d+/g, '#').slice(0, 160)
    found.set(text, [...(found.get(text) ?? []), seed])
  }
}
const ms = (performance.now() - started) / count
for (const [text, seeds] of found) {
  process.stdout.write(`${seeds.length} x ${text}\n    ${seeds.slice(0, 8).join(' ')}\n`)
}
process.stdout.write(
  `${count} seeds, ${ms.toFixed(1)} ms each, ${acknowledged} acknowledged, ${crashes} crashes, ${inRecovery} of them in recovery, ${refusedFull} starts refused by a full disk\n`,
)
