// Compares what the outside journals say was acknowledged with what the log holds, and throws with
// everything that is wrong: an acknowledged record that is missing, elsewhere or there twice, any
// record that is there twice, a writer's records out of order, a commit that moved back.
import type { Entry } from './journal.ts'
import { RawClient, type Stored } from './raw-client.ts'

const readTimeoutMs = 60_000
/** Codes of a partition that has no leader yet: UNKNOWN_TOPIC, LEADER_NOT_AVAILABLE, NOT_LEADER. */
const notReady = new Set([3, 5, 6])
const maxReported = 20

/** What is audited. */
export interface Known {
  readonly topic: string
  readonly partitions: number
  readonly group: string
}

/** Every record of a partition up to its high watermark. */
export async function readPartition(
  client: RawClient,
  topic: string,
  partition: number,
): Promise<Stored[]> {
  const records: Stored[] = []
  const deadline = Date.now() + readTimeoutMs
  let next = 0
  for (;;) {
    const answer = await client.fetch(topic, partition, next)
    if (notReady.has(answer.code) && Date.now() < deadline) {
      await new Promise(done => setTimeout(done, 20))
      continue
    }
    if (answer.code !== 0) throw new Error(`fetch at ${next} answered ${answer.code}`)
    for (const record of answer.records) {
      if (record.offset < next) continue
      records.push(record)
      next = record.offset + 1
    }
    if (next >= answer.highWatermark) return records
    if (Date.now() > deadline) throw new Error(`partition ${partition} not read up to its end`)
  }
}

/** The figures of an audit that found nothing wrong. */
export interface Audited {
  readonly stored: number
  readonly acknowledged: number
  readonly commits: number
}

/** What is wrong with the records of all partitions, given the acknowledgements. */
export function wrongRecords(
  partitions: readonly (readonly Stored[])[],
  entries: readonly Entry[],
): string[] {
  const wrong: string[] = []
  const places = new Map<string, string>()
  const contents = new Map<string, string>()
  for (const [partition, records] of partitions.entries()) {
    const last = new Map<string, number>()
    for (const { offset, value } of records) {
      const place = `${partition}/${offset}`
      const other = places.get(value)
      if (other !== undefined) wrong.push(`${value} is at ${other} and again at ${place}`)
      places.set(value, place)
      contents.set(place, value)
      const writer = value.slice(0, value.indexOf(':'))
      const n = Number(value.slice(value.lastIndexOf(':') + 1))
      const previous = last.get(writer) ?? -1
      if (n < previous) wrong.push(`${value} at ${place} comes after ${writer}'s ${previous}`)
      last.set(writer, n)
    }
  }
  for (const entry of entries) {
    if (entry.kind !== 'record') continue
    const place = `${entry.partition}/${entry.offset}`
    if (contents.get(place) === entry.value) continue
    wrong.push(
      `${entry.value} was acknowledged at ${place}; there is ${contents.get(place) ?? 'nothing'}, and it is at ${places.get(entry.value) ?? 'no place'}`,
    )
  }
  return wrong
}

/** Audits the log against the journals' entries. `before` are the committed offsets seen by earlier audits. */
export async function audit(
  bootstrap: string,
  known: Known,
  entries: readonly Entry[],
  before: Map<number, number>,
): Promise<Audited> {
  const wrong: string[] = []
  const client = await RawClient.connect(bootstrap)
  let stored = 0
  try {
    const partitions: Stored[][] = []
    for (let partition = 0; partition < known.partitions; partition++) {
      partitions.push(await readPartition(client, known.topic, partition))
    }
    stored = partitions.reduce((sum, records) => sum + records.length, 0)
    wrong.push(...wrongRecords(partitions, entries))
    await auditCommits(client, known, entries, before, wrong)
  } finally {
    client.close()
  }
  if (wrong.length > 0) {
    throw new Error(
      `${wrong.length} findings:\n${wrong.slice(0, maxReported).join('\n')}${wrong.length > maxReported ? '\n...' : ''}`,
    )
  }
  const commits = entries.filter(entry => entry.kind === 'commit').length
  return { stored, acknowledged: entries.length - commits, commits }
}

async function auditCommits(
  client: RawClient,
  known: Known,
  entries: readonly Entry[],
  before: Map<number, number>,
  wrong: string[],
): Promise<void> {
  const acknowledged = new Map<number, number>()
  for (const entry of entries) {
    if (entry.kind === 'commit') acknowledged.set(entry.partition, entry.offset)
  }
  for (const [partition, offset] of acknowledged) {
    const found = await untilCoordinated(client, known, partition)
    const seen = before.get(partition) ?? -1
    if (found < offset || found < seen) {
      wrong.push(
        `partition ${partition}: ${offset} was acknowledged as committed and ${seen} was seen, now it is ${found}`,
      )
    }
    before.set(partition, Math.max(found, seen))
  }
}

/** The committed offset, once the group's coordinator has loaded. */
async function untilCoordinated(
  client: RawClient,
  known: Known,
  partition: number,
): Promise<number> {
  const deadline = Date.now() + readTimeoutMs
  for (;;) {
    const { code, offset } = await client.committed(known.group, known.topic, partition)
    if (code === 0) return offset
    if (Date.now() > deadline) throw new Error(`OffsetFetch answers ${code}`)
    await new Promise(done => setTimeout(done, 20))
  }
}
