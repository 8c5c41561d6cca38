/**
 * `millrace verify DIR`: looks at every checksum, offset, index and journal group of a data folder
 * that nobody has open, changes nothing, and says what is damaged, where, and what to do.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Finding, nodeDisk, type VerifyReport, verifyFolder } from '@millrace/engine'
import { CommandError, EXIT, type ExitCode } from 'millrace/errors'
import { type CommandContext, printRows } from '../terminal/context.ts'
import { bytes, counted } from '../text/quantity.ts'
import { withLockedDisk } from './locked-disk.ts'

const SEVERITIES: readonly Finding['severity'][] = ['damage', 'derived', 'note']

/** `verify DIR` */
export async function verify(context: CommandContext, folder: string): Promise<ExitCode> {
  const path = resolve(folder)
  if (!existsSync(path)) throw new CommandError(`there is no folder ${path}`, EXIT.usage)
  const report = await withLockedDisk(nodeDisk(path), path, disk => verifyFolder(disk))
  if (context.json) context.stdout.write(`${JSON.stringify({ folder: path, ...report })}\n`)
  else forEyes(context, path, report)
  if (isDamaged(report)) return EXIT.damage
  return report.logId === null ? EXIT.failed : EXIT.ok
}

function forEyes(context: CommandContext, path: string, report: VerifyReport): void {
  const { stdout } = context
  const parts = [
    counted(report.topics, 'topic'),
    counted(report.partitions, 'partition'),
    counted(report.segments, 'segment'),
    `${counted(report.batches, 'batch').replace('batchs', 'batches')}, ${bytes(report.bytes)}`,
    counted(report.journalGroups, 'journal group'),
  ]
  stdout.write(
    `${path}\nlog ${report.logId ?? 'unknown'}, ${report.cleanStop ? 'stopped cleanly' : 'not stopped cleanly'}\n`,
  )
  stdout.write(`${parts.join(', ')}\n`)
  if (report.findings.length === 0) {
    stdout.write(`${verdict(report)}\n`)
    return
  }
  stdout.write('\n')
  const findings = report.findings.toSorted(
    (a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity),
  )
  printRows(context, findings, {
    severity: finding => finding.severity,
    file: finding => finding.path,
    byte: finding => finding.position,
    what: finding => finding.what,
    'what to do': finding => finding.advice,
  })
  stdout.write(`\n${verdict(report)}\n`)
}

function verdict(report: VerifyReport): string {
  if (isDamaged(report)) return 'Acknowledged data is damaged.'
  return report.logId === null ? 'There is no log in this folder.' : 'No damage found.'
}

function isDamaged(report: VerifyReport): boolean {
  return report.findings.some(finding => finding.severity === 'damage')
}
