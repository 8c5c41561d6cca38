// The process under measurement of partitions.ts: `partitions-worker.ts MODE DIR COUNT`. Prints
// "ready" when the engine has opened, then one line of JSON.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { openEngine } from '@millrace/engine'
import { oneRecordBatch } from './record-batch.ts'

const [mode = '', folder = '', countText] = process.argv.slice(2)
const count = Number(countText)
const PARTITIONS_PER_TOPIC = 1000
const AT_ONCE = 500

const begin = performance.now()
const engine = await openEngine({
  folder,
  settings: { 'partitions.max': 1_000_000, 'topics.max': 1_000_000 },
})
const openMs = performance.now() - begin
// Beside other work on the machine the CPU time says more than the clock.
const openCpuMs = process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000
console.log('ready')

const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const longestTurnMs = (): number => delay.max / 1e6

const topicsNeeded = Math.ceil(count / PARTITIONS_PER_TOPIC)
const place = (i: number) => ({
  topic: `t${Math.floor(i / PARTITIONS_PER_TOPIC)}`,
  partition: i % PARTITIONS_PER_TOPIC,
})

async function topics(): Promise<Record<string, number>> {
  const from = performance.now()
  for (let i = 0; i < count; i++) {
    const [outcome] = await engine.createTopics([{ name: `topic-${i}`, partitions: 1 }])
    if (outcome?.error !== undefined) throw outcome.error
  }
  const ms = performance.now() - from
  return { ms, topicsPerSecond: (count * 1000) / ms, longestTurnMs: longestTurnMs() }
}

async function fill(): Promise<Record<string, number>> {
  const heapBefore = heapBytes()
  const creating = performance.now()
  for (let t = 0; t < topicsNeeded; t++) {
    const partitions = Math.min(PARTITIONS_PER_TOPIC, count - t * PARTITIONS_PER_TOPIC)
    const [outcome] = await engine.createTopics([{ name: `t${t}`, partitions }])
    if (outcome?.error !== undefined) throw outcome.error
  }
  const createMs = performance.now() - creating
  const heapOfEmpty = (heapBytes() - heapBefore) / count
  delay.reset()
  const batch = oneRecordBatch(100)
  const appending = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let i = next++; i < count; i = next++) {
        const [result] = await engine.append([{ ...place(i), batch }])
        if (result?.error !== undefined) throw result.error
      }
    }),
  )
  const appendMs = performance.now() - appending
  const heapOfWritten = (heapBytes() - heapBefore) / count
  return {
    openMs,
    openCpuMs,
    createMs,
    appendMs,
    longestTurnMs: longestTurnMs(),
    heapBytesEmpty: heapOfEmpty,
    heapBytesWritten: heapOfWritten,
  }
}

async function start(): Promise<Record<string, number>> {
  const reading = performance.now()
  const ends = await engine.listOffsets(
    Array.from({ length: count }, (_, i) => ({ ...place(i), place: 'latest' as const })),
  )
  const wrong = ends.filter(({ offset }) => offset !== 1).length
  const rssMb = process.memoryUsage().rss / 1e6
  return {
    openMs,
    openCpuMs,
    readEndsMs: performance.now() - reading,
    wrong,
    rssMb,
    longestTurnMs: longestTurnMs(),
  }
}

function heapBytes(): number {
  ;(globalThis as { gc?: () => void }).gc?.()
  return process.memoryUsage().heapUsed
}

const work = { topics, fill, start }[mode]
if (work === undefined) throw new Error(`no such mode: ${mode}`)
console.log(JSON.stringify(await work()))
if (mode === 'fill')
  setTimeout(() => undefined, 60_000) // waits for its kill
else {
  const closing = performance.now()
  await engine.close()
  console.error(`closed in ${Math.round(performance.now() - closing)} ms`)
}
