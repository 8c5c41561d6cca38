// The log in memory keeps every promise of the port.
import { logConformance } from '@millrace/conformance/log'
import { SimDisk } from '@millrace/engine/simulation'
import type { Log } from '@millrace/log'
import { describe, expect, test } from 'vitest'
import { MEMORY_SETTINGS } from '../src/memory-log.ts'
import { openOn } from '../src/open-embedded.ts'
import { openMemoryLog } from '../src/testing.ts'

const disks = new WeakMap<Log, SimDisk>()

/** As `openMemoryLog` opens it, but for the disk, which outlives the log. */
async function openAgain(disk: SimDisk): Promise<Log> {
  const log = await openOn(
    { ...MEMORY_SETTINGS, 'log.cleaner.backoff.ms': 100, data: '' },
    { disk },
    'test',
  )
  disks.set(log, disk)
  return log
}

describe('the log in memory', () => {
  const cases = logConformance({
    open: () => openAgain(new SimDisk()),
    reopen: async log => {
      await log.close()
      return openAgain(disks.get(log) ?? new SimDisk())
    },
    features: {
      compactedTopics: true,
      cleansSoon: true,
      singleNode: true,
      durability: true,
      refusesTransactions: true,
      closes: true,
      sessionTimeoutMsMin: 1000,
    },
  })
  for (const { name, run } of cases) test.concurrent(name, run)
})

test('logs in memory know nothing of each other, and take settings', async () => {
  await using one = await openMemoryLog({ 'num.partitions': 3 })
  await using other = await openMemoryLog()
  expect(await one.createTopics([{ name: 't' }])).toMatchObject([{ name: 't', partitions: 3 }])
  expect(await other.describeTopics(['t'])).toEqual([])
  await expect(openMemoryLog({ 'num.partitions': 0 })).rejects.toThrow('num.partitions')
})
