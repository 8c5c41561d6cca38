// Runs many seeds from the command line and counts what they find, without stopping at the first:
//     node --conditions=millrace:source packages/engine/test/simulation/support/compaction/sweep-compaction.ts FIRST COUNT
import { runCompaction } from './run-compaction.ts'

const first = Number(process.argv[2] ?? 1)
const count = Number(process.argv[3] ?? 100)
const found = new Map<string, number[]>()
const started = performance.now()
let crashes = 0
let cleanings = 0
let acknowledged = 0
for (let seed = first; seed < first + count; seed += 1) {
  try {
    const report = await runCompaction(seed)
    crashes += report.crashes
    cleanings += report.cleanings
    acknowledged += report.acknowledged
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
  `${count} seeds, ${ms.toFixed(1)} ms each, ${acknowledged} acknowledged, ${crashes} crashes, ${cleanings} cleanings\n`,
)
