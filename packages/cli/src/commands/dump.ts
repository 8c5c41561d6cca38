/**
 * `millrace dump FILE|DIR`: the batches of a segment file, or the groups of a folder's journal.
 * Damage is printed where it is found, and makes the exit code.
 */
import { statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import {
  type DumpedBatch,
  type DumpedRecord,
  dumpJournal,
  dumpSegment,
  nodeDisk,
} from '@millrace/engine'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import type { CommandContext } from '../terminal/context.ts'
import { withLockedDisk } from './locked-disk.ts'

const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const SEGMENT_SUFFIX = '.log'

/** Options of `dump`. */
export type DumpOptions = {
  /** Whether the records of each batch are shown too. */
  readonly records?: boolean
}

/** `dump FILE|DIR` */
export async function dump(
  context: CommandContext,
  path: string,
  options: DumpOptions,
): Promise<ExitCode> {
  const target = resolve(path)
  const stat = statSync(target, { throwIfNoEntry: false })
  if (stat === undefined) throw new CommandError(`there is no ${target}`, EXIT.usage)
  const records = options.records === true
  if (stat.isDirectory()) {
    return withLockedDisk(nodeDisk(target), target, async disk => {
      for (const group of dumpJournal(disk, { records })) {
        print(context, group, () => {
          const { path: file, position, seq, durableUpTo, payloadBytes, entries } = group
          const head = `${file} @${position}  group ${seq}  durable up to ${durableUpTo}  ${payloadBytes} bytes`
          const lines = entries.map(
            entry => `  partition ${entry.partitionId}  ${batchText(entry.batch)}`,
          )
          return [head, ...lines].join('\n')
        })
        await context.stdout.ready()
      }
      return EXIT.ok
    })
  }
  return dumpFile(context, target, records)
}

async function dumpFile(
  context: CommandContext,
  target: string,
  records: boolean,
): Promise<ExitCode> {
  if (!target.endsWith(SEGMENT_SUFFIX)) {
    throw new CommandError(
      `${target} is no segment`,
      EXIT.usage,
      'Give a segment (partitions/.../*.log), or a data folder for its journal.',
    )
  }
  // A segment is only read, whole batch by whole batch: a running node does not mind.
  const disk = nodeDisk(dirname(target))
  let code: ExitCode = EXIT.ok
  try {
    for (const line of dumpSegment(disk, basename(target), { records })) {
      if ('damage' in line) code = EXIT.damage
      print(context, line, () =>
        'damage' in line ? `@${line.position}  DAMAGED: ${line.damage}` : batchText(line),
      )
      await context.stdout.ready()
    }
  } finally {
    await disk.close()
  }
  return code
}

function print(context: CommandContext, json: object, text: () => string): void {
  context.stdout.write(`${context.json ? JSON.stringify(json) : text()}\n`)
}

function batchText(batch: DumpedBatch): string {
  const parts = [
    `@${batch.position}`,
    `offsets ${batch.baseOffset}..${batch.lastOffset}`,
    `${batch.records} records`,
    `${batch.bytes} bytes`,
    COMPRESSIONS[batch.compression] ?? `compression ${batch.compression}`,
    batch.maxTimestamp >= 0 ? new Date(batch.maxTimestamp).toISOString() : 'no time',
    `epoch ${batch.leaderEpoch}`,
  ]
  if (batch.producerId >= 0) {
    parts.push(`producer ${batch.producerId}/${batch.producerEpoch} seq ${batch.baseSequence}`)
  }
  return [parts.join('  '), ...(batch.content ?? []).map(recordText)].join('\n')
}

function recordText({ offset, timestamp, key, value }: DumpedRecord): string {
  return `    ${offset}  ${timestamp}  ${JSON.stringify(key)}  ${JSON.stringify(value)}`
}
