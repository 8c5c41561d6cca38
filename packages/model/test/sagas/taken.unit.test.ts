import { expect, test } from 'vitest'
import { type TakenVersions, versionTaken, withVersionTaken } from '../../src/sagas/taken.ts'

test('what was taken is known for any number of streams, also after JSON', () => {
  let taken: TakenVersions = {}
  const names = Array.from({ length: 5000 }, (_, at) => `loan/${at % 7}-${at}`)
  for (const [at, name] of [...names, '__proto__', 'constructor'].entries())
    taken = withVersionTaken(taken, name, at + 1)
  taken = withVersionTaken(taken, 'loan/3-3', 9999)
  taken = JSON.parse(JSON.stringify(taken))
  for (const [at, name] of names.entries())
    expect(versionTaken(taken, name)).toBe(name === 'loan/3-3' ? 9999 : at + 1)
  expect(versionTaken(taken, '__proto__')).toBe(5001)
  expect(versionTaken(taken, 'toString')).toBe(0)
  expect(versionTaken(taken, 'loan/none')).toBe(0)
})

test('noting a version copies little, and nothing in place', () => {
  let taken: TakenVersions = {}
  for (let at = 0; at < 50_000; at += 1) taken = withVersionTaken(taken, `loan/${at}`, 1)
  const before = JSON.stringify(taken)
  const after = withVersionTaken(taken, 'loan/77', 2)
  expect(JSON.stringify(taken)).toBe(before)
  let copied = 0
  const compare = (old: TakenVersions | null, now: TakenVersions | null): void => {
    if (old === now || now === null) return
    const parts = Object.entries(now)
    copied += parts.length
    if (!Array.isArray(now)) return
    for (const [at, part] of now.entries())
      compare((old as readonly TakenVersions[])[at] ?? null, part)
  }
  compare(taken, after)
  expect(copied).toBeLessThan(150)
})
