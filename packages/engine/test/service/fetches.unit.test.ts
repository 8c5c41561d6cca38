// Fetches that have what they waited for: each is answered, and let go, whatever the others do.

import type { Turns } from '@millrace/base'
import type { FetchRequest } from '@millrace/log'
import { expect, test } from 'vitest'
import type { PartitionLog, PartitionWaiter } from '../../src/partitions/partition-log.ts'
import { Fetches } from '../../src/service/fetches.ts'
import type { TopicTable } from '../../src/service/topic-table.ts'
import type { EngineSettings } from '../../src/settings.ts'

const request: FetchRequest = {
  positions: [{ topic: 't', partition: 0, offset: 0, maxBytes: 100 }],
  minBytes: 1,
  maxBytes: 100,
  maxWaitMs: 1000,
  isolation: 'read_uncommitted',
}

/** Fetches of one empty partition, and what is done first when somebody looks at it. */
function scene() {
  const waiters = new Set<PartitionWaiter>()
  const look = { first: (): void => undefined }
  const turns = { spent: () => false } as unknown as Turns
  const partition = {
    ...{ waiters, gone: false, leaderEpoch: 0, takenBytes: 0 },
    ...{ logStart: 0, nextOffset: 0, highWatermark: 0 },
    locate: () => undefined,
    unprepared: () => void look.first(),
  } as unknown as PartitionLog
  const topics = { readable: () => partition } as unknown as TopicTable
  const settings = {
    ...{ 'fetch.max.bytes': 100, 'fetch.max.wait.ms': 1000, 'fetch.waiting.max': 1000 },
  } as unknown as EngineSettings
  const timers = { after: () => ({ cancel: () => undefined }) }
  const fetches = new Fetches(topics, timers, settings, turns)
  return { fetches, look }
}

test('one whose look fails is told so, and those behind it are answered, now and later', async () => {
  const { fetches, look } = scene()
  const first = fetches.fetchSlices(request)
  const second = fetches.fetchSlices(request)
  look.first = () => {
    look.first = () => undefined
    throw new Error('as the test asked')
  }
  fetches.close()
  await expect(first).rejects.toThrow('as the test asked')
  expect(await second).toHaveLength(1)
  const later = fetches.fetchSlices(request)
  fetches.close()
  expect(await later).toHaveLength(1)
  expect(fetches.waitingCount).toBe(0)
})

test('each is let go as it is answered, not when all have been', async () => {
  const { fetches, look } = scene()
  const waiting = Array.from({ length: 5 }, () => fetches.fetchSlices(request))
  const left: number[] = []
  look.first = () => void left.push(fetches.waitingCount)
  fetches.close()
  await Promise.all(waiting)
  expect(left).toEqual([4, 3, 2, 1, 0])
})
