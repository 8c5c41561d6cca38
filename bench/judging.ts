// What it costs to look at the records of a batch before it is stored: `node bench/judging.ts
// [ROUNDS]`. Three loops over the same batches, turn by turn, in CPU time: header and checksum alone,
// as without judging; the whole verdict; and the whole append in an engine, answered once the page
// cache has it (durability os), which a node's protocol and sockets come on top of. Medians.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Engine, openEngine } from '@millrace/engine'
import { type Compression, encodeBatch, judgeBatch, validateBatch } from '@millrace/log'
import { median } from './stats.ts'

const rounds = Number(process.argv[2] ?? 5)
const loopMs = 500
/** Appends that wait for their answer at once, as of a client with five requests in flight. */
const inFlight = 5
const rules = { decompressedBytesMax: 128 * 1024 * 1024, decompressedRatioMax: 100 }

/** A batch as a client of 16 KiB batches sends it: JSON, a key, no headers. */
function batchOf(recordBytes: number, compression: Compression): Buffer {
  const count = Math.floor((16 * 1024) / recordBytes)
  const records = Array.from({ length: count }, (_, i) => {
    const id = (i * 2_654_435_761) % 1_000_003
    const start = `{"id":${id},"user":"u-${id % 997}","amount":${(id * 31) % 10_007},"text":"`
    const text = Array.from({ length: recordBytes }, (_, n) => ((id * (n + 7)) % 36).toString(36))
    return { key: `k-${id}`, value: `${start}${text.join('')}`.slice(0, recordBytes - 14) }
  })
  return encodeBatch({ records, compression, timestamp: Date.now() })
}

/** CPU microseconds of one call, of all threads of the process. */
async function cpuOf(call: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  const end = performance.now() + loopMs
  let calls = 0
  while (performance.now() < end) {
    for (let i = 0; i < 20; i++) {
      const pending = call()
      if (pending instanceof Promise) await pending
      calls++
    }
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}

async function appendAll(engine: Engine, batch: Buffer): Promise<void> {
  const appends = Array.from({ length: inFlight }, () =>
    engine.append([{ topic: 't', partition: 0, batch }]),
  )
  const [first] = (await Promise.all(appends)).flat()
  if (first?.error !== undefined) throw first.error
}

/** The medians of one shape. */
async function measure(
  engine: Engine,
  batch: Buffer,
): Promise<{ checked: number; judged: number; append: number }> {
  const figures: { checked: number; judged: number; append: number }[] = []
  for (let round = 0; round <= rounds; round++) {
    const checked = await cpuOf(() => validateBatch(batch, 0, batch.length))
    const judged = await cpuOf(() => judgeBatch(batch, 0, batch.length, rules, 1 << 20))
    const append = (await cpuOf(() => appendAll(engine, batch))) / inFlight
    if (round > 0) figures.push({ checked, judged, append })
  }
  const of = (name: 'checked' | 'judged' | 'append'): number =>
    median(figures.map(each => each[name]))
  return { checked: of('checked'), judged: of('judged'), append: of('append') }
}

const folder = await mkdtemp(join(tmpdir(), 'millrace-judging-'))
const engine = await openEngine({ folder })
await engine.createTopics([
  { name: 't', partitions: 1, configs: { durability: 'os', 'retention.bytes': '268435456' } },
])
console.log('| batch of 16 KiB | header and checksum | all records as well | append | share |')
console.log('| --- | ---: | ---: | ---: | ---: |')
for (const recordBytes of [1024, 100]) {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const { checked, judged, append } = await measure(engine, batchOf(recordBytes, compression))
    const cost = judged - checked
    const share = `${((100 * cost) / (append - cost)).toFixed(1)} %`
    const row = [`${recordBytes} B, ${compression}`, ...[checked, judged, append].map(show), share]
    console.log(`| ${row.join(' | ')} |`)
  }
}
await engine.close()
await rm(folder, { recursive: true })

function show(microseconds: number): string {
  return microseconds.toFixed(1)
}
