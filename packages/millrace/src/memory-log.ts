/**
 * A log in memory, for tests of applications.
 *
 * It is the embedded engine on its own simulated disk, and not a second implementation of the port: a
 * plain one would be some nine hundred lines (the group protocol alone is a third of that), each of
 * which could be wrong in another way than the engine that runs in production, and would have to be
 * changed with every change of the port. This one keeps every promise of the port because the engine
 * does, topic configuration, compaction and rebalances included; it needs no folder and leaves nothing
 * behind. The price is what the engine does beside the promise, some 30 ms to open and about 13 MB a log.
 * It cannot stand in package `conformance`, which may import only what it tests.
 */
import type { Log } from '@millrace/log'
import type { EmbeddedSettings } from './config/tables.ts'

const MIB = 1024 * 1024

/** Little memory, and no waits that are for many members. A setting that is given wins. */
export const MEMORY_SETTINGS: EmbeddedSettings = {
  'group.initial.rebalance.delay.ms': 0,
  'group.min.session.timeout.ms': 1000,
  'journal.file.bytes': 2 * MIB,
  'journal.max.bytes': 8 * MIB,
}

/**
 * Opens a log that is gone when it is closed. Settings as `openEmbedded` has them.
 *
 *     await using log = await openMemoryLog()
 */
export async function openMemoryLog(settings: EmbeddedSettings = {}): Promise<Log> {
  // Loaded here, so that tests of pure functions do not load an engine with their words.
  const [{ SimDisk }, { openOn }] = await Promise.all([
    import('@millrace/engine/simulation'),
    import('./open-embedded.ts'),
  ])
  const options = { ...MEMORY_SETTINGS, ...settings, data: 'memory' }
  return openOn(options, { disk: new SimDisk() }, 'openMemoryLog()')
}
