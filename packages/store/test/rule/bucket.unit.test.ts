// What holds beyond one append: archived and deleted streams, claims on other streams and on tags,
// the bounds of a bucket, records that are no events, and the decided offset.
import { describe, expect, it } from 'vitest'
import { matches, NewerRule, OPEN_MAX, RULE_VERSION, TAGGED_MAX } from '../../src/rules.ts'
import { TestBucket, without } from './bucket.ts'

describe('an archived stream', () => {
  it('takes no events until it is taken out', () => {
    const b = new TestBucket()
    b.event('a')
    b.control('archive')
    expect(b.event('b')).toEqual(['void b archived 2'])
    expect(b.stream()).toMatchObject({ version: 1, archived: true })
    b.control('unarchive')
    expect(b.event('c')).toEqual(['accepted c 4'])
  })

  it('voids the append that was open', () => {
    const b = new TestBucket()
    b.piece('a', { count: 2 })
    expect(b.control('archive')).toEqual(['void a archived 0'])
    b.control('unarchive')
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['void a order 3'])
  })
})

describe('a deleted stream', () => {
  it('takes no events ever, keeps its version, and has nothing to read', () => {
    const b = new TestBucket()
    b.event('a')
    b.control('tombstone')
    b.control('unarchive')
    expect(b.event('b')).toEqual(['void b tombstoned 3'])
    expect(b.stream()).toMatchObject({ version: 1, firstVersion: 2, tombstoned: true })
  })

  it('voids the append that was open, and remembers nothing for it', () => {
    const b = new TestBucket()
    b.piece('a', { count: 2 })
    expect(b.control('tombstone')).toEqual(['void a tombstoned 0'])
    expect(b.stream().cancels).toEqual([])
  })
})

describe('a truncated stream', () => {
  it('keeps its version, and never gives back what was cut', () => {
    const b = new TestBucket()
    for (const id of ['a', 'b', 'c']) b.event(id)
    b.control('truncate', 3)
    expect(b.stream()).toMatchObject({ version: 3, firstVersion: 3 })
    b.control('truncate', 2)
    expect(b.stream().firstVersion).toBe(3)
    expect(b.event('d')).toEqual(['accepted d 5'])
  })

  it('is cut no further than its end', () => {
    const b = new TestBucket()
    b.event('a')
    b.control('truncate', 100)
    expect(b.stream().firstVersion).toBe(2)
  })

  it('leaves an open append alone', () => {
    const b = new TestBucket()
    b.piece('a', { count: 2 })
    b.control('truncate', 1)
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['accepted a 0,2'])
  })
})

describe('a check of another stream', () => {
  const checks = [{ stream: 'other', version: 1 }]

  it('holds at the version that was claimed', () => {
    const b = new TestBucket()
    expect(b.event('a', { checks })).toEqual(['void a check 0'])
    b.event('b', { stream: 'other' })
    expect(b.event('c', { checks })).toEqual(['accepted c 2'])
    b.event('d', { stream: 'other' })
    expect(b.event('e', { checks })).toEqual(['void e check 4'])
  })

  it('is judged at the place of the last record', () => {
    const b = new TestBucket()
    b.event('x', { stream: 'other' })
    b.piece('a', { count: 2, checks })
    b.event('y', { stream: 'other' })
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['void a check 1,3'])
  })

  it('does not count what is open on that stream', () => {
    const b = new TestBucket()
    b.piece('x', { stream: 'other', count: 2 })
    expect(b.event('a', { checks: [{ stream: 'other', version: 0 }] })).toEqual(['accepted a 1'])
  })
})

describe('a condition', () => {
  it('is broken by a matching event from its place on, not by earlier ones', () => {
    const b = new TestBucket()
    b.event('x', { tags: ['k', 'l'] })
    expect(b.event('a', { condition: without('k', 0) })).toEqual(['void a condition 1'])
    expect(b.event('b', { condition: without('k', 1) })).toEqual(['accepted b 2'])
    expect(b.event('c', { condition: without('m', 0) })).toEqual(['accepted c 3'])
  })

  it('is judged at the place of the last record, and not by events of its own append', () => {
    const b = new TestBucket()
    b.piece('a', { count: 2, tags: ['k'], condition: without('k', 0) })
    expect(b.piece('a', { index: 1, count: 2, tags: ['k'] })).toEqual(['accepted a 0,1'])
    b.piece('b', { claim: 3, count: 2, condition: without('k', 2) })
    b.event('x', { stream: 'other', tags: ['k'] })
    expect(b.piece('b', { claim: 3, index: 1, count: 2 })).toEqual(['void b condition 2,4'])
  })

  it('is broken by an event of an append that began before and ended after another', () => {
    const b = new TestBucket()
    b.piece('x', { stream: 'other', count: 2, tags: ['k'] })
    b.event('y', { stream: 'third', tags: ['l'] })
    b.piece('x', { stream: 'other', index: 1, count: 2 })
    expect(b.event('a', { condition: without('k', 0) })).toEqual(['void a condition 3'])
  })

  it('is not broken by events that are void', () => {
    const b = new TestBucket()
    b.piece('x', { claim: 7, tags: ['k'] })
    expect(b.event('a', { condition: without('k', 0) })).toEqual(['accepted a 1'])
  })

  it('is broken by any of its queries; a query names all tags and any type', () => {
    const b = new TestBucket()
    b.event('x', { type: 'T', tags: ['k', 'l'] })
    const alone = [{ tags: ['m'] }, { types: ['U'], tags: ['k'] }, { tags: ['k', 'm'] }]
    const hit = [...alone, { types: ['U', 'T'], tags: ['l', 'k'] }]
    expect(b.event('a', { condition: { after: 0, failIfMatch: alone } })).toEqual(['accepted a 1'])
    expect(b.event('b', { condition: { after: 0, failIfMatch: hit } })).toEqual([
      'void b condition 2',
    ])
  })

  it('without a tag cannot be judged, and is void', () => {
    const b = new TestBucket()
    for (const query of [{}, { types: ['T'] }, { types: ['T'], tags: [] }]) {
      const [said] = b.event('a', { condition: { after: 0, failIfMatch: [query] } })
      expect(said).toContain('void a condition')
    }
  })

  it(`that looks back beyond the last ${TAGGED_MAX} tagged events is void`, () => {
    const b = new TestBucket()
    for (let i = 0; i <= TAGGED_MAX; i += 1) b.event(`x${i}`, { stream: 'other', tags: ['k'] })
    expect(b.event('a', { condition: without('m', 0) })[0]).toContain('void a stale')
    expect(b.event('b', { condition: without('m', 1) })[0]).toContain('accepted b')
  })

  it('is judged alike by a fold that has just cut its list and by one that has not', () => {
    const b = new TestBucket()
    for (let i = 0; i < 2 * TAGGED_MAX; i += 1) b.event(`x${i}`, { stream: 'other', tags: ['k'] })
    expect(b.bucket.tagged.length).toBeLessThan(2 * TAGGED_MAX)
    expect(b.event('a', { condition: without('m', TAGGED_MAX - 1) })[0]).toContain('stale')
    expect(b.event('b', { condition: without('m', TAGGED_MAX) })[0]).toContain('accepted')
  })
})

it('a query that is empty, or has an empty list, matches nothing', () => {
  const event = { type: 'T', tags: ['k'] }
  expect(matches(event, {})).toBe(false)
  expect(matches(event, { types: [] })).toBe(false)
  expect(matches(event, { tags: [] })).toBe(false)
  expect(matches(event, { types: ['T'], tags: [] })).toBe(false)
  expect(matches(event, { types: [], tags: ['k'] })).toBe(false)
  expect(matches(event, { types: ['T'] })).toBe(true)
})

describe('a bucket', () => {
  it(`holds ${OPEN_MAX} open appends; one more voids the oldest, for good`, () => {
    const b = new TestBucket()
    for (let i = 0; i < OPEN_MAX; i += 1) b.piece(`a${i}`, { stream: `s${i}`, count: 2 })
    expect(b.piece('one more', { stream: 'x', count: 2 })).toEqual(['void a0 overflow 0'])
    expect(b.bucket.open.size).toBe(OPEN_MAX)
    expect(b.piece('a0', { stream: 's0', count: 2 })[0]).toContain('void a0 cancelled')
    expect(b.event('whole', { stream: 'y' })[0]).toContain('accepted whole')
  })

  it('makes room for an append that replaces one of its own stream', () => {
    const b = new TestBucket()
    for (let i = 0; i < OPEN_MAX; i += 1) b.piece(`a${i}`, { stream: `s${i}`, count: 2 })
    expect(b.piece('b', { stream: 's7', count: 2 })).toEqual(['void a7 replaced 7'])
    expect(b.piece('c', { stream: 'x', count: 2 })).toEqual(['void a0 overflow 0'])
  })

  it('counts records that are no events, and is not moved by them otherwise', () => {
    const b = new TestBucket()
    b.piece('a', { count: 2 })
    expect(b.put({ kind: 'foreign' })).toEqual([])
    expect(b.bucket).toMatchObject({ foreign: 1, position: 2, events: 0, voided: 0 })
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['accepted a 0,2'])
  })

  it('takes a record of rules that its identity does not know for one that no store has written', () => {
    const b = new TestBucket()
    b.piece('a', { count: 2 })
    expect(b.put({ kind: 'newer', rule: 2 })).toEqual([])
    b.identity()
    expect(b.put({ kind: 'newer', rule: 2 })).toEqual([])
    expect(b.bucket).toMatchObject({ foreign: 2, position: 4 })
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['accepted a 0,4'])
  })

  it('stops, unchanged, where its identity says that newer rules are in force', () => {
    const b = new TestBucket()
    b.piece('a', { count: 2 })
    const before = structuredClone(b.bucket)
    expect(() => b.identity({ rule: RULE_VERSION + 1 })).toThrow(NewerRule)
    expect(b.bucket).toEqual(before)
    b.identity()
    b.identity({ rule: RULE_VERSION + 1, buckets: 7 })
    expect(b.bucket.identity).toMatchObject({ rule: RULE_VERSION, buckets: 1, offset: 1 })
  })

  it('voids what is of another bucket, from where it says what it is', () => {
    const b = new TestBucket()
    expect(b.event('a', { stream: 'lost!' })).toEqual(['accepted a 0'])
    b.piece('b', { stream: 'lost!', claim: 2, count: 2 })
    b.identity()
    expect(b.piece('b', { stream: 'lost!', claim: 2, index: 1, count: 2 })).toEqual([
      'void b misplaced 3',
    ])
    b.settle('b', 2, 'lost!')
    expect(b.event('c', { stream: 's' })).toEqual(['accepted c 5'])
    expect(b.bucket).toMatchObject({ misplaced: 2, voided: 1, events: 2 })
    expect(b.stream('lost!')).toMatchObject({ version: 1, cancels: [] })
  })

  it('knows the highest time and counts of its events', () => {
    const b = new TestBucket()
    b.event('a', { time: 5 })
    b.event('b', { time: 3 })
    b.piece('void', { claim: 9, time: 100 })
    expect(b.bucket).toMatchObject({ clock: 5, events: 2, voided: 1 })
    expect(b.stream()).toMatchObject({ createdAt: 5, updatedAt: 3 })
  })
})

describe('the decided offset', () => {
  it('is the end where nothing is open, also after void, foreign and missing records', () => {
    const b = new TestBucket()
    b.piece('a', { claim: 4 })
    b.put({ kind: 'foreign' })
    b.offset = 10
    b.event('b')
    expect(b.decided).toBe(11)
  })

  it('waits at the first record of the oldest open append, until that is decided', () => {
    const b = new TestBucket()
    b.event('x', { stream: 'other' })
    b.piece('a', { count: 2 })
    b.piece('b', { stream: 'third', count: 2 })
    b.event('y', { stream: 'other' })
    expect(b.decided).toBe(1)
    b.settle('a', 1)
    expect(b.decided).toBe(2)
    b.piece('b', { stream: 'third', index: 1, count: 2 })
    expect(b.decided).toBe(6)
  })
})
