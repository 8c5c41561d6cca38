// The outside journal of acknowledgements: one file for each writing process, a line for each
// acknowledgement, appended as soon as the answer arrives and before anything else is done with it.
// The writers are never killed, so a line in the file is an acknowledgement that happened.
import { appendFileSync, readFileSync } from 'node:fs'

/** An acknowledged record, or an acknowledged commit of a group's offset. */
export type Entry =
  | {
      readonly kind: 'record'
      readonly partition: number
      readonly offset: number
      readonly value: string
    }
  | { readonly kind: 'commit'; readonly partition: number; readonly offset: number }

/** Appends entries. */
export function note(file: string, entries: readonly Entry[]): void {
  appendFileSync(
    file,
    entries
      .map(entry =>
        entry.kind === 'record'
          ? `r ${entry.partition} ${entry.offset} ${entry.value}\n`
          : `c ${entry.partition} ${entry.offset}\n`,
      )
      .join(''),
  )
}

/** All whole lines of a journal. */
export function readJournal(file: string): Entry[] {
  const text = readFileSync(file, 'utf8')
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [kind, partition, offset, value = ''] = line.split(' ')
      const place = { partition: Number(partition), offset: Number(offset) }
      return kind === 'r' ? { kind: 'record', ...place, value } : { kind: 'commit', ...place }
    })
}
