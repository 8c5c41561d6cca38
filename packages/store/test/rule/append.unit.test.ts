// How one append counts or is void: rules 2 to 5.
import { describe, expect, it } from 'vitest'
import { CANCELS_MAX, COMMANDS_MAX } from '../../src/rules.ts'
import { TestBucket } from './bucket.ts'

describe('a claim', () => {
  it('of the next version is accepted', () => {
    const b = new TestBucket()
    expect(b.piece('a', { claim: 1 })).toEqual(['accepted a 0'])
    expect(b.piece('b', { claim: 2 })).toEqual(['accepted b 1'])
    expect(b.stream().version).toBe(2)
  })

  it('of a version that is taken, or not reached, is void', () => {
    const b = new TestBucket()
    b.event('a')
    expect(b.piece('b', { claim: 1 })).toEqual(['void b version 1'])
    expect(b.piece('c', { claim: 3 })).toEqual(['void c version 2'])
    expect(b.stream().version).toBe(1)
  })

  it('is of its own stream alone', () => {
    const b = new TestBucket()
    b.event('a')
    expect(b.piece('b', { stream: 'other', claim: 1 })).toEqual(['accepted b 1'])
  })
})

describe('an append of several records', () => {
  it('counts with its last record, all of them or none', () => {
    const b = new TestBucket()
    expect(b.piece('a', { index: 0, count: 3 })).toEqual([])
    expect(b.piece('a', { index: 1, count: 3 })).toEqual([])
    expect(b.stream().version).toBe(0)
    expect(b.piece('a', { index: 2, count: 3 })).toEqual(['accepted a 0,1,2'])
    expect(b.stream().version).toBe(3)
    expect(b.bucket.events).toBe(3)
  })

  it('may be split, with other streams in between', () => {
    const b = new TestBucket()
    b.piece('a', { index: 0, count: 2 })
    expect(b.piece('b', { stream: 'other' })).toEqual(['accepted b 1'])
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['accepted a 0,2'])
  })

  it('is void as a whole when a record is missing', () => {
    const b = new TestBucket()
    b.piece('a', { index: 0, count: 3 })
    expect(b.piece('a', { index: 2, count: 3 })).toEqual(['void a order 0,1'])
    expect(b.piece('a', { index: 1, count: 3 })).toEqual(['void a order 2'])
  })

  it('is void when its records disagree about their number or place', () => {
    const b = new TestBucket()
    b.piece('a', { index: 0, count: 2 })
    expect(b.piece('a', { index: 1, count: 3 })).toEqual(['void a order 0,1'])
    b.piece('b', { index: 0, count: 2 })
    expect(b.piece('b', { index: 1, count: 2, claim: 7 })).toEqual(['void b order 2,3'])
  })

  it('does not begin in its middle', () => {
    const b = new TestBucket()
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['void a order 0'])
    expect(b.bucket.open.size).toBe(0)
  })

  it('is not harmed by copies of records that it has', () => {
    const b = new TestBucket()
    b.piece('a', { index: 0, count: 3 })
    b.piece('a', { index: 1, count: 3 })
    expect(b.piece('a', { index: 0, count: 3 })).toEqual(['void a copy 2'])
    expect(b.piece('a', { index: 1, count: 3 })).toEqual(['void a copy 3'])
    expect(b.piece('a', { index: 2, count: 3 })).toEqual(['accepted a 0,1,4'])
  })

  it('is replaced by a valid first record of another append', () => {
    const b = new TestBucket()
    b.piece('a', { index: 0, count: 2 })
    expect(b.piece('b', { index: 0, count: 2 })).toEqual(['void a replaced 0'])
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['void a order 2'])
    expect(b.piece('b', { index: 1, count: 2 })).toEqual(['accepted b 1,3'])
  })

  it('is replaced and overtaken by one whole event', () => {
    const b = new TestBucket()
    b.piece('a', { index: 0, count: 2 })
    expect(b.piece('b')).toEqual(['void a replaced 0', 'accepted b 1'])
  })

  it('is not replaced by a first record that is itself void', () => {
    const b = new TestBucket()
    b.piece('a', { index: 0, count: 2 })
    expect(b.piece('b', { claim: 2 })).toEqual(['void b version 1'])
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['accepted a 0,2'])
  })
})

describe('a settle record', () => {
  it('voids an append that is open', () => {
    const b = new TestBucket()
    b.piece('a', { index: 0, count: 2 })
    expect(b.settle('a', 1)).toEqual(['void a settled 0'])
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['void a order 2'])
  })

  it('keeps out an append that comes later, and copies of it', () => {
    const b = new TestBucket()
    expect(b.settle('a', 1)).toEqual([])
    expect(b.piece('a')).toEqual(['void a cancelled 1'])
    expect(b.piece('a')).toEqual(['void a cancelled 2'])
    expect(b.piece('b')).toEqual(['accepted b 3'])
  })

  it('does nothing to an append that was accepted', () => {
    const b = new TestBucket()
    b.event('a')
    expect(b.settle('a', 1)).toEqual([])
    expect(b.stream()).toMatchObject({ version: 1, cancels: [] })
  })

  it('does not touch another append', () => {
    const b = new TestBucket()
    b.piece('a', { index: 0, count: 2 })
    expect(b.settle('b', 1)).toEqual([])
    expect(b.piece('a', { index: 1, count: 2 })).toEqual(['accepted a 0,2'])
  })

  it('is forgotten when the version reaches the claim: then the version keeps the append out', () => {
    const b = new TestBucket()
    b.settle('a', 2)
    b.event('b')
    expect(b.stream().cancels).toEqual([{ appendId: 'a', claim: 2 }])
    b.event('c')
    expect(b.stream().cancels).toEqual([])
    expect(b.piece('a', { claim: 2 })).toEqual(['void a version 3'])
  })

  it('with too low a claim does not hide an honest one', () => {
    const b = new TestBucket()
    b.settle('a', 1)
    b.settle('a', 2)
    b.event('b')
    expect(b.piece('a', { claim: 2 })).toEqual(['void a cancelled 3'])
  })

  it('with too low a claim still cancels an append that is open, by what that claims', () => {
    const b = new TestBucket()
    b.event('x')
    b.piece('a', { claim: 2, count: 2 })
    b.settle('a', 1)
    expect(b.piece('a', { claim: 2, count: 2 })).toEqual(['void a cancelled 3'])
  })

  it(`is one of ${CANCELS_MAX} that a stream remembers; the farthest claim is forgotten first`, () => {
    const b = new TestBucket()
    b.settle('near', 1)
    b.settle('far', 9)
    for (let i = 2; i < CANCELS_MAX; i += 1) b.settle(`a${i}`, 5)
    expect(b.stream().cancels).toHaveLength(CANCELS_MAX)
    b.settle('one more', 5)
    expect(b.stream().cancels).toHaveLength(CANCELS_MAX)
    const names = b.stream().cancels.map(cancel => cancel.appendId)
    expect(names).toContain('near')
    expect(names).toContain('one more')
    expect(names).not.toContain('far')
  })
})

describe('what was said of an append is never taken back:', () => {
  it('a replaced one stays void when the other never ends', () => {
    const b = new TestBucket()
    b.piece('a', { count: 2 })
    b.piece('b', { count: 2 })
    b.settle('b', 1)
    expect(b.piece('a', { count: 2 })).toEqual(['void a cancelled 3'])
  })

  it('one that came out of order stays void', () => {
    const b = new TestBucket()
    b.piece('a', { index: 1, count: 2 })
    expect(b.piece('a', { index: 0, count: 2 })).toEqual(['void a cancelled 1'])
  })

  it('one that met an archived stream stays void when it is taken out again', () => {
    const b = new TestBucket()
    b.control('archive')
    b.piece('a')
    b.control('unarchive')
    expect(b.piece('a')).toEqual(['void a cancelled 3'])
    expect(b.piece('b')).toEqual(['accepted b 4'])
  })

  it('one that came too early stays void when its version has come', () => {
    const b = new TestBucket()
    b.piece('a', { claim: 2 })
    b.event('b')
    expect(b.piece('a', { claim: 2 })).toEqual(['void a cancelled 2'])
  })

  it('an accepted one does not count twice', () => {
    const b = new TestBucket()
    b.event('a')
    expect(b.piece('a')).toEqual(['void a version 1'])
    expect(b.stream()).toMatchObject({ version: 1, cancels: [] })
  })
})

describe('a command id', () => {
  it('counts once, with its result', () => {
    const b = new TestBucket()
    b.piece('a', { count: 2, commandId: 'c' })
    b.piece('a', { index: 1, count: 2 })
    expect(b.event('b', { commandId: 'c' })).toEqual(['void b command 2'])
    expect(b.stream().commands).toEqual([
      {
        commandId: 'c',
        appendId: 'a',
        firstVersion: 1,
        lastVersion: 2,
        firstOffset: 0,
        lastOffset: 1,
      },
    ])
  })

  it('counts once a stream', () => {
    const b = new TestBucket()
    b.event('a', { commandId: 'c' })
    expect(b.event('b', { stream: 'other', commandId: 'c' })).toEqual(['accepted b 1'])
  })

  it('of an append that was void is not remembered', () => {
    const b = new TestBucket()
    b.piece('a', { claim: 2, commandId: 'c' })
    expect(b.piece('b', { claim: 1, commandId: 'c' })).toEqual(['accepted b 1'])
  })

  it(`is remembered while it is among the last ${COMMANDS_MAX}`, () => {
    const b = new TestBucket()
    for (let i = 0; i < COMMANDS_MAX; i += 1) b.event(`a${i}`, { commandId: `c${i}` })
    expect(b.event('again', { commandId: 'c0' })[0]).toContain('void again command')
    b.event('no command')
    expect(b.event('again 2', { commandId: 'c0' })[0]).toContain('void again 2 command')
    b.event('one more', { commandId: 'one more' })
    expect(b.stream().commands).toHaveLength(COMMANDS_MAX)
    expect(b.event('again 3', { commandId: 'c0' })[0]).toContain('accepted again 3')
  })
})
