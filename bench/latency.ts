// Latency of acknowledged records under a fixed load: ProducerPerformance's percentiles over its
// steady state, 1-KiB records over 12 partitions, acks=all, turn by turn.
import { run } from '../scripts/peers/command.ts'
import { createTopic, deleteTopic } from './admin.ts'
import type { Recorder } from './measurements.ts'
import type { BenchOptions } from './options.ts'
import { produce } from './perf.ts'
import type { Kind, Server, System } from './systems.ts'
import { turn, withPeakMemory } from './throughput.ts'

const recordBytes = 1024
const partitions = 12
const warmupSeconds = 5

/** Measures the latency of every rate. */
export async function measureLatency(
  systems: readonly System[],
  servers: ReadonlyMap<Kind, Server>,
  options: BenchOptions,
  recorder: Recorder,
): Promise<void> {
  for (let round = 0; round < options.rounds; round++) {
    for (const rate of options.rates) {
      for (const system of turn(systems, round)) {
        const server = servers.get(system.kind)
        if (server === undefined) throw new Error(`${system.name} does not run`)
        const topic = `latency-${system.name}-${rate}-${round}-${Date.now()}`
        await createTopic(server.bootstrap, topic, partitions, system.topicConfig)
        await run('sync', [])
        const { result, peakMb } = await withPeakMemory(server.pid, () =>
          produce(server.bootstrap, {
            ...{ topic, recordBytes, throughput: rate },
            records: rate * (warmupSeconds + options.latencySeconds),
            warmup: rate * warmupSeconds,
          }),
        )
        console.log(
          `latency ${rate}/s, ${system.name}: p50 ${result.p50Ms}, p95 ${result.p95Ms}, p99 ${result.p99Ms}, p99.9 ${result.p999Ms} ms`,
        )
        recorder.add({
          ...{ part: 'latency', shape: `${rate} records/s`, round, system: system.name },
          figures: { ...result, peakMb },
        })
        await deleteTopic(server.bootstrap, topic)
      }
    }
  }
}
