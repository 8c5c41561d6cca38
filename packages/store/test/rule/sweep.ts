// Checks many seeds from the command line and goes on after a failure:
//     node --conditions=millrace:source packages/store/test/rule/sweep.ts FIRST COUNT
import { checkSeed } from './check-log.ts'

const first = Number(process.argv[2] ?? 1)
const count = Number(process.argv[3] ?? 1000)
const started = performance.now()
const counts = new Map<string, number>()
let records = 0
let failed = 0
for (let seed = first; seed < first + count; seed += 1) {
  try {
    const report = checkSeed(seed)
    records += report.records
    for (const what of [report.profile, ...report.outcomes]) {
      counts.set(what, (counts.get(what) ?? 0) + 1)
    }
  } catch (cause) {
    failed += 1
    if (failed <= 10) process.stdout.write(`seed ${seed}: ${cause}\n`)
  }
}
const seconds = ((performance.now() - started) / 1000).toFixed(1)
for (const [what, times] of counts) process.stdout.write(`${what}: ${times}\n`)
process.stdout.write(`${count} logs, ${records} records, ${failed} failed, ${seconds} s\n`)
process.exitCode = failed === 0 ? 0 : 1
