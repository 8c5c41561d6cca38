// A new coordinator is a folder and a line: nothing in storage knows its name, and yet its state is in
// checkpoints, comes back after crashes at any moment, and is looked at by verification.
import { expect, test } from 'vitest'
import type { Engine } from '../../src/engine.ts'
import { openEngine, openWith } from '../../src/open-engine.ts'
import { SimDisk, seededChoose, VirtualOutside } from '../../src/simulation.ts'
import { verifyFolder, verifyWith } from '../../src/verify-folder.ts'
import { SMALL } from '../simulation/support/boot.ts'
import { ToyCounters } from './toy/counters.ts'

const LATENCY_MS = 1

type Life = { readonly engine: Engine; readonly counters: ToyCounters }

async function boot(disk: SimDisk, outside: VirtualOutside): Promise<Life> {
  let counters: ToyCounters | undefined
  const opening = openWith({ folder: '', disk, outside, settings: SMALL }, [
    context => {
      counters = new ToyCounters(context)
      return counters
    },
  ])
  const engine = await outside.drive(opening)
  if (counters === undefined || engine === undefined) throw new Error('not opened')
  return { engine, counters }
}

test('its state survives checkpoints, kills and power cuts, whenever they come', async () => {
  for (let seed = 0; seed < 60; seed += 1) {
    let outside = new VirtualOutside(seed)
    let disk = new SimDisk({ timers: outside.timers, latencyMs: () => LATENCY_MS })
    let acknowledged = 0
    for (let life = 0; life < 4; life += 1) {
      const { counters } = await boot(disk, outside)
      const found = await outside.drive(counters.read('n'))
      expect(found).toBeGreaterThanOrEqual(acknowledged)
      acknowledged = found ?? 0
      const counts = 1 + outside.prng.below(30)
      for (let i = 0; i < counts; i += 1) {
        acknowledged = (await outside.drive(counters.count('n'))) ?? 0
        // Checkpoints come every second: some lives see one, some several.
        if (outside.prng.chance(0.2)) await outside.advance(outside.prng.below(1500))
      }
      void counters.count('n').catch(() => undefined) // perhaps kept, perhaps not
      if (outside.prng.chance(0.5)) await outside.advance(LATENCY_MS / 2)
      const next = outside.reboot()
      const choose = seededChoose(seed * 10 + life)
      disk = disk.crash(
        outside.prng.chance(0.5)
          ? { kind: 'kill', timers: next.timers }
          : { kind: 'power', choose, timers: next.timers },
      )
      outside = next
      const { findings } = verifyWith(disk, new ToyCounters({ commits: NOWHERE, outside }).machines)
      expect(findings.filter(({ severity }) => severity === 'damage')).toEqual([])
    }
  }
})

test('its topic is internal: listed so, kept from clients, and trimmed behind checkpoints', async () => {
  const outside = new VirtualOutside(1)
  const disk = new SimDisk({ timers: outside.timers })
  const { engine, counters } = await boot(disk, outside)
  expect(engine.topic('__counters')).toMatchObject({ internal: true })
  const [made] = (await outside.drive(engine.createTopics([{ name: '__counters' }]))) ?? []
  expect(made?.error?.code).toBe('TOPIC_ALREADY_EXISTS')
  for (let i = 0; i < 20; i += 1) await outside.drive(counters.count('n'))
  await outside.drive(engine.close())
})

test('a version without it does not open the folder, and says whose state it would lose', async () => {
  const outside = new VirtualOutside(1)
  const disk = new SimDisk({ timers: outside.timers })
  const { engine, counters } = await boot(disk, outside)
  await outside.drive(counters.count('n'))
  await outside.drive(engine.close())
  const next = outside.reboot()
  const after = disk.crash({ kind: 'kill', timers: next.timers })
  const opening = openEngine({ folder: '', disk: after, outside: next, settings: SMALL })
  await expect(next.drive(opening)).rejects.toThrow(/holds state of counters/)
  expect(verifyFolder(after).findings.map(({ what }) => what)).toContainEqual(
    expect.stringContaining('counters'),
  )
})

const NOWHERE = {
  commit: () => Promise.resolve(),
  settled: () => Promise.resolve(),
  room: () => Promise.resolve(),
  sliceBytes: 1,
}
