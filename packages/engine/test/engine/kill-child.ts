/**
 * A process to be killed: appends with idempotent producers and notes every acknowledgement in a
 * file of its own. Arguments: data folder, file of the acknowledgements, number of the run.
 *
 * A line is `partition offset value`. Each value is stored at most once: `RUN-WRITER-SEQUENCE`.
 */
import { openSync, writeSync } from 'node:fs'
import { encodeBatch } from '@millrace/log'
import { openEngine } from '../../src/index.ts'

const [folder = '', acknowledgements = '', run = ''] = process.argv.slice(2)
const WRITERS = 6
const IN_FLIGHT = 3

const log = await openEngine({
  folder,
  settings: { 'journal.file.bytes': 1 << 20, 'checkpoint.bytes': 65_536, 'disk.reserve.bytes': 0 },
})
await log.createTopics([{ name: 't', partitions: 4, configs: { 'segment.bytes': '65536' } }])
const file = openSync(acknowledgements, 'a')

async function write(writer: number): Promise<void> {
  const producer = await log.initProducer({ transactionalId: null })
  const partition = writer % 4
  const flying: Promise<void>[] = []
  for (let sequence = 0; ; sequence += 2) {
    const values = [sequence, sequence + 1].map(n => `${run}-${writer}-${n}`)
    const records = values.map(value => ({ key: value, value }))
    const batch = encodeBatch({ records, producer, baseSequence: sequence, timestamp: Date.now() })
    const send = async (): Promise<void> => {
      const [result] = await log.append([{ topic: 't', partition, batch }])
      if (result === undefined || result.error !== undefined) throw result?.error
      const lines = values.map((value, i) => `${partition} ${result.baseOffset + i} ${value}\n`)
      writeSync(file, lines.join(''))
    }
    // Every seventh batch is sent twice, as a client does that has lost an answer.
    flying.push(send())
    if (sequence % 14 === 0) flying.push(send())
    while (flying.length >= IN_FLIGHT) await flying.shift()
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))
