// Produce and consume throughput of every shape (record size x partitions), turn by turn: in each
// round every system takes one run of a shape before any takes the next, in an order that rotates.
// The disk is synced before each run, so that nobody pays for what another left unwritten; resident
// memory is sampled during each run.
import { residentBytes, run } from '../scripts/peers/command.ts'
import { createTopic, deleteTopic } from './admin.ts'
import type { Recorder } from './measurements.ts'
import type { BenchOptions } from './options.ts'
import { consume, produce } from './perf.ts'
import { show, sleep } from './stats.ts'
import type { Kind, Server, System } from './systems.ts'

const sampleMs = 100
const maxRecords = 4_000_000
const warmupPart = 0.1

/** Samples the resident memory of a process while `work` runs; the peak in MB. */
export async function withPeakMemory<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly peakMb: number }> {
  let peak = 0
  let running = true
  const sampling = (async () => {
    while (running) {
      peak = Math.max(peak, (await residentBytes(pid)) ?? 0)
      await sleep(sampleMs)
    }
  })()
  try {
    return { result: await work(), peakMb: peak / 1e6 }
  } finally {
    running = false
    await sampling
  }
}

/** The list turned so that another comes first in each round. */
export const turn = <T>(list: readonly T[], round: number): readonly T[] =>
  list.map((_, i) => list[(i + round) % list.length] as T)

/** Measures produce, and consume of what was produced, of every shape. */
export async function measureThroughput(
  systems: readonly System[],
  servers: ReadonlyMap<Kind, Server>,
  options: BenchOptions,
  recorder: Recorder,
): Promise<void> {
  for (let round = 0; round < options.rounds; round++) {
    for (const recordBytes of options.recordSizes) {
      for (const partitions of options.partitions) {
        const shape = `${recordBytes} B, ${partitions} partition${partitions === 1 ? '' : 's'}`
        for (const system of turn(systems, round)) {
          const server = servers.get(system.kind)
          if (server === undefined) throw new Error(`${system.name} does not run`)
          const topic = `bench-${system.name}-${recordBytes}-${partitions}-${round}-${Date.now()}`
          await oneShape({
            ...{ system, server, topic, recordBytes, partitions, shape, round },
            ...{ options, recorder },
          })
        }
      }
    }
  }
}

interface Turn {
  readonly system: System
  readonly server: Server
  readonly topic: string
  readonly recordBytes: number
  readonly partitions: number
  readonly shape: string
  readonly round: number
  readonly options: BenchOptions
  readonly recorder: Recorder
}

async function oneShape(t: Turn): Promise<void> {
  const { system, server, topic, recordBytes, shape, round, recorder } = t
  const wanted = Math.floor((t.options.produceBytes * system.load) / recordBytes)
  const records = Math.min(maxRecords, wanted)
  await createTopic(server.bootstrap, topic, t.partitions, system.topicConfig)
  await run('sync', [])
  const written = await withPeakMemory(server.pid, () =>
    produce(server.bootstrap, {
      ...{ topic, recordBytes, records, throughput: -1 },
      warmup: Math.floor(records * warmupPart),
    }),
  )
  const note = (part: 'produce' | 'consume', peakMb: number, megabytes: number): void =>
    console.log(
      `${part} ${shape}, ${system.name}: ${show(megabytes)} MB/s, resident ${show(peakMb)} MB`,
    )
  note('produce', written.peakMb, written.result.megabytesPerSecond)
  recorder.add({
    ...{ part: 'produce', shape, round, system: system.name },
    figures: { ...written.result, peakMb: written.peakMb },
  })
  if (t.options.only.has('consume')) {
    await run('sync', [])
    const read = await withPeakMemory(server.pid, () => consume(server.bootstrap, topic, records))
    note('consume', read.peakMb, read.result.megabytesPerSecond)
    recorder.add({
      ...{ part: 'consume', shape, round, system: system.name },
      figures: { ...read.result, peakMb: read.peakMb },
    })
  }
  await deleteTopic(server.bootstrap, topic)
}
