// When a stored state is taken, and when it is made again.
import { expect, test } from 'vitest'
import { foldOf, stateHashOf } from '../../src/commands/compiled.ts'
import { type AggregateSettings, aggregate } from '../../src/define/aggregate.ts'
import { type } from '../../src/define/schema.ts'

const counter = (options: AggregateSettings = {}, step: 1 | 2 = 1, start: 0 | 1 = 0) =>
  aggregate('counter', {
    events: { Added: type<{ n: number }>(), Reset: type<null>() },
    initial: start === 0 ? () => ({ n: 0 }) : () => ({ n: 1 }),
    evolve: {
      Added: step === 1 ? (s, { n }) => ({ n: s.n + n }) : (s, { n }) => ({ n: s.n + 2 * n }),
      Reset: () => ({ n: 0 }),
    },
    commands: {},
    decide: {},
    options,
  })

test('the same sources have the same hash', () => {
  expect(stateHashOf(counter())).toBe(stateHashOf(counter()))
  expect(stateHashOf(counter())).toMatch(/^[\w-]{22}$/)
})

test('another initial, evolve, upcaster or number has another hash', () => {
  const hashes = [
    counter(),
    counter({}, 2),
    counter({}, 1, 1),
    counter({ snapshotVersion: 1 }),
    counter({ on: { Added: { upcast: [(data: { m: number }) => ({ n: data.m })] } } }),
    counter({ on: { Reset: { upcast: [(data: { m: number }) => ({ n: data.m })] } } }),
  ].map(one => stateHashOf(one))
  expect(new Set(hashes).size).toBe(hashes.length)
})

test('what does not change states leaves the hash', () => {
  const tagged = counter({
    snapshotEvery: 7,
    boundary: id => id,
    on: { Added: { tags: () => [] } },
  })
  expect(stateHashOf(tagged)).toBe(stateHashOf(counter()))
})

test('snapshots are made every so often, by default every 200 events, or never', () => {
  expect(foldOf(counter()).snapshot).toMatchObject({ name: 'counter', every: 200 })
  expect(foldOf(counter({ snapshotEvery: 7 })).snapshot).toMatchObject({ every: 7 })
  expect(foldOf(counter({ snapshotEvery: 0 })).snapshot).toBeUndefined()
})
