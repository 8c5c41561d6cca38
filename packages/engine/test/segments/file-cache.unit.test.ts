// Open segment files are bounded, and neither writers nor readers can take them all.
import { expect, test } from 'vitest'
import { FileCache } from '../../src/segments/file-cache.ts'
import { SimDisk } from '../../src/simulation.ts'

const OPEN_MAX = 20
/** Two fifths. */
const HELD_MAX = 8
const path = (n: number): string => `${n}.log`

function cacheOf(descriptorsMax = Number.POSITIVE_INFINITY) {
  const disk = new SimDisk({ descriptorsMax })
  return { disk, cache: new FileCache(disk, OPEN_MAX) }
}

test('the one that was used least recently is closed for a further one', () => {
  const { disk, cache } = cacheOf()
  for (let n = 0; n < OPEN_MAX; n += 1) cache.use(path(n), 'create')
  const first = cache.use(path(0), 'create')
  cache.use(path(99), 'create')
  expect([disk.openFiles, cache.openCount]).toEqual([OPEN_MAX, OPEN_MAX])
  expect(cache.use(path(0), 'create')).toBe(first)
})

test.each(['writer', 'reader'] as const)(
  'a %s holds two fifths and no more, and the others go on',
  holder => {
    const { cache } = cacheOf()
    for (let n = 0; n < HELD_MAX; n += 1) cache.hold(path(n), 'create', holder)
    expect(cache.mayHold(holder)).toBe(false)
    expect(() => cache.hold(path(50), 'create', holder)).toThrow('files.open.max')
    cache.hold(path(0), 'create', holder) // held already: it costs nothing
    const other = holder === 'writer' ? 'reader' : 'writer'
    for (let n = 100; n < 100 + HELD_MAX; n += 1) cache.hold(path(n), 'create', other)
    for (let n = 200; n < 300; n += 1) cache.use(path(n), 'create')
    expect(cache.openCount).toBe(OPEN_MAX)
    cache.release(path(0), holder)
    expect(cache.mayHold(holder)).toBe(false) // held twice
    cache.release(path(0), holder)
    expect(cache.mayHold(holder)).toBe(true)
    expect([cache.heldBy(holder), cache.heldBy(other)]).toEqual([HELD_MAX - 1, HELD_MAX])
  },
)

test('a file that is forgotten while it is held is closed with its last holder', () => {
  const { disk, cache } = cacheOf()
  cache.hold(path(0), 'create', 'writer')
  cache.hold(path(0), 'create', 'reader')
  cache.forget(path(0))
  cache.release(path(0), 'writer')
  expect(disk.openFiles).toBe(1)
  cache.release(path(0), 'reader')
  expect(disk.openFiles).toBe(0)
})

test('where the process has no descriptor left, files that nobody holds are closed for it', () => {
  // Eight of them are in reserve for what cannot wait.
  const { disk, cache } = cacheOf(8 + 5)
  for (let n = 0; n < 4; n += 1) cache.hold(path(n), 'create', 'writer')
  for (let n = 10; n < 40; n += 1) cache.use(path(n), 'create')
  expect(disk.openFiles).toBe(5)
  cache.hold(path(4), 'create', 'writer')
  expect(() => cache.use(path(50), 'create')).toThrow('EMFILE')
  expect(() => disk.open('checkpoint', 'create').close()).not.toThrow()
})
