// When a partition is due, and what may be touched.
import { describe, expect, test } from 'vitest'
import {
  type CleaningRules,
  type PlannedPartition,
  type PlannedSegment,
  planCleaning,
} from '../../../src/storage/compaction/cleaning-plan.ts'

const NOW = 100_000
const FOREVER = Number.MAX_SAFE_INTEGER
const RULES: CleaningRules = {
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: FOREVER,
  deleteRetentionMs: 0,
}

/** Segments of 100 offsets and 1000 bytes each, begun one a second up to now; the last is written. */
function partitionOf(count: number, change: Partial<PlannedPartition> = {}): PlannedPartition {
  const segments = Array.from({ length: count }, (_, i): PlannedSegment => {
    const createdAt = NOW - (count - i) * 1000
    return {
      ...{ baseOffset: i * 100, nextOffset: (i + 1) * 100, bytes: 1000, createdAt },
      ...{ closedAt: createdAt + 1000, covered: i < count - 1 },
    }
  })
  return {
    segments,
    cleaning: { cleanedTo: 0, tombstonesUntil: null },
    stableEnd: count * 100,
    ...change,
  }
}

const plan = (
  partition: PlannedPartition,
  rules: Partial<CleaningRules> = {},
  asked = false,
): unknown => {
  const due = planCleaning(partition, { ...RULES, ...rules }, at => NOW - at, asked)
  return due === null ? null : [due.reason, due.dirtyFrom, due.dirtyTo]
}

describe('a cleaning', () => {
  test('never touches the segment that is written, nor one that no checkpoint lists whole', () => {
    expect(plan(partitionOf(4))).toEqual(['ratio', 0, 300])
    const { segments, ...rest } = partitionOf(4)
    const uncovered = segments.map((s, i) => ({ ...s, covered: i < 2 }))
    expect(plan({ ...rest, segments: uncovered })).toEqual(['ratio', 0, 200])
    expect(plan(partitionOf(1))).toBeNull()
    expect(plan(partitionOf(0), {}, true)).toBeNull()
  })

  test('never touches a record at or behind the stable end, also within a segment', () => {
    expect(plan(partitionOf(4, { stableEnd: 150 }))).toEqual(['ratio', 0, 150])
    expect(plan(partitionOf(4, { stableEnd: 0 }))).toBeNull()
  })

  test('leaves what is younger than the minimal lag, whoever asks', () => {
    const lag = { minCompactionLagMs: 2500 }
    expect(plan(partitionOf(6), lag)).toEqual(['ratio', 0, 300])
    expect(plan(partitionOf(6), lag, true)).toEqual(['asked', 0, 300])
    expect(plan(partitionOf(6), { minCompactionLagMs: FOREVER }, true)).toBeNull()
  })

  test('begins where the last one ended, and is due by the share of what came since', () => {
    const cleanedTo = (offset: number) =>
      partitionOf(11, { cleaning: { cleanedTo: offset, tombstonesUntil: null } })
    expect(plan(cleanedTo(500))).toEqual(['ratio', 500, 1000])
    expect(plan(cleanedTo(600))).toBeNull()
    expect(plan(cleanedTo(600), { minCleanableDirtyRatio: 0.4 })).toEqual(['ratio', 600, 1000])
    expect(plan(cleanedTo(1000), { minCleanableDirtyRatio: 0 })).toBeNull()
    expect(plan(cleanedTo(950), {}, true)).toEqual(['asked', 950, 1000])
  })

  test('is due by its age whatever the share is', () => {
    const partition = partitionOf(11, { cleaning: { cleanedTo: 800, tombstonesUntil: null } })
    expect(plan(partition, { maxCompactionLagMs: 3001 })).toBeNull()
    expect(plan(partition, { maxCompactionLagMs: 3000 })).toEqual(['lag', 800, 1000])
  })

  test('of tombstones alone is due when the first of them may go', () => {
    const until = (tombstonesUntil: number) =>
      partitionOf(11, { cleaning: { cleanedTo: 1000, tombstonesUntil } })
    expect(plan(until(NOW + 1))).toBeNull()
    expect(plan(until(NOW))).toEqual(['tombstones', 1000, 1000])
    expect(plan(until(NOW + 1), {}, true)).toBeNull()
  })

  test('holds the maximal lag where a default of the node crosses it', () => {
    const rules = { minCompactionLagMs: FOREVER, maxCompactionLagMs: 2000 }
    expect(plan(partitionOf(6), rules)).toEqual(['lag', 0, 400])
  })
})
