// A dozen small workloads: most crash bugs need no more than three operations.
import {
  append,
  commit,
  create,
  deleteBelow,
  remove,
  rest,
  type Step,
  stop,
  together,
} from './script.ts'

/** Longer than the interval of checkpoints and of retention. */
const CHECKPOINT = rest(1100)
/** Fills a segment of 4 KiB, so that the next record begins another. */
const BIG = 3000

export const WORKLOADS: Readonly<Record<string, readonly Step[]>> = {
  'append twice': [create('a'), append('a'), append('a')],
  'append, checkpoint, append': [create('a'), append('a'), CHECKPOINT, append('a')],
  'two partitions in one group': [
    create('a', 2),
    together(append('a', 0), append('a', 1)),
    append('a', 1),
  ],
  'roll a segment': [create('a'), append('a', 0, BIG), append('a', 0, BIG), CHECKPOINT],
  'roll behind a checkpoint': [create('a'), append('a', 0, BIG), CHECKPOINT, append('a', 0, BIG)],
  'delete records': [
    create('a'),
    append('a', 0, BIG),
    append('a', 0, BIG),
    CHECKPOINT,
    deleteBelow('a', 1),
    CHECKPOINT,
  ],
  'delete records of the last known segment': [
    create('a'),
    append('a', 0, BIG),
    CHECKPOINT,
    append('a', 0, BIG),
    deleteBelow('a', 1),
    rest(3000),
  ],
  'delete a topic': [create('a'), append('a'), CHECKPOINT, remove('a')],
  'delete a topic and create it again': [
    create('a'),
    append('a'),
    remove('a'),
    create('a'),
    append('a'),
  ],
  'delete while appends are under way': [
    create('a'),
    append('a'),
    CHECKPOINT,
    together(append('a'), remove('a')),
    CHECKPOINT,
  ],
  'commit offsets': [create('a'), commit('a', 1), CHECKPOINT, commit('a', 2)],
  'stop and start': [create('a'), append('a'), stop, append('a')],
  'two topics, one of them unsynced': [
    create('a'),
    create('b', 1, 'os'),
    append('b'),
    append('a'),
    append('b'),
  ],
  'unsynced groups in two files of the journal': [
    create('a'),
    create('b', 1, 'os'),
    append('b', 0, 40_000),
    append('b', 0, 40_000),
    append('a'),
    CHECKPOINT,
  ],
  'wrap the journal': [
    create('a'),
    append('a', 0, 50_000),
    append('a', 0, 50_000),
    append('a', 0, 50_000),
  ],
}
