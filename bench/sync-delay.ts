// Adds latency to every sync of a program: compiles the shim beside this file with the system's C
// compiler at bench time, and says what to put into the program's environment.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { runWell, which } from '../scripts/peers/command.ts'
import { resultsFolder } from './options.ts'

/** The environment that makes each sync of a program take `delayMs` longer; none for 0. */
export async function syncDelayEnv(delayMs: number): Promise<Readonly<Record<string, string>>> {
  if (delayMs === 0) return {}
  if ((await which('gcc')) === undefined) throw new Error('added sync latency needs gcc')
  await mkdir(resultsFolder, { recursive: true })
  const library = join(resultsFolder, 'sync-delay.so')
  const source = join(import.meta.dirname, 'sync-delay.c')
  await runWell('gcc', ['-O2', '-Wall', '-shared', '-fPIC', '-o', library, source, '-ldl'])
  return {
    LD_PRELOAD: library,
    MILLRACE_BENCH_SYNC_DELAY_US: String(Math.round(delayMs * 1000)),
  }
}
