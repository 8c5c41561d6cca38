import { randomBytes } from 'node:crypto'
import { ERASED, type Json } from '@millrace/store'
import { beforeEach, describe, expect, test } from 'vitest'
import { secretOf } from '../../src/personal/cipher.ts'
import type { Maybe } from '../../src/personal/maybe.ts'
import { PersonalData, SEAL } from '../../src/personal/personal-data.ts'
import { openState, sealState } from '../../src/personal/sealed-state.ts'
import type { SubjectKey, SubjectKeys } from '../../src/personal/subject-keys.ts'

const random = { bytes: (length: number) => randomBytes(length) }
const place = { tenant: '', category: 'users', stream: 'u-1', type: 'Registered' }

/** Keys in memory: known at once, or after a turn when `late`. */
class Keys {
  readonly byHash = new Map<string, SubjectKey>()
  late = false
  asked = 0

  hash(tenant: string, subject: string): string {
    return Buffer.from(`${tenant}/${subject}`.padEnd(16).slice(0, 16)).toString('base64url')
  }

  sealing(hash: string): Maybe<SubjectKey> {
    const bytes = randomBytes(32)
    const made = { id: `${hash}.AAAAAAAAAAA`, bytes, secret: secretOf(bytes) }
    const key = this.byHash.get(hash) ?? made
    this.byHash.set(hash, key)
    return this.late ? Promise.resolve(key) : key
  }

  opening(id: string): Maybe<SubjectKey | null> {
    this.asked += 1
    const key = this.byHash.get(id.slice(0, 22)) ?? null
    return this.late ? Promise.resolve(key) : key
  }
}

let keys = new Keys()
let personal = new PersonalData(keys as unknown as SubjectKeys, random)

beforeEach(() => {
  keys = new Keys()
  personal = new PersonalData(keys as unknown as SubjectKeys, random)
})

const now = <T>(value: Maybe<T>): T => {
  if (value instanceof Promise) throw new Error('it awaits')
  return value
}

const failure = async (work: () => unknown): Promise<{ code: string; message: string }> => {
  try {
    await work()
  } catch (error) {
    return error as { code: string; message: string }
  }
  throw new Error('it did not throw')
}

const rule = { fields: ['name', 'mail'] }

describe('sealing and opening', () => {
  test('gives back every JSON value in its place, at once when the key is known', () => {
    for (const value of [
      'Ada',
      '',
      0,
      -1.5,
      true,
      null,
      ['a', 1],
      { a: { b: null } },
      'ü\u0000😀',
    ]) {
      const data = { plan: 'free', name: value as Json, since: 1 }
      const sealed = now(personal.seal(place, rule, data))
      const { name, ...rest } = sealed.data as Record<string, Json>
      expect(rest).toEqual({ plan: 'free', since: 1 })
      expect(name).toMatch(/^millrace:sealed:v1:[\w-]{22}\.[\w-]{11}:[\w-]+$/)
      expect(sealed.personal).toBe(keys.hash('', 'u-1'))
      const opened = now(personal.open(place, sealed.data))
      expect(opened.data).toEqual(data)
      expect(Object.keys(opened.data as object)).toEqual(['plan', 'name', 'since'])
      expect(opened.erased).toBeUndefined()
      expect(opened.keys).toHaveLength(1)
    }
  })

  test('waits for keys that are not at hand', async () => {
    keys.late = true
    const sealed = await personal.seal(place, rule, { name: 'Ada', mail: 'a@b' })
    const opened = await personal.open(place, sealed.data)
    expect(opened.data).toEqual({ name: 'Ada', mail: 'a@b' })
    expect(keys.asked).toBe(1)
  })

  test('touches neither data nor keys when no personal field is there', () => {
    const data = { plan: 'free', name: undefined }
    const sealed = now(personal.seal(place, rule, data))
    expect(sealed).toEqual({ data, personal: undefined })
    expect(sealed.data).toBe(data)
    expect(keys.byHash.size).toBe(0)
  })

  test('never seals the same value into the same text', () => {
    const twice = [1, 2].map(() => JSON.stringify(now(personal.seal(place, rule, { name: 'Ada' }))))
    expect(twice[0]).not.toBe(twice[1])
  })

  test('takes the subject from the stream or from the field that names it', async () => {
    const by = { fields: ['mail'], subject: 'user' }
    expect(now(personal.seal(place, by, { mail: 'x', user: 'u-9' })).personal).toBe(
      keys.hash('', 'u-9'),
    )
    expect(now(personal.seal(place, by, { mail: 'x', user: 7 })).personal).toBe(keys.hash('', '7'))
    for (const user of [undefined, '', null, ['u']]) {
      const error = await failure(() => personal.seal(place, by, { mail: 'x', user }))
      expect(error.code).toBe('INVALID_EVENT')
      expect(error.message).toContain('data.user')
    }
  })

  test('refuses texts that look sealed, which could not be told apart when read', async () => {
    const error = await failure(() => personal.seal(place, rule, { name: 'x', note: `${SEAL}y` }))
    expect(error.code).toBe('INVALID_EVENT')
    expect(error.message).toContain('data.note')
    const inside = { name: `${SEAL}y` }
    expect(now(personal.open(place, now(personal.seal(place, rule, inside)).data)).data).toEqual(
      inside,
    )
  })

  test('says which fields are erased, and leaves the others alone', () => {
    const a = now(personal.seal(place, { fields: ['name'] }, { name: 'Ada', plan: 'free' })).data
    const other = { ...place, stream: 'u-2' }
    const b = now(personal.seal(other, { fields: ['mail'] }, { mail: 'm' })).data as object
    keys.byHash.delete(keys.hash('', 'u-1'))
    expect(now(personal.open(place, a))).toEqual({
      data: { name: ERASED, plan: 'free' },
      erased: ['name'],
      keys: [],
    })
    expect(now(personal.open(other, b as Json)).data).toEqual({ mail: 'm' })
  })

  test('fails with SEAL_BROKEN when a sealed field was changed or moved', async () => {
    const { data } = now(personal.seal(place, rule, { name: 'Ada', mail: 'a@b' }))
    const { name, mail } = data as { name: string; mail: string }
    const moves: [typeof place, Json][] = [
      [{ ...place, stream: 'u-2' }, { name }],
      [{ ...place, tenant: 't' }, { name }],
      [{ ...place, category: 'people' }, { name }],
      [{ ...place, type: 'Renamed' }, { name }],
      [place, { name: mail }],
      [place, { name: `${name.slice(0, -4)}AAAA` }],
      [place, { name: `${SEAL}nonsense` }],
      [place, { name: name.slice(0, name.lastIndexOf(':')) }],
    ]
    for (const [at, moved] of moves) {
      const error = await failure(() => personal.open(at, moved))
      expect(error.code, JSON.stringify(moved)).toBe('SEAL_BROKEN')
      expect(error.message).toContain('field name')
    }
  })

  test('fails with KEY_UNAVAILABLE in a store without a provider, in both directions', async () => {
    const { data } = now(personal.seal(place, rule, { name: 'Ada' }))
    const none = new PersonalData(undefined, random)
    expect((await failure(() => none.seal(place, rule, { name: 'x' }))).code).toBe(
      'KEY_UNAVAILABLE',
    )
    expect((await failure(() => none.open(place, data))).code).toBe('KEY_UNAVAILABLE')
    expect(now(none.open(place, { plan: 'free' })).data).toEqual({ plan: 'free' })
  })

  test('takes no inherited name for a field', () => {
    const inherited = { fields: ['constructor', 'toString'] }
    expect(now(personal.seal(place, inherited, { plan: 'free' })).personal).toBeUndefined()
    const { data } = now(personal.seal(place, inherited, { toString: 'x' }))
    expect(Object.keys(data as object)).toEqual(['toString'])
    expect(now(personal.open(place, data)).data).toEqual({ toString: 'x' })
  })

  test('keeps a field called __proto__ a field', () => {
    const data = JSON.parse('{"__proto__":"x","name":"Ada"}')
    const back = now(personal.open(place, now(personal.seal(place, rule, data)).data)).data
    expect(JSON.stringify(back)).toBe('{"__proto__":"x","name":"Ada"}')
  })
})

describe('a state of several subjects', () => {
  const state = '{"names":["Ada","Bob"]}'
  const both = () => [
    now(keys.sealing(keys.hash('', 'a'))).id,
    now(keys.sealing(keys.hash('', 'b'))).id,
  ]

  test('opens while all of its subjects have keys, whatever their order', () => {
    const [a, b] = both() as [string, string]
    const sealed = now(sealState(keys, [a, b], state, 'loans/1', random)) as Buffer
    expect(sealed.includes('Ada')).toBe(false)
    expect(now(openState(keys, [b, a, b], sealed, 'loans/1'))).toBe(state)
    expect(now(openState(keys, [a], sealed, 'loans/1'))).toBeUndefined()
    expect(now(openState(keys, [a, b], sealed, 'loans/2'))).toBeUndefined()
  })

  test('is unreadable once any of its subjects was forgotten, and cannot be sealed then', () => {
    const [a, b] = both() as [string, string]
    const sealed = now(sealState(keys, [a, b], state, 'loans/1', random)) as Buffer
    keys.byHash.delete(keys.hash('', 'b'))
    expect(now(openState(keys, [a, b], sealed, 'loans/1'))).toBeUndefined()
    expect(now(sealState(keys, [a, b], state, 'loans/1', random))).toBeUndefined()
  })

  test('is not kept when it has more than 64 subjects', () => {
    const ids = Array.from({ length: 65 }, (_, i) => now(keys.sealing(keys.hash('', `s${i}`))).id)
    expect(now(sealState(keys, ids, state, 'x', random))).toBeUndefined()
    expect(now(sealState(keys, ids.slice(1), state, 'x', random))).toBeInstanceOf(Buffer)
  })
})
