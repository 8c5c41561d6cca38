import { describe, expect, test } from 'vitest'
import { StoreError } from '../../src/errors.ts'
import type { Category } from '../../src/on-log/category.ts'
import { dataOf, type RawEvent } from '../../src/on-log/event.ts'
import type { Entry } from '../../src/on-log/index/entry.ts'
import { EventOpener } from '../../src/on-log/opener.ts'
import { PersonalData } from '../../src/personal/personal-data.ts'
import { EventTypes } from '../../src/types/event-types.ts'

const opener = new EventOpener(new PersonalData(undefined, { next: () => 0 } as never))
const upcast = [
  () => {
    throw new Error('no rate')
  },
]
const types = new EventTypes('loan', { events: { Paid: { upcast } } })
const category = { name: 'loan', types } as unknown as Category
const raw: RawEvent = {
  ...{ tenant: '', category: 'loan', stream: 'a', bucket: 0, offset: 7, time: 1, data: {} },
  ...{ type: 'Paid', schemaVersion: 1, version: 3, id: 'x@0', tags: [], metadata: {} },
  ...{ appendId: 'x', personal: undefined },
} as unknown as RawEvent
const PLACE = 'version 3 (Paid) of stream "a", category loan'

const failureOf = (work: () => unknown): StoreError => {
  try {
    work()
  } catch (error) {
    if (error instanceof StoreError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('what cannot be opened', () => {
  test('is given as unreadable, with its place and everything but its data', () => {
    const event = opener.orUnreadable(category, raw)
    if (event instanceof Promise) throw new Error('nothing is to be awaited')
    expect(event).toMatchObject({ type: 'Paid', stream: 'a', version: 3, offset: 7 })
    expect(event.unreadable?.code).toBe('UPCAST_FAILED')
    expect(event.unreadable?.message).toContain(PLACE)
    expect(failureOf(() => event.data)).toBe(event.unreadable)
    expect(failureOf(() => ({ ...event }))).toBe(event.unreadable)
  })

  test('is so where its data is no JSON', () => {
    const bytes = Buffer.from('{"half":')
    const entry = { bytes, valueAt: 0, valueLength: bytes.length } as Entry
    const damage = failureOf(() => dataOf(entry))
    expect(damage.code).toBe('EVENT_DAMAGED')
    const event = opener.orUnreadable(category, raw, damage)
    expect(event).toMatchObject({ version: 3 })
    expect((event as { unreadable?: StoreError }).unreadable?.message).toContain(PLACE)
  })

  test('is not what a key that is away for a moment keeps from being opened', () => {
    const sealed = { ...raw, personal: 'hash', data: { name: 'sealed:k:AAAA' } } as RawEvent
    const throws = { open: () => Promise.reject(new StoreError('KEY_UNAVAILABLE')) }
    const late = new EventOpener(throws as unknown as PersonalData)
    return expect(late.orUnreadable(category, sealed)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    })
  })
})
