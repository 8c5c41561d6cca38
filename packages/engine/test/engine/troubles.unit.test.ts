// What an operator must not overlook is said when it begins, at intervals while it lasts, and at its end.
import { expect, test } from 'vitest'
import type { EngineHealth } from '../../src/index.ts'
import { Troubles } from '../../src/service/troubles.ts'
import { HandTime } from '../storage/support.ts'

const READY: EngineHealth = { state: 'ready', partitions: [], diskFull: false, clockHeldBackMs: 0 }

test('a trouble is said at once, again at intervals, when it changes, and when it is over', async () => {
  const outside = new HandTime()
  const said: string[] = []
  let health = READY
  const troubles = new Troubles({
    outside,
    everyMs: 60_000,
    health: () => health,
    say: (level, message) => said.push(`${level} ${message}`),
  })
  troubles.start()
  await outside.pass(10_000)
  expect(said).toEqual([])
  const partition = { topic: 't', partition: 0, state: 'quarantined', reason: 'bad byte' } as const
  health = { ...READY, partitions: [partition] }
  await outside.pass(1000)
  expect(said).toHaveLength(1)
  expect(said[0]).toContain('error QUARANTINED: t-0 (bad byte)')
  expect(said[0]).toContain('millrace repair')
  await outside.pass(50_000)
  expect(said).toHaveLength(1)
  await outside.pass(120_000)
  expect(said).toHaveLength(3)
  health = { ...health, diskFull: true }
  await outside.pass(1000)
  expect(said[3]).toContain('error DISK FULL')
  health = READY
  await outside.pass(1000)
  expect(said.slice(4).map(line => line.slice(0, 4))).toEqual(['info', 'info'])
  troubles.stop()
  health = { ...READY, state: 'fenced', reason: 'a sync failed' }
  await outside.pass(120_000)
  expect(said).toHaveLength(6)
})

test('a read-only engine says what to do: after a failure a restart, after damage a repair', () => {
  for (const [reason, damaged, advice] of [
    ['the journal failed: EIO: a damaged sector', {}, 'restart the node'],
    ['a hole in the journal', { journalDamaged: true }, 'millrace repair --accept-loss'],
  ] as const) {
    const said: string[] = []
    const troubles = new Troubles({
      outside: new HandTime(),
      everyMs: 60_000,
      health: () => ({ ...READY, state: 'fenced', reason, ...damaged }),
      say: (_, message) => said.push(message),
    })
    troubles.look()
    expect(said).toHaveLength(1)
    expect(said[0]).toContain('READ-ONLY')
    expect(said[0]).toContain(reason)
    expect(said[0]).toContain(advice)
  }
})

test('of many quarantined partitions some are named, and the number of the others is said', () => {
  const said: string[] = []
  const partitions = Array.from({ length: 1000 }, (_, partition) => ({
    topic: 't',
    partition,
    state: 'quarantined' as const,
    reason: 'bad byte',
  }))
  const troubles = new Troubles({
    outside: new HandTime(),
    everyMs: 60_000,
    health: () => ({ ...READY, partitions }),
    say: (_, message) => said.push(message),
  })
  troubles.look()
  expect(said[0]).toContain('t-19 ')
  expect(said[0]).toContain('and 980 more')
  expect(said[0]).not.toContain('t-20 ')
})
