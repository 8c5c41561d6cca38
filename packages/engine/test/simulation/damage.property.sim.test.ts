// Random damage to any file of a folder: verification and opening agree whether there is any, repair
// heals so that the next open is clean, and what is missing then is what it has listed.
import { LogError, lastOffsetOf } from '@millrace/log'
import { expect, test } from 'vitest'
import { type GivenUp, verifyFolder } from '../../src/index.ts'
import { Prng, type SimDisk, VirtualOutside } from '../../src/simulation.ts'
import { freshDisk, mustBoot, perform } from './support/boot.ts'
import { batchesOf, type KnownBatch, knownBatch, Oracle } from './support/oracle.ts'
import { append, commit, create, rest, type Step, stop } from './support/script.ts'
import type { Life } from './support/world.ts'

const RUNS = 120
const TOPICS = ['a', 'b']
const COUNT = 7
/** No topic of these logs has as many. */
const OFFSETS_MAX = 12
const steps: readonly Step[] = [
  ...TOPICS.map(topic => create(topic)),
  ...Array.from({ length: 5 }, () => TOPICS.map(topic => append(topic, 0, 900))).flat(),
  rest(1100),
  commit('a', 3),
  ...TOPICS.map(topic => append(topic, 0, 900)),
  ...TOPICS.map(topic => append(topic, 0, 900)),
]

type Log = { readonly disk: SimDisk; readonly known: ReadonlyMap<string, readonly KnownBatch[]> }

async function makeLog(killed: boolean): Promise<Log> {
  const outside = new VirtualOutside(1)
  const disk = freshDisk(outside)
  const oracle = new Oracle()
  await perform(disk, outside, oracle, killed ? steps : [...steps, stop])
  const known = new Map(
    TOPICS.map(name => {
      const topic = oracle.named(name)
      if (topic === undefined) throw new Error('no topic')
      const batches = [...oracle.partition(topic, 0).batches.values()]
      return [name, batches.sort((a, b) => a.base - b.base)] as const
    }),
  )
  for (const batches of known.values()) expect(batches).toHaveLength(COUNT)
  return { disk: disk.crash({ kind: 'kill' }), known }
}

function filesOf(disk: SimDisk, folder = ''): string[] {
  return disk.list(folder).flatMap(name => {
    const path = folder === '' ? name : `${folder}/${name}`
    return disk.bytesOf(path) === undefined ? filesOf(disk, path) : [path]
  })
}

/** Damages the disk; answers in words how. */
function harm(disk: SimDisk, random: Prng): string {
  const files = filesOf(disk)
  const path = random.pick(files)
  const bytes = disk.bytesOf(path) ?? Buffer.alloc(0)
  const used = bytes.findLastIndex(byte => byte !== 0) + 1
  const at = random.below(Math.max(1, random.below(4) === 0 ? bytes.length : used))
  switch (random.below(6)) {
    case 0:
    case 1:
      if (bytes.length > 0) disk.flipBit(path, at, random.below(8))
      return `${path}: a bit of byte ${at}`
    case 2:
      disk.put(path, bytes.subarray(0, at))
      return `${path}: cut to ${at}`
    case 3:
      disk.put(path, undefined)
      return `${path}: taken away`
    case 4: {
      const kind = (name: string): string =>
        name.replace(/^.*\./, '').replace(/^checkpoint-.$/, 'c')
      const other = random.pick(files.filter(name => kind(name) === kind(path)))
      const there = disk.bytesOf(other)
      disk.put(other, bytes)
      disk.put(path, there)
      return `${path}: swapped with ${other}`
    }
    default: {
      const zeroed = Buffer.from(bytes)
      zeroed.fill(0, at, Math.min(at + 512, zeroed.length))
      disk.put(path, zeroed)
      return `${path}: zeros from ${at}`
    }
  }
}

type Served = {
  readonly batches: ReadonlyMap<string, readonly KnownBatch[]>
  readonly told: boolean
  readonly givenUp: readonly GivenUp[]
  /** The folder afterwards. */
  readonly disk: SimDisk
}

/** Opens and reads everything. */
async function serve(disk: SimDisk, acceptLoss: boolean): Promise<Served> {
  const outside = new VirtualOutside(2)
  const copy = disk.crash({ kind: 'kill', timers: outside.timers })
  let givenUp: readonly GivenUp[] = []
  let life: Life
  try {
    life = await mustBoot(copy, outside, {
      acceptLoss,
      onGivenUp: offsets => {
        givenUp = offsets
      },
    })
  } catch (cause) {
    if (!(cause instanceof LogError)) throw cause
    return { batches: new Map(), told: true, givenUp, disk: copy }
  }
  const batches = new Map<string, KnownBatch[]>()
  let told = false
  for (const { name: topic } of life.engine.allTopics()) {
    const found: KnownBatch[] = []
    for (let offset = 0; offset < OFFSETS_MAX; ) {
      const request = {
        positions: [{ topic, partition: 0, offset, maxBytes: 1000 }],
        minBytes: 0,
        maxBytes: 1000,
        maxWaitMs: 0,
        isolation: 'read_uncommitted' as const,
      }
      const result = (await outside.drive(life.engine.fetch(request)))?.[0]
      const code = result?.error?.code
      // Internal topics are trimmed behind each checkpoint.
      if (code !== undefined && code !== 'OFFSET_OUT_OF_RANGE') told = true
      const next = batchesOf(result?.records ?? Buffer.alloc(0))
      if (TOPICS.includes(topic)) found.push(...next.map(batch => knownBatch(batch)))
      const last = next.at(-1)
      offset = (last === undefined ? offset : lastOffsetOf(last)) + 1
    }
    batches.set(topic, found)
  }
  const { state, partitions } = life.engine.health()
  told ||= state !== 'ready' || partitions.length > 0
  await outside.drive(life.engine.close())
  return { batches, told, givenUp, disk: copy }
}

const isDamaged = (disk: SimDisk): boolean =>
  verifyFolder(disk.crash({ kind: 'kill' })).findings.some(({ severity }) => severity === 'damage')

/** Offsets of a topic that are neither served nor listed as given up. */
function unexplained({ batches, givenUp }: Served, { known }: Log): string[] {
  return TOPICS.flatMap(topic => {
    const served = new Set((batches.get(topic) ?? []).map(({ base }) => base))
    const listed = (offset: number): boolean =>
      givenUp.some(range => range.topic === topic && range.from <= offset && offset <= range.to)
    return (known.get(topic) ?? [])
      .filter(({ base }) => !served.has(base) && !listed(base))
      .map(({ base }) => `${topic} ${base}`)
  })
}

function expectTrue(served: Served, { known }: Log): void {
  for (const topic of TOPICS) {
    const batches = served.batches.get(topic) ?? []
    for (const batch of batches) {
      const right = known.get(topic)?.[batch.base]
      expect(right?.payload.equals(batch.payload), `${topic} ${batch.base} was never written`).toBe(
        true,
      )
    }
  }
}

test.each([true, false])(
  'random damage is told by both or by neither, and repaired (killed: %s)',
  async killed => {
    const log = await makeLog(killed)
    let damaged = 0
    for (let seed = 1; seed <= RUNS; seed += 1) {
      const disk = log.disk.crash({ kind: 'kill' })
      const what = `seed ${seed}, ${harm(disk, new Prng(seed))}`
      try {
        const found = isDamaged(disk)
        const served = await serve(disk, false)
        expectTrue(served, log)
        expect(served.told, 'opening, as against verification').toBe(found)
        if (!found) continue
        damaged += 1
        const repaired = await serve(disk, true)
        expectTrue(repaired, log)
        // Without a checkpoint there is nothing to go on with: repair says so, and changes nothing.
        if (repaired.batches.size === 0) continue
        expect(repaired.told, 'after the repair').toBe(false)
        expect(isDamaged(repaired.disk), 'verification after the repair').toBe(false)
        const again = await serve(repaired.disk, false)
        expect(again.told, 'the next open').toBe(false)
        expect(unexplained({ ...again, givenUp: repaired.givenUp }, log)).toEqual([])
      } catch (cause) {
        throw new Error(`${what}: ${String(cause)}`, { cause })
      }
    }
    expect(damaged).toBeGreaterThan(RUNS / 5)
  },
)
