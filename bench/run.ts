// What all benchmark runs leave behind: every single measurement in a JSON file under the results
// folder, named by the time of its begin, with the machine and the arguments.
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Measurement } from './measurements.ts'

/** A run under way. */
export interface Run {
  /** Processors, memory, Node and the versions of the peers. */
  readonly machine: string
  readonly measurements: Measurement[]
  /** Writes the JSON file, and the report beside it if there is one; returns the JSON file's path. */
  save(report?: string): Promise<string>
  /** Date and duration so far, for the line above the tables. */
  took(): string
}

/** Begins a run whose results go to `folder`; `peers` are names with versions. */
export async function beginRun(folder: string, peers: readonly string[]): Promise<Run> {
  await mkdir(folder, { recursive: true })
  const began = new Date()
  const processor = `${cpus().length} x ${cpus()[0]?.model.trim()}`
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  const machine = [processor, memory, `Node ${process.versions.node}`, ...peers].join(', ')
  const base = join(folder, began.toISOString().replaceAll(':', '-'))
  const measurements: Measurement[] = []
  return {
    machine,
    measurements,
    save: async report => {
      const content = { began, machine, args: process.argv.slice(2), measurements }
      await writeFile(`${base}.json`, JSON.stringify(content, null, 1))
      if (report !== undefined) await writeFile(`${base}.md`, report)
      return `${base}.json`
    },
    took: () => {
      const minutes = Math.round((Date.now() - began.getTime()) / 60_000)
      return `${began.toISOString().slice(0, 10)}, ${minutes} minutes`
    },
  }
}
