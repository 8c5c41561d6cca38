// What an import must come to: events against lines by a naive reading of both, read models by
// digests of their rows.
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openEmbedded, openStore } from 'millrace'

/** One line of a file of events. */
export interface Line {
  readonly applicationId: string
  readonly seq: number
  readonly activity: string
  readonly transition: string
  readonly time: string
  readonly resource?: string
  readonly amountRequested?: number
}

/** An event as far as these tests look at it. */
export interface SeenEvent {
  readonly bucket: number
  readonly stream: string
  readonly version: number
  readonly type: string
  readonly time: number
  readonly commandId: string | undefined
  readonly actor: string | undefined
}

/** All events of a folder that nobody has open, by bucket in the order of the log, from a new index. */
export async function eventsOf(data: string): Promise<readonly SeenEvent[]> {
  const index = await mkdtemp(join(tmpdir(), 'millrace-index-'))
  try {
    await using log = await openEmbedded({ data })
    await using store = await openStore({ log, folder: index, categories: { loan: {} } })
    const events: SeenEvent[] = []
    for await (const page of store.readAll(['loan'])) {
      for (const { bucket, stream, version, type, time, commandId, actor } of page.events) {
        events.push({ bucket, stream, version, type, time, commandId, actor })
      }
    }
    return events
  } finally {
    await rm(index, { recursive: true, force: true })
  }
}

/** Where events differ from the lines that they were made of; the first few. */
export function differences(lines: readonly string[], events: readonly SeenEvent[]): string[] {
  const found: string[] = []
  const say = (text: string): void => {
    if (found.length < 10) found.push(text)
  }
  const byCommand = new Map<string, SeenEvent>()
  for (const event of events) {
    const command = event.commandId ?? 'none'
    if (byCommand.has(command)) say(`${command} has more than one event`)
    byCommand.set(command, event)
  }
  for (const text of lines) {
    const line = JSON.parse(text) as Line
    const command = `${line.applicationId}/${line.seq}`
    const event = byCommand.get(command)
    if (event === undefined) say(`${command} has no event`)
    else if (
      event.stream !== line.applicationId ||
      event.version !== line.seq + 1 ||
      event.time !== Date.parse(line.time) ||
      event.actor !== line.resource
    ) {
      say(`${command} is ${JSON.stringify(event)}`)
    }
    byCommand.delete(command)
  }
  for (const command of byCommand.keys()) say(`${command} is of no line`)
  return found
}

/** Digest of each read model's rows, in the order of their text. */
export function digests(data: string): Readonly<Record<string, string>> {
  const file = join(data, 'applications', 'loans', 'read-models.sqlite')
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const views = database
      .prepare("select name from sqlite_master where type = 'view' order by name")
      .all() as unknown as { name: string }[]
    return Object.fromEntries(
      views.map(({ name }) => {
        const rows = database.prepare(`select * from "${name}"`).all()
        const hash = createHash('sha256')
        for (const row of rows.map(each => JSON.stringify(each)).toSorted()) hash.update(`${row}\n`)
        return [name, `${rows.length} rows ${hash.digest('hex')}`]
      }),
    )
  } finally {
    database.close()
  }
}

/** The figures that the application shows, counted in the lines without it. */
export function naiveFigures(lines: readonly string[]): Readonly<Record<string, number>> {
  const states: Record<string, string> = {
    A_APPROVED: 'approved',
    A_DECLINED: 'declined',
    A_CANCELLED: 'cancelled',
  }
  const ended = new Map<string, string>()
  const length = new Map<string, number>()
  const working = new Map<string, string>()
  let euros = 0
  for (const text of lines) {
    const line = JSON.parse(text) as Line
    length.set(line.applicationId, (length.get(line.applicationId) ?? 0) + 1)
    euros += line.amountRequested ?? 0
    const end = states[line.activity]
    if (end !== undefined) ended.set(line.applicationId, end)
    const item = `${line.applicationId} ${line.activity}`
    if (line.transition === 'START') working.set(item, line.resource ?? 'nobody')
    if (line.transition === 'COMPLETE') working.delete(item)
  }
  const count = (end: string): number => [...ended.values()].filter(each => each === end).length
  return {
    events: lines.length,
    applications: length.size,
    open: length.size - ended.size,
    approved: count('approved'),
    declined: count('declined'),
    cancelled: count('cancelled'),
    euros,
    'employees at work': new Set(working.values()).size,
    'most events of one': Math.max(...length.values()),
  }
}
