// The order of what happens to a commit group.
import { expect, test } from 'vitest'
import type { PartitionLog } from '../../src/partitions/partition-log.ts'
import type { CommitGroup } from '../../src/storage/commit-group.ts'
import { CommitSequence } from '../../src/storage/commit-sequence.ts'
import type { JournalPosition } from '../../src/storage/journal-format.ts'

const group = (seq: number): CommitGroup<PartitionLog> => ({ seq }) as CommitGroup<PartitionLog>
const position: JournalPosition = {
  salt: '',
  path: '',
  position: 0,
  seq: 0,
  checksum: 0,
  files: [],
  fileBytes: 0,
}

function bench(withCheckpointer = true) {
  const told: string[] = []
  const sequence = new CommitSequence({
    apply: ({ seq }) => told.push(`apply ${seq}`),
    position: () => position,
    checkpointer: () =>
      withCheckpointer
        ? {
            sealed: seq => told.push(`copy machines ${seq}`),
            completed: seq => told.push(`copy ends ${seq}`),
          }
        : undefined,
    afterGroup: () => told.push('clockwork'),
  })
  return { told, sequence }
}

test('segments first, then what is shown, then the checkpoint, then the clockwork', () => {
  const { told, sequence } = bench()
  sequence.whenComplete(1, () => told.push('shown'))
  sequence.sealed(group(1))
  sequence.complete(group(1))
  expect(told).toEqual(['copy machines 1', 'apply 1', 'shown', 'copy ends 1', 'clockwork'])
})

test('an effect waits for its own group, and runs once', () => {
  const { told, sequence } = bench(false)
  sequence.whenComplete(2, () => told.push('second'))
  sequence.complete(group(1))
  sequence.whenComplete(3, () => told.push('third'))
  sequence.complete(group(2))
  sequence.complete(group(3))
  expect(told).toEqual([
    'apply 1',
    'clockwork',
    'apply 2',
    'second',
    'clockwork',
    'apply 3',
    'third',
    'clockwork',
  ])
})

test('an effect that fails leaves nothing behind it undone twice', () => {
  const { told, sequence } = bench(false)
  sequence.whenComplete(1, () => {
    throw new Error('broken')
  })
  expect(() => sequence.complete(group(1))).toThrow('broken')
  sequence.complete(group(2))
  expect(told).toEqual(['apply 1', 'apply 2', 'clockwork'])
})
