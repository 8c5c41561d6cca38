// The checker of histories: good ones pass, each bad one is rejected, and it says what a search
// through all orders says.

import {
  type AppendOperation,
  linearizabilityProblems,
  type Operation,
  type ReadOperation,
} from '@millrace/conformance/store'
import { Prng } from '@millrace/engine/simulation'
import { describe, expect, it } from 'vitest'
import { explainable } from './every-order.ts'

type Times = readonly [call: number, answer: number]

const append = (
  [call, answer]: Times,
  command: string,
  outcome: AppendOperation['outcome'],
  more: Partial<AppendOperation> = {},
): AppendOperation => ({
  kind: 'append',
  process: 'p',
  call,
  return: answer,
  command,
  expected: 'any',
  events: [`${command}0`],
  outcome,
  ...more,
})

const read = ([call, answer]: Times, events: string, process = 'p'): ReadOperation => ({
  kind: 'read',
  process,
  call,
  return: answer,
  events: names(events),
})

const names = (text: string): string[] => (text === '' ? [] : text.split(' '))

const appended = (firstVersion: number, version: number = firstVersion) =>
  ({ kind: 'appended', firstVersion, version, duplicate: false }) as const
const again = (version: number) =>
  ({ kind: 'appended', firstVersion: version, version, duplicate: true }) as const
const conflict = (version: number) => ({ kind: 'conflict', version }) as const
const unknown = { kind: 'unknown' } as const
const refused = { kind: 'refused' } as const

const problems = (content: string, ...operations: Operation[]): readonly string[] =>
  linearizabilityProblems({ operations, content: names(content) })

const GOOD: Readonly<Record<string, readonly [string, ...Operation[]]>> = {
  'nothing happened': [''],
  'one append after another': [
    'a0 b0',
    append([0, 1], 'a', appended(1)),
    append([2, 3], 'b', appended(2)),
  ],
  'appends at once, in either order': [
    'b0 a0',
    append([0, 5], 'a', appended(2)),
    append([1, 4], 'b', appended(1)),
  ],
  'a call that begins when another is answered may come before it': [
    'b0 a0',
    append([0, 2], 'a', appended(2)),
    append([2, 3], 'b', appended(1)),
  ],
  'an append of several events': [
    'a0 a1',
    append([0, 1], 'a', appended(1, 2), { events: ['a0', 'a1'], expected: 0 }),
  ],
  'an unknown outcome that took effect later': [
    'b0 a0',
    append([0, 1], 'a', unknown),
    append([2, 3], 'b', appended(1)),
    read([4, 5], 'b0'),
    read([6, 7], 'b0 a0'),
  ],
  'an unknown outcome that never took effect': ['', append([0, 1], 'a', unknown), read([2, 3], '')],
  'a conflict with an append that was under way': [
    'a0',
    append([0, 5], 'a', appended(1)),
    append([1, 2], 'b', conflict(1), { expected: 0 }),
  ],
  'a conflict that tells an older version than there is, and would be one anyway': [
    'a0 b0',
    append([0, 1], 'a', appended(1)),
    append([2, 3], 'b', appended(2)),
    append([4, 5], 'c', conflict(1), { expected: 0 }),
  ],
  'a repeated command that is given the first result': [
    'a0 b0',
    append([0, 1], 'a', unknown),
    append([2, 3], 'b', appended(2)),
    append([4, 5], 'a', again(1)),
  ],
  'a repeated command that did it, because the first attempt never did': [
    'a0',
    append([0, 1], 'a', unknown),
    append([2, 3], 'a', appended(1)),
  ],
  'an append without events': [
    'a0',
    append([0, 1], 'a', appended(1)),
    append([2, 3], 'none', { ...appended(2), version: 1 }, { events: [], expected: 1 }),
  ],
  'a refused append': ['', append([0, 1], 'a', refused)],
}

const BAD: Readonly<Record<string, readonly [string, ...Operation[]]>> = {
  'an acknowledged append is not there': ['', append([0, 1], 'a', appended(1))],
  'an acknowledged append is elsewhere': [
    'b0 a0',
    append([0, 5], 'a', appended(1)),
    append([0, 5], 'b', appended(2)),
  ],
  'an event that nobody appended': ['x0'],
  'an event is there twice': ['a0 a0', append([0, 1], 'a', unknown)],
  'half of an append': ['a0', append([0, 1], 'a', unknown, { events: ['a0', 'a1'] })],
  'an append that is torn apart': [
    'a0 b0 a1',
    append([0, 9], 'a', unknown, { events: ['a0', 'a1'] }),
    append([0, 9], 'b', unknown),
  ],
  'events of an append in another order': [
    'a1 a0',
    append([0, 9], 'a', unknown, { events: ['a0', 'a1'] }),
  ],
  'an append against its expectation': ['a0', append([0, 1], 'a', appended(1), { expected: 4 })],
  'an unknown append against its expectation': [
    'a0 b0',
    append([0, 1], 'a', appended(1)),
    append([2, 3], 'b', unknown, { expected: 'absent' }),
  ],
  'a refused append took effect': ['a0', append([0, 1], 'a', refused)],
  'a lost append took effect': ['a0', append([0, 1], 'a', conflict(0), { expected: 3 })],
  'a conflict without a reason': [
    'a0',
    append([0, 1], 'a', appended(1)),
    append([2, 3], 'b', conflict(1), { expected: 1 }),
  ],
  'a conflict with a version from the future': [
    'a0',
    append([0, 1], 'b', conflict(1), { expected: 0 }),
    append([2, 3], 'a', appended(1)),
  ],
  'a conflict with a version that never was': [
    '',
    append([0, 1], 'b', conflict(1), { expected: 0 }),
  ],
  'an append that overtakes one that was acknowledged before its call': [
    'b0 a0',
    append([0, 1], 'a', appended(2)),
    append([2, 3], 'b', appended(1)),
  ],
  'an unknown append that took effect before its call': [
    'a0 b0',
    append([0, 1], 'b', appended(2)),
    append([2, 3], 'a', unknown),
  ],
  'a read that misses what was acknowledged': [
    'a0',
    append([0, 1], 'a', appended(1)),
    read([2, 3], ''),
  ],
  'a read that sees the future': ['a0', read([0, 1], 'a0'), append([2, 3], 'a', appended(1))],
  'reads that go back': [
    'a0',
    append([0, 9], 'a', appended(1)),
    read([1, 2], 'a0'),
    read([3, 4], ''),
  ],
  'a read of something else': ['a0', append([0, 1], 'a', appended(1)), read([2, 3], 'b0')],
  'a read of half an append': [
    'a0 a1',
    append([0, 9], 'a', appended(1, 2), { events: ['a0', 'a1'] }),
    read([1, 2], 'a0'),
  ],
  'a command that counted twice, under two names of events': [
    'a0 a1',
    append([0, 1], 'a', appended(1), { events: ['a0'] }),
    append([2, 3], 'a', appended(2), { events: ['a1'] }),
  ],
  'two calls of one command that were both told to be the first': [
    'a0',
    append([0, 1], 'a', appended(1)),
    append([2, 3], 'a', appended(1)),
  ],
  'a repeat of a command that never took effect': [
    '',
    append([0, 1], 'a', unknown),
    append([2, 3], 'a', again(1)),
  ],
  'a repeat is answered before the command can have taken effect': [
    'b0 a0',
    append([0, 1], 'a', unknown),
    append([2, 3], 'a', again(2)),
    append([4, 5], 'b', appended(1)),
  ],
}

describe('a history is linearizable:', () => {
  it.each(Object.entries(GOOD))('%s', (_, [content, ...operations]) => {
    expect(problems(content, ...operations)).toEqual([])
    expect(explainable({ operations, content: names(content) })).toBe(true)
  })
})

describe('a history is not linearizable:', () => {
  it.each(Object.entries(BAD))('%s', (_, [content, ...operations]) => {
    expect(problems(content, ...operations)).not.toEqual([])
    expect(explainable({ operations, content: names(content) })).toBe(false)
  })
})

describe('where a read may lag behind other processes,', () => {
  const check = (...operations: Operation[]) =>
    linearizabilityProblems({ operations, content: ['a0'] }, { reads: 'own' })

  it('it need not show what they were told', () => {
    expect(check(append([0, 1], 'a', appended(1)), read([2, 3], '', 'q'))).toEqual([])
  })

  it('it shows what its own process was told', () => {
    expect(check(append([0, 1], 'a', appended(1)), read([2, 3], '', 'p'))).not.toEqual([])
    const back = [read([2, 3], 'a0', 'q'), read([4, 5], '', 'q')]
    expect(check(append([0, 1], 'a', appended(1)), ...back)).not.toEqual([])
  })

  it('it never shows the future', () => {
    expect(check(read([0, 1], 'a0', 'q'), append([2, 3], 'a', appended(1)))).not.toEqual([])
  })
})

// --- against a search through all orders ---------------------------------------------------------

const HISTORIES = 6000

/** A small history, right or wrong: calls at random times, answered from a simulated stream or not. */
function randomHistory(seed: number): { operations: Operation[]; content: string[] } {
  const prng = new Prng(seed)
  const content: string[] = []
  const operations: Operation[] = []
  const count = prng.between(2, 5)
  const moments = Array.from({ length: count }, () => prng.below(60)).sort((a, b) => a - b)
  for (const [i, moment] of moments.entries()) {
    const times: Times = [moment - prng.below(9), moment + prng.below(9)]
    const command = prng.chance(0.2) && i > 0 ? 'c0' : `c${i}`
    const known = operations.find(o => o.kind === 'append' && o.command === command)
    const events =
      known?.kind === 'append'
        ? known.events
        : Array.from({ length: prng.pick([1, 1, 2]) }, (_, n) => `${command}.${n}`)
    if (prng.chance(0.25)) {
      operations.push(read(times, content.join(' ')))
      continue
    }
    const low = content.length
    const expected = prng.pick(['any', 'exists', 'absent', low, low, low + 1, low - 1] as const)
    const done = content.includes(events[0] as string)
    const holds =
      expected === 'any' ||
      (expected === 'exists' ? low > 0 : expected === 'absent' ? low === 0 : low === expected)
    const lost = prng.chance(0.2)
    if (holds && !done && !lost) content.push(...events)
    const first = content.indexOf(events[0] as string) + 1
    const outcome: AppendOperation['outcome'] =
      lost || prng.chance(0.2)
        ? unknown
        : done || holds
          ? { ...appended(first, first + events.length - 1), duplicate: done }
          : conflict(low)
    operations.push(append(times, command, outcome, { expected, events }))
  }
  return prng.chance(0.2) ? { operations, content } : spoil(prng, operations, content)
}

/** Tells one caller something else, or moves a call in time. */
function spoil(
  prng: Prng,
  operations: Operation[],
  content: string[],
): { operations: Operation[]; content: string[] } {
  const at = prng.below(operations.length)
  const victim = operations[at] as Operation
  const shift = prng.between(-60, 60)
  let spoilt: Operation = { ...victim, call: victim.call + shift, return: victim.return + shift }
  if (prng.chance(0.5)) {
    if (victim.kind === 'read') spoilt = { ...victim, events: content.slice(0, prng.below(5)) }
    else if (victim.outcome.kind === 'conflict') {
      spoilt = { ...victim, outcome: conflict(prng.below(4)) }
    } else spoilt = { ...victim, outcome: prng.pick([refused, conflict(prng.below(4)), unknown]) }
  }
  return { operations: operations.with(at, spoilt), content }
}

it(`${HISTORIES} small histories: the checker says what a search through all orders says`, () => {
  let good = 0
  for (let seed = 1; seed <= HISTORIES; seed += 1) {
    const history = randomHistory(seed)
    const found = linearizabilityProblems(history)
    const explained = explainable(history)
    if (explained) good += 1
    expect(found.length === 0, `seed ${seed}: ${JSON.stringify({ history, found })}`).toBe(
      explained,
    )
  }
  expect(good).toBeGreaterThan(HISTORIES / 5)
  expect(good).toBeLessThan((HISTORIES * 4) / 5)
})
