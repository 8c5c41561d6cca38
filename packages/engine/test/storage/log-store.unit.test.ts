// What enters the store takes offsets and a place in the journal, or neither.
import { resolveSettings } from '@millrace/base'
import { expect, test } from 'vitest'
import type { PartitionLog } from '../../src/partitions/partition-log.ts'
import { FileCache } from '../../src/segments/file-cache.ts'
import { ENGINE_SETTINGS } from '../../src/settings.ts'
import { SimDisk } from '../../src/simulation.ts'
import { Journal, STAGING_SLOTS } from '../../src/storage/journal.ts'
import { JournalRing } from '../../src/storage/journal-ring.ts'
import { LogStore } from '../../src/storage/log-store.ts'
import { JOURNAL_FOLDER } from '../../src/storage/ring-register.ts'
import { batchOf, HandTime, HandWriter } from './support.ts'

test('a batch that the closed journal does not take has taken no offsets', async () => {
  const time = new HandTime()
  const disk = new SimDisk()
  disk.makeFolder(JOURNAL_FOLDER)
  const ring = new JournalRing(disk, { fileBytes: 65_536, filesMax: 1 }, [])
  await ring.start()
  const settings = resolveSettings(ENGINE_SETTINGS, {})
  const store = new LogStore({ disk, cache: new FileCache(disk, 8), outside: time, settings })
  const journal = new Journal<PartitionLog>({
    writer: new HandWriter(STAGING_SLOTS, 16 * 1024),
    ring,
    outside: time,
    salt: Buffer.alloc(8, 1),
    limits: { groupBytesMax: 16 * 1024, stallMaxMs: 60_000, syncIntervalMs: 50 },
    events: {
      onSealed: () => undefined,
      onComplete: () => undefined,
      onRoom: () => undefined,
      onLack: () => undefined,
      isShort: () => false,
      onPressure: () => true,
      onFenced: () => undefined,
    },
  })
  store.attach(journal)
  let taken = 0
  const take = (count: number): number => {
    taken += count
    return 0
  }
  const partition = { id: 16, leaderEpoch: 0, take } as unknown as PartitionLog
  store.enter(partition, batchOf(1), 1, { needsSync: false })
  expect(taken).toBe(1)
  const closing = journal.close()
  expect(() => store.enter(partition, batchOf(1), 1, { needsSync: false })).toThrow(
    expect.objectContaining({ code: 'LOG_CLOSED' }),
  )
  expect(taken).toBe(1)
  void closing
})
