// Runs many seeds from the command line and goes on after a failure:
//     node --conditions=millrace:source packages/store/test/histories/sweep.ts FIRST COUNT
import { runHistory } from './run-history.ts'

const first = Number(process.argv[2] ?? 1)
const count = Number(process.argv[3] ?? 100)
const started = performance.now()
const totals: Record<string, number> = {}
const found = new Map<string, number[]>()
for (let seed = first; seed < first + count; seed += 1) {
  try {
    const report = await runHistory(seed)
    for (const [what, n] of Object.entries(report)) totals[what] = (totals[what] ?? 0) + n
  } catch (cause) {
    if (count === 1) throw cause
    const text = String(cause).replaceAll(/\d+/g, '#').slice(0, 160)
    found.set(text, [...(found.get(text) ?? []), seed])
  }
}
const ms = ((performance.now() - started) / count).toFixed(1)
for (const [text, seeds] of found) {
  process.stdout.write(`${seeds.length} x ${text}\n    ${seeds.slice(0, 8).join(' ')}\n`)
}
process.stdout.write(`${count} seeds, ${ms} ms each, ${JSON.stringify(totals)}\n`)
process.exitCode = found.size === 0 ? 0 : 1
