/**
 * A program that awaits one call of the engine and prints that it has come to an end: nothing else
 * keeps the process alive, and nothing closes the engine. Arguments: data folder, name of the call.
 */
import { openEngine } from '../../src/index.ts'
import { CALLS } from './alive-calls.ts'

const [folder = '', name = ''] = process.argv.slice(2)
const log = await openEngine({
  folder,
  settings: { 'log.cleaner.io.max.bytes.per.second': 65_536, 'journal.file.bytes': 65_536 },
  groupSettings: { 'group.initial.rebalance.delay.ms': 300 },
})
await CALLS[name]?.(log)
process.stdout.write(`${name} is done\n`)
