// Runs many seeds from the command line and counts what they find, without stopping at the first.

/** What a run of one seed counts, by the names under which the sums are told. */
export type Counts = Readonly<Record<string, number>>

/** Runs the seeds that the command line names, FIRST COUNT, and writes findings and sums to standard output. */
export async function sweepSeeds(run: (seed: number) => Promise<Counts>): Promise<void> {
  const first = Number(process.argv[2] ?? 1)
  const count = Number(process.argv[3] ?? 100)
  const found = new Map<string, number[]>()
  const sums = new Map<string, number>()
  const started = performance.now()
  for (let seed = first; seed < first + count; seed += 1) {
    try {
      for (const [name, value] of Object.entries(await run(seed))) {
        sums.set(name, (sums.get(name) ?? 0) + value)
      }
    } catch (cause) {
      const text = String(cause).replaceAll(/\d+/g, '#').slice(0, 160)
      found.set(text, [...(found.get(text) ?? []), seed])
    }
  }
  const ms = (performance.now() - started) / count
  for (const [text, seeds] of found) {
    process.stdout.write(`${seeds.length} x ${text}\n    ${seeds.slice(0, 8).join(' ')}\n`)
  }
  const told = [...sums].map(([name, sum]) => `${sum} ${name}`)
  process.stdout.write(`${[`${count} seeds`, `${ms.toFixed(1)} ms each`, ...told].join(', ')}\n`)
}
