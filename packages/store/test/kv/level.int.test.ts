// The map on disk: what was written is there after a close, and a write that is missing in the middle
// is never passed over.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openLevel } from '../../src/kv/level.ts'

const CACHE_BYTES = 1024 * 1024
const BATCHES = 50
/** LevelDB passes over the rest of a block of 32 KiB: the log must have several. */
const VALUE_BYTES = 4000
const DAMAGES = 60

const key = (name: string): Buffer => Buffer.from(`T${name}`)

async function filled(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'level-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const kv = await openLevel(folder, CACHE_BYTES)
  for (let i = 1; i <= BATCHES; i++) {
    // One key is written each time: a batch that is passed over would show an older value of it.
    await kv.batch([
      { type: 'put', key: key('last'), value: Buffer.from(String(i)) },
      { type: 'put', key: key(`${i}`), value: Buffer.alloc(VALUE_BYTES, i) },
    ])
  }
  await kv.close()
  return folder
}

test('what was written is there after a close, and nothing is thrown away', async () => {
  const folder = await filled()
  const kv = await openLevel(folder, CACHE_BYTES)
  expect(kv.discarded).toBeUndefined()
  expect(kv.getSync(key('last'))?.toString()).toBe(String(BATCHES))
  await kv.close()
})

test('batches that are written at once keep their order', async () => {
  const folder = await filled()
  const kv = await openLevel(folder, CACHE_BYTES)
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      kv.batch([{ type: 'put', key: key('last'), value: Buffer.from(`x${i}`) }]),
    ),
  )
  await kv.close()
  const again = await openLevel(folder, CACHE_BYTES)
  expect(again.getSync(key('last'))?.toString()).toBe('x19')
  await again.close()
})

test('damage in its own log costs the end or everything, never something in the middle', async () => {
  const folder = await filled()
  const log = readdirSync(folder).find(name => name.endsWith('.log')) ?? ''
  const whole = readFileSync(join(folder, log))
  let thrownAway = 0
  for (let n = 0; n < DAMAGES; n++) {
    const copy = `${folder}-${n}`
    await cp(folder, copy, { recursive: true })
    onTestFinished(() => rm(copy, { recursive: true }))
    const damaged = Buffer.from(whole)
    const at = Math.floor(((n + 0.5) / DAMAGES) * whole.length)
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0x40, at)
    writeFileSync(join(copy, log), damaged)
    const kv = await openLevel(copy, CACHE_BYTES).catch(() => null)
    if (kv === null) continue
    const last = Number(kv.getSync(key('last'))?.toString() ?? 0)
    for (let i = 1; i <= BATCHES; i++) {
      expect(kv.getSync(key(`${i}`)) !== undefined, `damage at byte ${at}, batch ${i}`).toBe(
        i <= last,
      )
    }
    if (kv.discarded !== undefined) {
      thrownAway += 1
      expect(last).toBe(0)
    }
    await kv.close()
  }
  expect(thrownAway).toBeGreaterThan(DAMAGES / 4)
})

test('a value whose bits have flipped is never given, and the next opening begins anew', async () => {
  const folder = await filled()
  // Written to tables by a second life.
  await (await openLevel(folder, CACHE_BYTES)).close()
  const table = readdirSync(folder).find(name => name.endsWith('.ldb')) ?? ''
  const whole = readFileSync(join(folder, table))
  let found = 0
  for (let n = 0; n < DAMAGES; n++) {
    const copy = `${folder}-${n}`
    await cp(folder, copy, { recursive: true })
    onTestFinished(() => rm(copy, { recursive: true }))
    const damaged = Buffer.from(whole)
    const at = Math.floor(((n + 0.5) / DAMAGES) * (whole.length * 0.9))
    damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at)
    writeFileSync(join(copy, table), damaged)
    const kv = await openLevel(copy, CACHE_BYTES).catch(() => null)
    if (kv === null) continue
    let isFound = false
    for (let i = 1; i <= BATCHES; i++) {
      try {
        const value = kv.getSync(key(`${i}`))
        if (value !== undefined) expect(value.equals(Buffer.alloc(VALUE_BYTES, i))).toBe(true)
      } catch (error) {
        expect(error).toMatchObject({ code: 'INDEX_DAMAGED' })
        isFound = true
      }
    }
    await kv.close()
    if (!isFound) continue
    found += 1
    const again = await openLevel(copy, CACHE_BYTES)
    expect(again.discarded).toContain('damaged')
    expect(again.getSync(key('1'))).toBeUndefined()
    await again.close()
  }
  expect(found).toBeGreaterThan(DAMAGES / 2)
})
