import {
  confirm,
  type EventStore,
  holderOf,
  openStore,
  release,
  reservationCategory,
  reserve,
} from '@millrace/store'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { codeOf, filesWith, openLog, temporaryFolder } from '../personal/support.ts'

const of = (value: string, owner: string) => ({
  category: 'unique',
  scope: 'user.mail',
  value,
  owner,
})
const MINUTE = 60_000

let folder = ''
let store: EventStore
let other: EventStore
let time = 1_000_000
const clock = { now: () => time }

beforeEach(async () => {
  time = 1_000_000
  folder = temporaryFolder()
  const log = await openLog(folder)
  const open = async (): Promise<EventStore> => {
    const opened = await openStore({
      log,
      folder: null,
      categories: { unique: { ...reservationCategory(), buckets: 2 } },
    })
    onTestFinished(() => opened.close())
    return opened
  }
  store = await open()
  other = await open()
})

describe('a value', () => {
  test('belongs to whoever reserves it first, out of many on two nodes', async () => {
    for (let round = 0; round < 5; round++) {
      const value = `ada${round}@example.org`
      const owners = Array.from({ length: 16 }, (_, i) => `u-${i}`)
      const results = await Promise.all(
        owners.map((owner, i) =>
          reserve(i % 2 === 0 ? store : other, of(value, owner), MINUTE, clock),
        ),
      )
      const winners = owners.filter((_, i) => results[i]?.ok)
      expect(winners).toHaveLength(1)
      const holder = { owner: winners[0], until: time + MINUTE }
      for (const result of results) if (!result.ok) expect(result.holder).toEqual(holder)
      expect(await holderOf(other, of(value, ''), clock)).toEqual(holder)
    }
  })

  test('is free again when its time is over, and not a moment before', async () => {
    await reserve(store, of('a', 'u-1'), MINUTE, clock)
    time += MINUTE - 1
    expect(await reserve(other, of('a', 'u-2'), MINUTE, clock)).toMatchObject({ ok: false })
    time += 1
    expect(await holderOf(store, of('a', ''), clock)).toBeNull()
    expect(await reserve(other, of('a', 'u-2'), MINUTE, clock)).toMatchObject({ ok: true })
    expect(await confirm(store, of('a', 'u-1'), clock)).toEqual({
      ok: false,
      holder: { owner: 'u-2', until: time + MINUTE },
    })
  })

  test('is its owner’s for good once it is confirmed, also after its time if nobody took it', async () => {
    await reserve(store, of('a', 'u-1'), MINUTE, clock)
    time += 10 * MINUTE
    expect(await confirm(store, of('a', 'u-1'), clock)).toEqual({ ok: true, until: null })
    time += 1000 * MINUTE
    expect(await reserve(other, of('a', 'u-2'), MINUTE, clock)).toEqual({
      ok: false,
      holder: { owner: 'u-1', until: null },
    })
  })

  test('can be given back by its owner alone', async () => {
    await reserve(store, of('a', 'u-1'), MINUTE, clock)
    expect(await release(other, of('a', 'u-2'), clock)).toMatchObject({ ok: false })
    await confirm(store, of('a', 'u-1'), clock)
    expect(await release(store, of('a', 'u-1'), clock)).toEqual({ ok: true, until: null })
    expect(await reserve(other, of('a', 'u-2'), MINUTE, clock)).toMatchObject({ ok: true })
  })

  test('is another one in another scope, tenant or letter case', async () => {
    await reserve(store, of('a', 'u-1'), MINUTE, clock)
    for (const change of [{ scope: 'user.name' }, { tenant: 't' }, { value: 'A' }]) {
      const result = await reserve(store, { ...of('a', 'u-2'), ...change }, MINUTE, clock)
      expect(result, JSON.stringify(change)).toMatchObject({ ok: true })
    }
  })

  test('cannot be read in the log, and only under the secret that it was reserved with', async () => {
    const secret = { ...clock, secret: 'pepper' }
    await reserve(store, of('lovelace@example.org', 'u-1'), MINUTE, secret)
    expect(filesWith(folder, 'lovelace')).toEqual([])
    expect(filesWith(folder, 'user.mail')).toEqual([])
    expect(await holderOf(store, of('lovelace@example.org', ''), secret)).toMatchObject({
      owner: 'u-1',
    })
    expect(await holderOf(store, of('lovelace@example.org', ''), clock)).toBeNull()
  })
})

describe('a call that is repeated by the owner', () => {
  const version = async (): Promise<number> => {
    for await (const { version } of store.streams('unique')) return version
    return 0
  }

  test('gives the same answer and writes nothing', async () => {
    const until = time + MINUTE
    for (let i = 0; i < 3; i++) {
      expect(await reserve(store, of('a', 'u-1'), MINUTE, clock)).toEqual({ ok: true, until })
    }
    expect(await version()).toBe(1)
    for (let i = 0; i < 3; i++) {
      expect(await confirm(store, of('a', 'u-1'), clock)).toEqual({ ok: true, until: null })
      expect(await reserve(store, of('a', 'u-1'), MINUTE, clock)).toEqual({ ok: true, until: null })
    }
    expect(await version()).toBe(2)
    for (let i = 0; i < 3; i++) {
      expect(await release(store, of('a', 'u-1'), clock)).toEqual({ ok: true, until: null })
    }
    expect(await version()).toBe(3)
  })

  test('gives a reservation the longer time, never a shorter one', async () => {
    await reserve(store, of('a', 'u-1'), MINUTE, clock)
    const longer = { ok: true, until: time + 2 * MINUTE }
    expect(await reserve(store, of('a', 'u-1'), 2 * MINUTE, clock)).toEqual(longer)
    expect(await reserve(store, of('a', 'u-1'), 1, clock)).toEqual(longer)
  })
})

test('bad arguments are named with their bounds', async () => {
  for (const forMs of [0, -1, 1.5, Number.NaN, 30 * 86_400_000 + 1]) {
    expect(await codeOf(() => reserve(store, of('a', 'u'), forMs, clock))).toBe('BAD_ARGUMENT')
  }
  for (const bad of [{ value: '' }, { scope: '' }, { owner: '' }, { value: 'x'.repeat(1025) }]) {
    const call = () => reserve(store, { ...of('a', 'u'), ...bad }, 1, clock)
    expect(await codeOf(call), JSON.stringify(bad).slice(0, 40)).toBe('BAD_ARGUMENT')
  }
})
