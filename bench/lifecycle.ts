// What happens around a server's life: start to first acknowledged record, resident memory idle and
// under load, and the time until it acknowledges again after kill -9 under load. Kafka's
// flush.messages=1 is a setting of a topic and changes none of these, so each kind runs once; only
// the restart keeps the setting of the first system of its kind.

import { startTool } from '../scripts/peers/apache-kafka.ts'
import { residentBytes, run } from '../scripts/peers/command.ts'
import { createTopic } from './admin.ts'
import type { Recorder } from './measurements.ts'
import type { BenchOptions } from './options.ts'
import { produce } from './perf.ts'
import { firstAcknowledged } from './probe.ts'
import { show, sleep } from './stats.ts'
import { type Kind, kindsOf, newPlace, type Place, type System, startServer } from './systems.ts'
import { withPeakMemory } from './throughput.ts'

const probeTopic = 'probe'
const startTimeoutMs = 120_000
const idleMs = 10_000
const loadBeforeKillMs = 6_000
const startRounds = 5

type Env = Readonly<Record<string, string>>

async function placeWithTopic(kind: Kind, options: BenchOptions, env: Env): Promise<Place> {
  const place = await newPlace(kind, options.folder, env)
  const server = await startServer(kind, place)
  try {
    await createTopic(server.bootstrap, probeTopic, 1)
  } finally {
    await server.stop()
  }
  return place
}

async function timeToFirst(kind: Kind, place: Place) {
  const begin = performance.now()
  const server = await kind.launch(place)
  try {
    await firstAcknowledged(server.bootstrap, probeTopic, startTimeoutMs)
    return { server, ms: performance.now() - begin }
  } catch (error) {
    await server.kill()
    throw error
  }
}

/** Measures start to first acknowledged record, on a data folder that was stopped cleanly. */
export async function measureStart(
  systems: readonly System[],
  options: BenchOptions,
  recorder: Recorder,
  env: Env,
): Promise<void> {
  const kinds = kindsOf(systems)
  const places = new Map<Kind, Place>()
  for (const kind of kinds) places.set(kind, await placeWithTopic(kind, options, env))
  for (let round = 0; round < (options.quick ? 3 : startRounds); round++) {
    for (const [kind, place] of places) {
      await run('sync', [])
      const { server, ms } = await timeToFirst(kind, place)
      await server.stop()
      console.log(`start to first acknowledged record, ${kind.name}: ${show(ms)} ms`)
      recorder.add({
        ...{ part: 'start', shape: 'start to first acknowledged record', round },
        ...{ system: kind.name, figures: { ms } },
      })
    }
  }
}

/** Measures resident memory, idle and at its peak while 1-KiB records come at full speed. */
export async function measureMemory(
  systems: readonly System[],
  options: BenchOptions,
  recorder: Recorder,
  env: Env,
): Promise<void> {
  for (const kind of kindsOf(systems)) {
    const place = await placeWithTopic(kind, options, env)
    const { server } = await timeToFirst(kind, place)
    try {
      await sleep(options.quick ? 3_000 : idleMs)
      const idle = ((await residentBytes(server.pid)) ?? Number.NaN) / 1e6
      await createTopic(server.bootstrap, 'memory', 12)
      const { peakMb } = await withPeakMemory(server.pid, () =>
        produce(server.bootstrap, {
          ...{ topic: 'memory', recordBytes: 1024, throughput: -1, warmup: 0 },
          records: Math.floor((options.produceBytes * 2) / 1024),
        }),
      )
      await sleep(options.quick ? 3_000 : idleMs)
      const after = ((await residentBytes(server.pid)) ?? Number.NaN) / 1e6
      console.log(
        `resident memory, ${kind.name}: ${show(idle)} MB idle, ${show(peakMb)} under load, ${show(after)} after`,
      )
      recorder.add({
        ...{ part: 'memory', shape: 'resident memory', round: 0, system: kind.name },
        figures: { idleMb: idle, loadMb: peakMb, afterMb: after },
      })
    } finally {
      await server.stop()
    }
  }
}

/** Measures the time from a start after kill -9 under load until a record is acknowledged again. */
export async function measureRestart(
  systems: readonly System[],
  options: BenchOptions,
  recorder: Recorder,
  env: Env,
): Promise<void> {
  for (let round = 0; round < options.rounds; round++) {
    for (const kind of kindsOf(systems)) {
      const place = await placeWithTopic(kind, options, env)
      const loaded = await startServer(kind, place)
      await createTopic(loaded.bootstrap, 'load', 12)
      const generator = startTool(
        'kafka-producer-perf-test',
        [
          ...['--bootstrap-server', loaded.bootstrap, '--topic', 'load', '--record-size', '1024'],
          ...['--num-records', '100000000', '--throughput', '-1'],
          ...['--command-property', 'acks=all'],
        ],
        { jvm: ['-Xmx512m'] },
      )
      await sleep(loadBeforeKillMs)
      await loaded.kill()
      await generator.stop('SIGKILL')
      const { server, ms } = await timeToFirst(kind, place)
      await server.stop()
      console.log(`kill -9 under load to first acknowledged record, ${kind.name}: ${show(ms)} ms`)
      recorder.add({
        ...{ part: 'restart', shape: 'kill -9 under load to first acknowledged record', round },
        ...{ system: kind.name, figures: { ms } },
      })
    }
  }
}
