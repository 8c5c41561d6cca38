// Snapshots of a map show the moment of their making, however the map is changed while they are read.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type MapSnapshot, SnapshotMap } from '../src/snapshot-map.ts'

type Step =
  | { readonly kind: 'set' | 'append' | 'delete'; readonly key: number; readonly value: number }
  | { readonly kind: 'snapshot' | 'read' | 'release'; readonly which: number }

const step = fc.oneof(
  fc.record({
    kind: fc.constantFrom('set' as const, 'append' as const, 'delete' as const),
    key: fc.nat(5),
    value: fc.nat(99),
  }),
  fc.record({
    kind: fc.constantFrom('snapshot' as const, 'read' as const, 'release' as const),
    which: fc.nat(2),
  }),
)

type Reader = {
  readonly snapshot: MapSnapshot<number, number[]>
  readonly reading: Generator<readonly [number, number[]]>
  readonly expected: ReadonlyMap<number, string>
  readonly found: Map<number, string>
}

test('whatever is set, changed in place or deleted between two slices of any snapshot', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const map = new SnapshotMap<number, number[]>()
      const readers: Reader[] = []
      for (const one of steps) run(map, readers, one)
      for (const reader of readers) {
        while (read(reader)) {
          // to its end
        }
        expect(new Map([...reader.found].sort())).toEqual(new Map([...reader.expected].sort()))
        const again = new Map([...reader.snapshot.entries()].map(([k, v]) => [k, v.join()]))
        expect(new Map([...again].sort())).toEqual(new Map([...reader.expected].sort()))
      }
    }),
  )
})

test('a released snapshot keeps nothing: values are changed in place again', () => {
  const map = new SnapshotMap<string, number[]>()
  map.set('a', [1])
  const snapshot = map.snapshot()
  const copied = map.own('a', value => [...value])
  snapshot.release()
  expect(map.own('a', value => [...value])).toBe(copied)
})

function run(map: SnapshotMap<number, number[]>, readers: Reader[], one: Step): void {
  if ('key' in one) {
    if (one.kind === 'set') map.set(one.key, [one.value])
    else if (one.kind === 'delete') map.delete(one.key)
    else map.own(one.key, value => [...value])?.push(one.value)
    return
  }
  const reader = readers[one.which]
  if (one.kind === 'snapshot') {
    const snapshot = map.snapshot()
    const expected = new Map([...map].map(([key, value]) => [key, value.join()]))
    readers.push({ snapshot, reading: snapshot.entries(), expected, found: new Map() })
  } else if (one.kind === 'read' && reader !== undefined) read(reader)
  else if (reader !== undefined && readers.length > 2) {
    reader.snapshot.release()
    readers.splice(one.which, 1)
  }
}

function read({ reading, found }: Reader): boolean {
  const next = reading.next()
  if (next.done === true) return false
  const [key, value] = next.value
  // Twice is allowed, differently is not.
  if (found.has(key)) expect(found.get(key)).toBe(value.join())
  found.set(key, value.join())
  return true
}
