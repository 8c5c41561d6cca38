// A repair that is cut short at any operation of the disk, by a kill or a power cut, can be made again
// and keeps what it would have kept: what only the tails of segments hold is not touched before the new
// checkpoint is durable.
import { expect, test } from 'vitest'
import { Prng, type SimDisk, seededChoose, VirtualOutside } from '../../src/simulation.ts'
import { readAll } from './support/audit.ts'
import { boot, freshDisk, perform } from './support/boot.ts'
import { Oracle } from './support/oracle.ts'
import { append, commit, create, rest, type Step } from './support/script.ts'

const BIG = 900

/** Topic `a` in part, and `b` with all that is in it, is newer than the last checkpoint. */
const steps: readonly Step[] = [
  create('a'),
  ...Array.from({ length: 6 }, () => append('a', 0, BIG)),
  commit('a', 2),
  rest(1100),
  ...Array.from({ length: 6 }, () => append('a', 0, BIG)),
  create('b'),
  ...Array.from({ length: 7 }, () => append('b', 0, BIG)),
  commit('a', 3),
]

type Kept = Readonly<Record<string, unknown>>

/** Every file of a log. */
function filesOf(disk: SimDisk, folder = ''): string[] {
  return disk.list(folder).flatMap(name => {
    const path = folder === '' ? name : `${folder}/${name}`
    return disk.bytesOf(path) === undefined ? filesOf(disk, path) : [path]
  })
}

/** A log that was killed, whose journal is lost; all else has reached the medium since. */
async function damaged(settings: Record<string, number>): Promise<SimDisk> {
  const outside = new VirtualOutside(1)
  const disk = freshDisk(outside)
  await perform(disk, outside, new Oracle(), steps, { settings })
  const killed = disk.crash({ kind: 'kill' })
  const folders = killed.list('partitions').map(id => `partitions/${id}`)
  for (const folder of ['', 'journal', 'partitions', ...folders]) {
    await outside.drive(killed.syncFolder(folder))
  }
  for (const path of filesOf(killed)) {
    killed.put(path, path.endsWith('.journal') ? undefined : killed.bytesOf(path))
  }
  return killed
}

/** Repairs and reads everything; undefined where the disk has crashed on the way. */
async function repair(
  disk: SimDisk,
  outside: VirtualOutside,
  settings: Record<string, number>,
): Promise<Kept | undefined> {
  const life = await boot(disk, outside, { settings, acceptLoss: true })
  if (life === undefined) return undefined
  const kept: Record<string, unknown> = {}
  for (const { name, internal } of life.engine.allTopics()) {
    if (internal) continue
    const read = await outside.drive(readAll(life, name, 0))
    kept[name] = read?.batches.map(({ base, sendId }) => `${base}: ${sendId}`)
  }
  const committed = await outside.drive(
    life.engine.groups.fetchOffsets('g', [{ topic: 'a', partition: 0 }]),
  )
  kept['committed'] = committed?.[0]?.offset
  return kept
}

test.each([
  { what: 'in files', settings: { 'segment.memory.max.bytes': 0 } },
  { what: 'small and in files', settings: { 'segment.memory.max.bytes': 2000 } },
  { what: 'much later', settings: { 'segment.memory.max.bytes': 0 }, later: true },
])(
  'a repair cut short anywhere keeps what it would have kept: $what',
  async ({ settings, later }) => {
    const log = await damaged(settings)
    const copy = (): { disk: SimDisk; outside: VirtualOutside } => {
      // Where much later, segments are closed by their age: the same batches go to other places.
      const outside = new VirtualOutside(2).reboot(later ? 30 * 86_400_000 : 0)
      return { disk: log.crash({ kind: 'kill', timers: outside.timers }), outside }
    }
    const whole = copy()
    const expected = await repair(whole.disk, whole.outside, settings)
    expect(expected?.['a']).toHaveLength(12)
    // Where the engine's own records are small, what was in no checkpoint is lost with the journal.
    const isLost = settings['segment.memory.max.bytes'] > 0
    expect(expected?.['b']).toEqual(isLost ? undefined : expect.any(Array))
    expect(expected?.['committed']).toBe(isLost ? 2 : 3)
    let cuts = 0
    for (const moment of ['during', 'after'] as const) {
      for (let n = 1; ; n += 1) {
        const { disk, outside } = copy()
        disk.crashAt(n, moment)
        if ((await repair(disk, outside, settings)) !== undefined) break
        cuts += 1
        for (const kind of ['kill', 'power', 'power'] as const) {
          const next = outside.reboot()
          const { timers } = next
          const choose = seededChoose(new Prng(n))
          const left = disk.crash(kind === 'kill' ? { kind, timers } : { kind, timers, choose })
          const again = await repair(left, next, settings)
          expect(again, `cut at operation ${n} (${moment}), ${kind}`).toEqual(expected)
        }
      }
    }
    expect(cuts).toBeGreaterThan(40)
  },
)
