// D6: files that have changed at rest. Bytes all over a small log are flipped (every one of them with
// SIM_ALL=1), every file is cut and taken away: what is served is what was written, or an error; the
// engine opens and says what is wrong, or refuses with a clear error; verification names file and
// byte; with the file restored, or the loss accepted, it goes on. Where a log was killed, the last
// group of the journal is a window: damaged on the medium it looks like a tear.
import { LogError } from '@millrace/log'
import { expect, test } from 'vitest'
import { verifyFolder } from '../../src/index.ts'
import { type SimDisk, VirtualOutside } from '../../src/simulation.ts'
import { freshDisk, mustBoot, perform } from './support/boot.ts'
import { ALL, oneOf } from './support/extent.ts'
import { batchesOf, type KnownBatch, knownBatch, Oracle } from './support/oracle.ts'
import { append, commit, create, rest, type Step, stop } from './support/script.ts'
import type { Life } from './support/world.ts'

const BIG = 900
/** One byte of so many: an odd number, so that every bit has its turn. */
const PART = oneOf(5)
const steps: readonly Step[] = [
  create('a'),
  ...Array.from({ length: 6 }, () => append('a', 0, BIG)),
  rest(1100),
  append('a', 0, BIG),
  commit('a', 3),
  append('a', 0, BIG),
  append('a', 0, BIG),
]

type Log = {
  readonly disk: SimDisk
  readonly known: readonly KnownBatch[]
  readonly killed: boolean
}

async function makeLog(killed: boolean): Promise<Log> {
  const outside = new VirtualOutside(1)
  const disk = freshDisk(outside)
  const oracle = new Oracle()
  await perform(disk, outside, oracle, killed ? steps : [...steps, stop])
  const topic = oracle.named('a')
  if (topic === undefined) throw new Error('no topic')
  const known = [...oracle.partition(topic, 0).batches.values()].sort((a, b) => a.base - b.base)
  expect(known).toHaveLength(9)
  // Stopped twice would be the same: what is copied is the disk behind the first stop.
  return { disk: disk.crash({ kind: 'kill' }), known, killed }
}

/** Every file of a log. */
function filesOf(disk: SimDisk, folder = ''): string[] {
  return disk.list(folder).flatMap(name => {
    const path = folder === '' ? name : `${folder}/${name}`
    return disk.bytesOf(path) === undefined ? filesOf(disk, path) : [path]
  })
}

type Served = {
  readonly batches: readonly KnownBatch[]
  /** Whether anything tells an operator or a reader that something is missing. */
  readonly told: boolean
}

/** Opens and reads everything; a refusal to open is told as well. */
async function serve(disk: SimDisk, acceptLoss = false): Promise<Served> {
  const outside = new VirtualOutside(2)
  const copy = disk.crash({ kind: 'kill', timers: outside.timers })
  let life: Life
  try {
    life = await mustBoot(copy, outside, { acceptLoss })
  } catch (cause) {
    expect(cause).toBeInstanceOf(LogError)
    return { batches: [], told: true }
  }
  const batches: KnownBatch[] = []
  let told = false
  for (let offset = 0; ; ) {
    const request = {
      positions: [{ topic: 'a', partition: 0, offset, maxBytes: 1000 }],
      minBytes: 0,
      maxBytes: 1000,
      maxWaitMs: 0,
      isolation: 'read_uncommitted' as const,
    }
    const result = (await outside.drive(life.engine.fetch(request)))?.[0]
    if (result?.error !== undefined) told = true
    const found = batchesOf(result?.records ?? Buffer.alloc(0)).map(batch => knownBatch(batch))
    if (found.length === 0) {
      // Behind damage there may be more.
      if (!told || offset >= 9) break
      offset += 1
      continue
    }
    batches.push(...found)
    offset = (found.at(-1)?.last ?? offset) + 1
  }
  const health = life.engine.health()
  told ||= health.state !== 'ready' || health.partitions.length > 0
  await outside.drive(life.engine.close())
  return { batches, told }
}

/** What was served was written; what is missing is told, but for the window. */
function judge({ batches, told }: Served, { known, killed }: Log, window: boolean): void {
  for (const batch of batches) {
    const right = known[batch.base]
    if (right === undefined || !right.payload.equals(batch.payload)) {
      throw new Error(`offset ${batch.base} is served with a value that was never written`)
    }
  }
  const least = killed && window ? known.length - 1 : known.length
  if (!told && batches.length < least) {
    throw new Error(`${batches.length} of ${known.length} batches are served, and nothing is said`)
  }
}

async function changed(
  log: Log,
  path: string,
  bytes: Buffer | undefined,
  what: string,
): Promise<Served> {
  const before = log.disk.bytesOf(path)
  log.disk.put(path, bytes)
  try {
    const served = await serve(log.disk)
    judge(served, log, path.startsWith('journal/'))
    return served
  } catch (cause) {
    throw new Error(`${path}, ${what}: ${cause instanceof Error ? cause.stack : cause}`, { cause })
  } finally {
    log.disk.put(path, before)
  }
}

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ (1 << (at % 8)), at)
  return copy
}

const CASES = [
  { name: 'stopped', killed: false },
  { name: 'killed', killed: true },
] as const

test.each(CASES)(
  `${ALL ? 'every byte' : 'bytes all over the files'} of a $name log: never a wrong value, never a silent loss`,
  async ({ killed }) => {
    const log = await makeLog(killed)
    let flips = 0
    for (const path of filesOf(log.disk)) {
      const bytes = log.disk.bytesOf(path) ?? Buffer.alloc(0)
      // Headers and batches in the smallest steps, long payloads and what is empty in the journal in longer.
      const journal = path.startsWith('journal/')
      const used = journal ? bytes.findLastIndex(byte => byte !== 0) + 64 : bytes.length
      for (let at = 0; at < Math.min(used, bytes.length); at += step(at, journal)) {
        await changed(log, path, flipped(bytes, at), `byte ${at}`)
        flips += 1
      }
    }
    expect(flips).toBeGreaterThan(2000 / PART)
  },
)

/** The first bytes of each part are headers. */
const step = (at: number, journal: boolean): number => {
  if (journal) return at % 512 < 160 ? PART : 23 * PART
  return at % 1000 < 200 ? PART : 7 * PART
}

test.each(CASES)('a $name log cut at any length, or without a file', async ({ killed }) => {
  const log = await makeLog(killed)
  for (const path of filesOf(log.disk)) {
    const bytes = log.disk.bytesOf(path) ?? Buffer.alloc(0)
    await changed(log, path, undefined, 'taken away')
    const stride = Math.max(1, Math.floor(bytes.length / 60))
    for (let length = 0; length < bytes.length; length += stride) {
      await changed(log, path, bytes.subarray(0, length), `cut to ${length}`)
    }
  }
})

test.each(CASES)('a $name log with a zeroed or a swapped page', async ({ killed }) => {
  const log = await makeLog(killed)
  const files = filesOf(log.disk).filter(path => !path.startsWith('journal/'))
  for (const path of files) {
    const bytes = log.disk.bytesOf(path) ?? Buffer.alloc(0)
    for (let at = 0; at < bytes.length; at += 512) {
      const zeroed = Buffer.from(bytes)
      zeroed.fill(0, at, Math.min(at + 512, zeroed.length))
      await changed(log, path, zeroed, `zeroed at ${at}`)
    }
    for (const other of files) {
      if (other !== path) await changed(log, path, log.disk.bytesOf(other), `replaced by ${other}`)
    }
  }
})

test('opening a damaged log destroys nothing: with the file restored everything is back', async () => {
  for (const { killed } of CASES) {
    const log = await makeLog(killed)
    for (const path of filesOf(log.disk)) {
      const bytes = log.disk.bytesOf(path) ?? Buffer.alloc(0)
      for (let at = 3; at < Math.min(bytes.length, 6000); at += 97) {
        const outside = new VirtualOutside(3)
        const copy = log.disk.crash({ kind: 'kill', timers: outside.timers })
        copy.put(path, flipped(bytes, at))
        const told = await openAndStop(copy, outside)
        if (!told) continue
        // Whoever was told restores the file, and accepts what is then no loss.
        const next = outside.reboot()
        const restored = copy.crash({ kind: 'kill', timers: next.timers })
        restored.put(path, bytes)
        const served = await serve(restored, true)
        try {
          judge({ ...served, told: false }, log, path.startsWith('journal/'))
        } catch (cause) {
          throw new Error(`${path}, byte ${at}, killed ${killed}: ${cause}`, { cause })
        }
      }
    }
  }
})

/** Whether the engine says, after opening and reading, that something is wrong. */
async function openAndStop(disk: SimDisk, outside: VirtualOutside): Promise<boolean> {
  try {
    const life = await mustBoot(disk, outside)
    const { state, partitions } = life.engine.health()
    await outside.drive(life.engine.close())
    return state !== 'ready' || partitions.length > 0
  } catch (cause) {
    expect(cause).toBeInstanceOf(LogError)
    return true
  }
}

test('verification names the file and the byte of a damaged segment; accepting the loss serves the rest', async () => {
  const log = await makeLog(false)
  const path = filesOf(log.disk).find(name => name.endsWith('04.log')) ?? ''
  const bytes = log.disk.bytesOf(path) ?? Buffer.alloc(0)
  expect(bytes.length).toBeGreaterThan(BIG)
  const verify = (): ReturnType<typeof verifyFolder> =>
    verifyFolder(log.disk.crash({ kind: 'kill' }))
  expect(verify().findings).toEqual([])
  for (let at = 0; at < bytes.length; at += 101) {
    log.disk.put(path, flipped(bytes, at))
    const damage = verify().findings.filter(({ severity }) => severity === 'damage')
    // Base offset and leader epoch of a batch lie outside its checksum; contiguity and blocks tell.
    expect(damage[0]?.path ?? '', `byte ${at}`).toBe(path)
    expect(damage[0]?.position).toBeLessThanOrEqual(at)
    expect(damage[0]?.position).toBeGreaterThan(at - 70_000)
    const served = await serve(log.disk, true)
    judge({ ...served, told: true }, log, false)
    expect(served.batches.length).toBeGreaterThanOrEqual(4)
  }
  log.disk.put(path, bytes)
})

test('an index that is damaged is built again', async () => {
  const log = await makeLog(false)
  for (const path of filesOf(log.disk).filter(name => name.endsWith('.index'))) {
    const bytes = log.disk.bytesOf(path) ?? Buffer.alloc(0)
    for (let at = 0; at < bytes.length; at += 5) {
      const served = await changed(log, path, flipped(bytes, at), `byte ${at}`)
      expect(served.told).toBe(false)
    }
  }
})
