// The process under measurement of embedded.ts: `embedded-worker.ts raw|embedded DIR WRITERS BYTES
// SECONDS`. Prints one line of JSON. The raw loop is as good as it gets in one thread: a file that
// is already filled with zeros (so that fdatasync writes no metadata), one write and one fdatasync
// for a round of all writers, no protocol, no index, no acknowledgement.
import { closeSync, fdatasyncSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { oneRecordBatch } from './record-batch.ts'

const [mode = '', folder = '', writersText, bytesText, secondsText] = process.argv.slice(2)
const writers = Number(writersText)
const seconds = Number(secondsText)
const batch = oneRecordBatch(Number(bytesText))
const warmupMs = 1_000
const topic = 'appends'
const partitions = 12

interface Result {
  readonly appendsPerSecond: number
  /** Processor microseconds of all threads an append: hardly moved by what else the machine does. */
  readonly cpuMicros?: number
  readonly syncsPerSecond?: number
}

function raw(): Result {
  const fileBytes = 64 * 1024 * 1024
  mkdirSync(folder, { recursive: true })
  const file = openSync(join(folder, 'raw'), 'w+')
  const zeros = Buffer.alloc(1024 * 1024)
  for (let at = 0; at < fileBytes; at += zeros.length) writeSync(file, zeros, 0, zeros.length, at)
  fsyncSync(file)
  const round = Buffer.concat(Array.from({ length: writers }, () => batch))
  let at = 0
  const loop = (ms: number): { readonly rounds: number; readonly ms: number } => {
    const begin = performance.now()
    let rounds = 0
    while (performance.now() - begin < ms) {
      if (at + round.length > fileBytes) at = 0
      writeSync(file, round, 0, round.length, at)
      fdatasyncSync(file)
      at += round.length
      rounds++
    }
    return { rounds, ms: performance.now() - begin }
  }
  loop(warmupMs)
  const { rounds, ms } = loop(seconds * 1000)
  closeSync(file)
  return {
    appendsPerSecond: (rounds * writers * 1000) / ms,
    syncsPerSecond: (rounds * 1000) / ms,
  }
}

async function embedded(): Promise<Result> {
  const { openEmbedded } = await import('millrace')
  await using log = await openEmbedded({ data: folder })
  for (const outcome of await log.createTopics([{ name: topic, partitions }])) {
    if (outcome.error !== undefined) throw outcome.error
  }
  let appends = 0
  let running = true
  const writer = async (partition: number): Promise<void> => {
    // Its own copy: the log may write the offset into the batch.
    const own = Buffer.from(batch)
    while (running) {
      const [result] = await log.append([{ topic, partition, batch: own }])
      if (result?.error !== undefined) throw result.error
      appends++
    }
  }
  const done = Promise.all(Array.from({ length: writers }, (_, i) => writer(i % partitions)))
  const wait = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
  await Promise.race([wait(warmupMs), done])
  const before = appends
  const cpuBefore = process.cpuUsage()
  const begin = performance.now()
  await Promise.race([wait(seconds * 1000), done])
  const figure = ((appends - before) * 1000) / (performance.now() - begin)
  const { user, system } = process.cpuUsage(cpuBefore)
  const cpuMicros = (user + system) / (appends - before)
  running = false
  await done
  return { appendsPerSecond: figure, cpuMicros }
}

const result = mode === 'raw' ? raw() : await embedded()
console.log(JSON.stringify(result))
