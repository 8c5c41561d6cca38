// What the disk gives in the same run: 4-KiB writes one after the other, each followed by fdatasync,
// over a file that is already filled with zeros, so that no sync writes metadata.
import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender, Measure } from './contenders.ts'

const writeBytes = 4096
const fileBytes = 64 * 1024 * 1024

const syncedWrites: Measure<'disk'> = async ({ folder }, { seconds }) => {
  const file = openSync(join(folder, 'synced-writes'), 'w')
  const zeros = Buffer.alloc(1024 * 1024)
  for (let at = 0; at < fileBytes; at += zeros.length) writeSync(file, zeros, 0, zeros.length, at)
  fsyncSync(file)
  const page = Buffer.alloc(writeBytes, 0x5a)
  let writes = 0
  const begin = performance.now()
  while (performance.now() - begin < seconds * 1000) {
    writeSync(file, page, 0, writeBytes, (writes * writeBytes) % fileBytes)
    fdatasyncSync(file)
    writes++
  }
  const writesPerSecond = (writes * 1000) / (performance.now() - begin)
  closeSync(file)
  return { writesPerSecond }
}

/** The disk itself. */
export const disk: Contender = {
  name: 'disk',
  postgres: false,
  version: async () => undefined,
  measures: { disk: syncedWrites },
}
