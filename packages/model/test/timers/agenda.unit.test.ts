import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Agenda, type AgendaItem, NEVER } from '../../src/timers/agenda.ts'

let agenda: Agenda
beforeEach(() => {
  agenda = new Agenda(1024 * 1024)
})
afterEach(() => agenda.close())

const TIMERS = 0
const item = (id: string, due: number, more: Partial<AgendaItem> = {}) => ({
  ...{ lane: TIMERS, bucket: 0, due, tenant: '', id, name: 't', version: 1, offset: 0 },
  ...more,
})
const ids = (items: readonly AgendaItem[]) => items.map(({ id }) => id)

describe('the agenda', () => {
  test('gives what is due in the order of its time, by bucket and lane', () => {
    agenda.put(item('c', 30))
    agenda.put(item('a', 10))
    agenda.put(item('b', 20))
    agenda.put(item('elsewhere', 5, { bucket: 1 }))
    agenda.put(item('command', 5, { lane: 1 }))
    expect(ids(agenda.due(TIMERS, 0, 20, 10))).toEqual(['a', 'b'])
    expect(ids(agenda.due(TIMERS, 0, 20, 1))).toEqual(['a'])
    expect(ids(agenda.due(TIMERS, 1, 20, 10))).toEqual(['elsewhere'])
    expect(agenda.nextAfter(TIMERS, 0, 20)).toBe(30)
    expect(agenda.nextAfter(TIMERS, 0, 30)).toBe(NEVER)
  })

  test('keeps one timer of a name: the one of the highest version', () => {
    agenda.put(item('a', 10, { version: 3 }))
    agenda.put(item('a', 99, { version: 2 }))
    expect(agenda.due(TIMERS, 0, 100, 10)).toMatchObject([{ due: 10, version: 3 }])
    agenda.put(item('a', 50, { version: 5 }))
    expect(agenda.due(TIMERS, 0, 100, 10)).toMatchObject([{ due: 50, version: 5 }])
    expect(agenda.count(TIMERS)).toBe(1)
  })

  test('does not remove a timer that was started anew meanwhile', () => {
    agenda.put(item('a', 10, { version: 3 }))
    const [old] = agenda.due(TIMERS, 0, 10, 1)
    agenda.put(item('a', 50, { version: 5 }))
    agenda.remove(item('a', 0), 4)
    if (old !== undefined) agenda.removeItem(old)
    expect(agenda.count(TIMERS)).toBe(1)
    agenda.remove(item('a', 0), 5)
    expect(agenda.count(TIMERS)).toBe(0)
  })

  test('keeps tenants apart', () => {
    agenda.put(item('a', 10, { tenant: 'x' }))
    agenda.put(item('a', 20, { tenant: 'y' }))
    agenda.removeAll({ tenant: 'x', id: 'a' }, TIMERS)
    expect(agenda.due(TIMERS, 0, 100, 10)).toMatchObject([{ tenant: 'y', due: 20 }])
  })

  test('says from where a restart has to read: the lowest event that is left, in steps', () => {
    expect(agenda.lowWater(0, 77_777)).toBe(77_777)
    agenda.put(item('a', 10, { offset: 5000 }))
    agenda.put(item('b', 10, { offset: 50_000 }))
    agenda.put(item('c', 10, { offset: 1, bucket: 1 }))
    expect(agenda.lowWater(0, 77_777)).toBe(4096)
    agenda.remove(item('a', 0))
    expect(agenda.lowWater(0, 77_777)).toBe(49_152)
    expect(agenda.count(TIMERS)).toBe(2)
    agenda.clear()
    expect(agenda.lowWater(0, 77_777)).toBe(77_777)
    expect(agenda.count(TIMERS)).toBe(0)
  })

  test('shows what has a reason, a page at a time', () => {
    for (const id of ['c', 'a', 'b']) agenda.put(item(id, 10))
    for (const id of ['c', 'a']) agenda.postpone(item(id, 0), NEVER, 3, `why ${id}`)
    expect(agenda.parked).toBe(2)
    const first = agenda.withReason({ tenant: '', id: '' }, 1)
    expect(first).toMatchObject([{ id: 'a', reason: 'why a', attempts: 3, due: NEVER }])
    expect(ids(agenda.withReason({ tenant: '', id: 'a' }, 10))).toEqual(['c'])
    expect(ids(agenda.due(TIMERS, 0, NEVER - 1, 10))).toEqual(['b'])
  })

  test('knows the first of an instance by version, not by time', () => {
    agenda.put(item('a', NEVER, { lane: 1, name: '9', version: 9 }))
    agenda.put(item('a', NEVER, { lane: 1, name: '10', version: 10 }))
    expect(agenda.first({ tenant: '', id: 'a' }, 1)).toMatchObject({ version: 9 })
    expect(agenda.lanesOf({ tenant: '', id: 'a' }, '10')).toEqual([1])
  })
})
