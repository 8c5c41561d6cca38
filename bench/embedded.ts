// Durable appends inside a process, beside what the disk can give: N writers that each await their
// append before the next, against a loop that writes N batches at once and calls fdatasync. Both
// run in a process of their own (embedded-worker.ts), turn by turn, on the same disk.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runWell } from '../scripts/peers/command.ts'
import type { Recorder } from './measurements.ts'
import type { BenchOptions } from './options.ts'
import { show } from './stats.ts'
import { turn } from './throughput.ts'

const recordBytes = [100, 1024]

/** Measures in-process appends and the raw loop for every number of writers. */
export async function measureEmbedded(
  options: BenchOptions,
  recorder: Recorder,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const seconds = options.quick ? 2 : 5
  for (let round = 0; round < options.rounds; round++) {
    for (const bytes of recordBytes) {
      for (const writers of options.writers) {
        for (const mode of turn(['raw', 'embedded'], round)) {
          const folder = join(options.folder, 'data', `embedded-${mode}`)
          await rm(folder, { recursive: true, force: true })
          await runWell('sync', [])
          const worker = join(import.meta.dirname, 'embedded-worker.ts')
          const args = [mode, folder, String(writers), String(bytes), String(seconds)]
          const { stdout } = await runWell(process.execPath, [worker, ...args], { env })
          await rm(folder, { recursive: true, force: true })
          const figures = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<
            string,
            number
          >
          const shape = `${bytes} B, ${writers} writer${writers === 1 ? '' : 's'}`
          console.log(
            `embedded ${shape}, ${mode}: ${show(figures['appendsPerSecond'] ?? Number.NaN)} appends/s`,
          )
          recorder.add({ part: 'embedded', shape, round, system: mode, figures })
        }
      }
    }
  }
}
