// Produce and consume throughput of every shape (record size x partitions), turn by turn: in each
// round every system takes one run of a shape before any takes the next, in an order that rotates.
// The disk is synced before each run, so that nobody pays for what another left unwritten; resident
// memory is sampled during each run.
import { processorSeconds, residentBytes, run } from '../scripts/peers/command.ts'
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

const warmUpRecords = 100_000

/** Loads each server a little, so that no shape pays for what is compiled at first. */
export async function warmUp(servers: ReadonlyMap<Kind, Server>): Promise<void> {
  for (const { bootstrap } of servers.values()) {
    const topic = 'warm-up'
    await createTopic(bootstrap, topic, 12)
    const load = { topic, recordBytes: 1024, records: warmUpRecords, throughput: -1, warmup: 0 }
    await produce(bootstrap, load)
    await consume(bootstrap, topic, warmUpRecords)
    await deleteTopic(bootstrap, topic)
  }
}

/** Resident memory at its peak, and processor seconds for a gigabyte of records, while `work` runs. */
async function withCosts<T>(
  pid: number,
  bytes: number,
  work: () => Promise<T>,
): Promise<{
  readonly result: T
  readonly peakMb: number
  readonly processorSecondsPerGb: number
}> {
  const before = await processorSeconds(pid)
  const { result, peakMb } = await withPeakMemory(pid, work)
  const seconds = (await processorSeconds(pid)) - before
  return { result, peakMb, processorSecondsPerGb: (seconds * 1e9) / bytes }
}

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

const costs = ({
  peakMb,
  processorSecondsPerGb,
}: {
  readonly peakMb: number
  readonly processorSecondsPerGb: number
}) => ({ peakMb, processorSecondsPerGb })

async function oneShape(t: Turn): Promise<void> {
  const { system, server, topic, recordBytes, shape, round, recorder } = t
  const wanted = Math.floor((t.options.produceBytes * system.load) / recordBytes)
  const records = Math.min(maxRecords, wanted)
  await createTopic(server.bootstrap, topic, t.partitions, system.topicConfig)
  await run('sync', [])
  const bytes = records * recordBytes
  const written = await withCosts(server.pid, bytes, () =>
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
    figures: { ...written.result, ...costs(written) },
  })
  if (t.options.only.has('consume')) {
    await run('sync', [])
    const read = await withCosts(server.pid, bytes, () => consume(server.bootstrap, topic, records))
    note('consume', read.peakMb, read.result.megabytesPerSecond)
    recorder.add({
      ...{ part: 'consume', shape, round, system: system.name },
      figures: { ...read.result, ...costs(read) },
    })
  }
  await deleteTopic(server.bootstrap, topic)
}
