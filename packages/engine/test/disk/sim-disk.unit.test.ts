// The simulated twin keeps the contract, loses what it may lose at a power cut, and nothing else.
import { describe, expect, test } from 'vitest'
import type { DiskFile } from '../../src/disk/disk.ts'
import {
  CALM,
  type Choose,
  climatePlan,
  drawClimate,
  everyOutcome,
  failNth,
  Prng,
  SimDisk,
  SimulatedCrash,
  seededChoose,
  VirtualOutside,
} from '../../src/simulation.ts'
import { describeDisk } from './conformance.ts'

describeDisk('the simulated disk', () => {
  const disk = new SimDisk()
  return { disk, again: () => disk, remove: () => Promise.resolve() }
})

const sector = (fill: string, sectors = 1): Buffer => Buffer.alloc(512 * sectors, fill)

const read = (disk: SimDisk, path: string): string | undefined =>
  disk.bytesOf(path)?.toString('latin1')

/** One letter for each sector: what fills it, or "?" if it is mixed. */
const sectorsOf = (disk: SimDisk, path: string): string | undefined => {
  const content = disk.bytesOf(path)
  if (content === undefined) return undefined
  let letters = ''
  for (let at = 0; at < content.length; at += 512) {
    const part = content.subarray(at, at + 512)
    const first = part[0] ?? 0
    const isPure = part.every(byte => byte === first)
    letters += !isPure ? '?' : first === 0 ? '0' : String.fromCharCode(first)
  }
  return letters
}

/** Every state that a power cut can leave, sorted. */
async function outcomes<T>(disk: SimDisk, look: (next: SimDisk) => T): Promise<T[]> {
  const found = new Map<string, T>()
  await everyOutcome(choose => {
    const state = look(disk.crash({ kind: 'power', choose, detail: 'few' }))
    found.set(JSON.stringify(state) ?? 'absent', state)
  })
  return [...found.keys()].sort().map(key => found.get(key) as T)
}

/** A disk with one durable file. */
async function withFile(content: Buffer): Promise<{ disk: SimDisk; file: DiskFile }> {
  const disk = new SimDisk()
  const file = disk.open('a', 'create')
  file.write(0, [content])
  await file.sync()
  await disk.syncFolder('')
  return { disk, file }
}

describe('after a power cut', () => {
  test('a write is kept, lost, or torn at sectors', async () => {
    const { disk, file } = await withFile(sector('a', 2))
    file.write(0, [sector('b', 2)])
    expect(await outcomes(disk, next => sectorsOf(next, 'a'))).toEqual(['aa', 'ab', 'ba', 'bb'])
  })

  test('a tear lies at the sectors of the file, wherever the write began', async () => {
    const { disk, file } = await withFile(sector('a', 2))
    file.write(500, [Buffer.alloc(24, 'b')])
    const old = sector('a', 2).toString()
    const mixed = (from: number, to: number): string =>
      `${old.slice(0, from)}${'b'.repeat(to - from)}${old.slice(to)}`
    expect(await outcomes(disk, next => read(next, 'a'))).toEqual(
      [old, mixed(500, 512), mixed(500, 524), mixed(512, 524)].sort(),
    )
  })

  test('of several writes any subset is there, a later one without an earlier one', async () => {
    const { disk, file } = await withFile(sector('a', 3))
    file.write(0, [sector('x')])
    file.write(512, [sector('y')])
    file.write(1024, [sector('z')])
    expect(await outcomes(disk, next => sectorsOf(next, 'a'))).toEqual(
      ['aaa', 'xaa', 'aya', 'aaz', 'xya', 'xaz', 'ayz', 'xyz'].sort(),
    )
  })

  test('a sector holds its bytes after one of the writes, never a mixture of old and later', async () => {
    const { disk, file } = await withFile(sector('a'))
    file.write(0, [Buffer.from('x')])
    file.write(1, [Buffer.from('y')])
    const states = await outcomes(disk, next => read(next, 'a')?.slice(0, 3))
    // The page held "xya" when the second write was made: "aya" was never in memory.
    expect(states).toEqual(['aaa', 'xaa', 'xya'])
  })

  test('writes to different files are independent', async () => {
    const disk = new SimDisk()
    const files = ['a', 'b'].map(path => disk.open(path, 'create'))
    for (const file of files) file.write(0, [sector('0')])
    for (const file of files) await file.sync()
    await disk.syncFolder('')
    files[0]?.write(0, [sector('x')])
    files[1]?.write(0, [sector('y')])
    const states = await outcomes(disk, next => `${sectorsOf(next, 'a')}${sectorsOf(next, 'b')}`)
    expect(states).toEqual(['00', '0y', 'x0', 'xy'])
  })

  test('a file may have grown without its data, which then are zeros or stale bytes', async () => {
    const { disk, file } = await withFile(sector('a'))
    const other = disk.open('deleted', 'create')
    other.write(0, [sector('s', 2)])
    other.close()
    disk.unlink('deleted')
    await disk.syncFolder('')
    file.write(512, [sector('b')])
    // "a": data without size are gone.
    expect(await outcomes(disk, next => sectorsOf(next, 'a'))).toEqual(['a', 'a0', 'ab', 'as'])
  })

  test('a truncation is done or not done', async () => {
    const { disk, file } = await withFile(sector('a', 3))
    file.truncate(512)
    expect(await outcomes(disk, next => sectorsOf(next, 'a'))).toEqual(['a', 'aaa'])
  })

  test('bytes that were cut off may return when the file grows again', async () => {
    const { disk, file } = await withFile(sector('a', 2))
    file.truncate(0)
    file.write(512, [sector('b')])
    const states = await outcomes(disk, next => sectorsOf(next, 'a'))
    expect(states).toContain('') // truncated, not written
    expect(states).toContain('aa') // neither
    expect(states).toContain('0b') // both
    expect(states).toContain('ab') // written, and the old first sector has returned
    expect(states).not.toContain('ba')
  })

  test('a new name is kept or lost, its content may be durable or not', async () => {
    const after = async (...syncs: readonly ('file' | 'folder')[]): Promise<string[]> => {
      const disk = new SimDisk()
      const file = disk.open('new', 'create')
      file.write(0, [sector('a')])
      if (syncs.includes('file')) await file.sync()
      if (syncs.includes('folder')) await disk.syncFolder('')
      return outcomes(disk, next => sectorsOf(next, 'new') ?? 'absent')
    }
    const stale = String.fromCharCode(0xd5)
    expect(await after()).toEqual(['', '0', 'a', 'absent', stale])
    expect(await after('folder')).toEqual(['', '0', 'a', stale])
    expect(await after('file')).toEqual(['a', 'absent'])
    expect(await after('file', 'folder')).toEqual(['a'])
  })

  test('a rename has happened or not, and may be kept while the content is lost', async () => {
    const { disk } = await withFile(sector('a'))
    const file = disk.open('b', 'create')
    await file.sync()
    await disk.syncFolder('')
    file.write(0, [sector('b')])
    disk.rename('b', 'a')
    const states = await outcomes(disk, next => [
      sectorsOf(next, 'a') ?? 'absent',
      sectorsOf(next, 'b') ?? 'absent',
    ])
    const stale = String.fromCharCode(0xd5)
    const contents = ['', '0', 'b', stale]
    const legal = [
      ...contents.map(content => [content, 'absent']), // renamed
      ...contents.map(content => ['a', content]), // not renamed
    ]
    const asText = (state: string[]): string => JSON.stringify(state)
    expect(states.map(asText).sort()).toEqual(legal.map(asText).sort())
  })

  test('a rename between folders happens in one step, durable when both are synced', async () => {
    const after = async (...syncs: readonly string[]): Promise<string[]> => {
      const { disk } = await withFile(sector('a'))
      disk.makeFolder('f')
      await disk.syncFolder('')
      disk.rename('a', 'f/a')
      for (const folder of syncs) await disk.syncFolder(folder)
      return outcomes(disk, next => `${next.exists('a')} ${next.exists('f/a')}`)
    }
    expect(await after()).toEqual(['false true', 'true false'])
    expect(await after('f')).toEqual(['false true', 'true false'])
    expect(await after('f', '')).toEqual(['false true'])
  })

  test('an unlinked file is gone or still there, whole', async () => {
    const after = async (syncs: boolean): Promise<string[]> => {
      const { disk } = await withFile(sector('a'))
      disk.unlink('a')
      if (syncs) await disk.syncFolder('')
      return outcomes(disk, next => sectorsOf(next, 'a') ?? 'absent')
    }
    expect(await after(false)).toEqual(['a', 'absent'])
    expect(await after(true)).toEqual(['absent'])
  })

  test('a folder whose name was not synced takes its files with it', async () => {
    const after = async (syncs: boolean): Promise<string[]> => {
      const disk = new SimDisk()
      disk.makeFolder('f')
      const file = disk.open('f/a', 'create')
      file.write(0, [sector('a')])
      await file.sync()
      await disk.syncFolder('f')
      if (syncs) await disk.syncFolder('')
      return outcomes(disk, next => sectorsOf(next, 'f/a') ?? 'absent')
    }
    expect(await after(false)).toEqual(['a', 'absent'])
    expect(await after(true)).toEqual(['a'])
  })

  test('what a successful sync has covered is there', async () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const prng = new Prng(seed)
      const disk = new SimDisk()
      const file = disk.open('a', 'create')
      await disk.syncFolder('')
      for (let i = 0; i < 6; i += 1) {
        if (prng.chance(0.2)) file.truncate(prng.below(3000))
        else file.write(prng.below(3000), [prng.bytes(prng.below(2000))])
      }
      await file.sync()
      const promised = disk.bytesOf('a')
      const next = disk.crash({ kind: 'power', choose: seededChoose(seed) })
      expect(next.bytesOf('a'), `seed ${seed}`).toEqual(promised)
    }
  })

  test('a sync covers what was written before it was asked for, not after', async () => {
    const outside = new VirtualOutside(1)
    const disk = new SimDisk({ timers: outside.timers, latencyMs: () => 5 })
    disk.put('a', sector('a', 2))
    const file = disk.open('a', 'write')
    file.write(0, [sector('x')])
    const synced = file.sync()
    file.write(512, [sector('y')])
    await outside.drive(synced)
    expect(await outcomes(disk, next => sectorsOf(next, 'a'))).toEqual(['xa', 'xy'])
  })

  test('a canary: who answers before the sync is caught', async () => {
    const store = async (disk: SimDisk, syncs: boolean): Promise<void> => {
      const file = disk.open('log', 'create')
      await disk.syncFolder('')
      file.write(0, [Buffer.from('acknowledged')])
      if (syncs) await file.sync()
    }
    const lossesOf = async (syncs: boolean): Promise<number> => {
      let losses = 0
      const disk = new SimDisk()
      await store(disk, syncs)
      await everyOutcome(choose => {
        if (read(disk.crash({ kind: 'power', choose }), 'log') !== 'acknowledged') losses += 1
      })
      return losses
    }
    expect(await lossesOf(true)).toBe(0)
    expect(await lossesOf(false)).toBeGreaterThan(0)
  })
})

describe('after a kill', () => {
  test('the page cache is whole, and still not durable', async () => {
    const { disk, file } = await withFile(sector('a'))
    file.write(0, [sector('b')])
    disk.open('new', 'create')
    const next = disk.crash({ kind: 'kill' })
    expect(sectorsOf(next, 'a')).toBe('b')
    expect(next.list('')).toEqual(['a', 'new'])
    expect(await outcomes(next, last => `${sectorsOf(last, 'a')} ${last.exists('new')}`)).toEqual([
      'a false',
      'a true',
      'b false',
      'b true',
    ])
  })

  test('the lock is free again', () => {
    const disk = new SimDisk()
    disk.lock()
    disk.crash({ kind: 'kill' }).lock()
  })
})

describe('a failed sync', () => {
  test('loses what it covered, and the next one says nothing', async () => {
    const { disk, file } = await withFile(sector('a', 2))
    file.write(0, [sector('b')])
    disk.faults = failNth(1, 'EIO', { only: call => call.kind === 'sync' })
    await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' })
    expect(sectorsOf(disk, 'a')).toBe('ba')
    file.write(512, [sector('c')])
    await file.sync()
    expect(sectorsOf(disk.crash({ kind: 'kill' }), 'a')).toBe('bc')
    expect(await outcomes(disk, next => sectorsOf(next, 'a'))).toEqual(['ac'])
  })

  test('of a folder keeps its changes pending', async () => {
    const disk = new SimDisk({ faults: failNth(2, 'EIO') })
    disk.open('a', 'create')
    await expect(disk.syncFolder('')).rejects.toMatchObject({ code: 'EIO' })
    expect(await outcomes(disk, next => next.exists('a'))).toEqual([false, true])
  })
})

describe('a crash at the n-th operation', () => {
  const work = async (disk: SimDisk): Promise<void> => {
    disk.makeFolder('f')
    const file = disk.open('f/a', 'create')
    file.write(0, [sector('a', 4)])
    await file.sync()
    await disk.syncFolder('f')
    disk.rename('f/a', 'f/b')
    await disk.syncFolder('f')
    disk.unlink('f/b')
    file.truncate(0)
    file.close()
  }

  test('comes before or after each operation, and leaves the one before it done', async () => {
    const whole = new SimDisk()
    await work(whole)
    expect(whole.operations).toBe(9)
    for (let n = 1; n <= 9; n += 1) {
      for (const moment of ['before', 'during', 'after'] as const) {
        const outside = new VirtualOutside(n)
        const disk = new SimDisk({ timers: outside.timers })
        disk.crashAt(n, moment)
        const end = await outside
          .drive(work(disk), { until: () => disk.crashed })
          .catch((error: unknown) => error)
        expect(disk.crashed, `${moment} ${n}`).toBe(true)
        expect(disk.operations).toBe(n)
        if (end !== undefined) expect(end).toBeInstanceOf(SimulatedCrash)
        const files = disk.crash({ kind: 'kill' }).list('f')
        const last = moment === 'before' ? n - 1 : n
        expect(files, `${moment} ${n}`).toEqual(
          last < 2 ? [] : last < 6 ? ['a'] : last < 8 ? ['b'] : [],
        )
      }
    }
  })

  test('may leave a write half done in the page cache', () => {
    const lengths = new Set<number>()
    for (let seed = 1; seed < 20; seed += 1) {
      const disk = new SimDisk({ seed })
      const file = disk.open('a', 'create')
      disk.crashAt(1, 'during')
      expect(() => file.write(0, [sector('a', 4)])).toThrow(SimulatedCrash)
      lengths.add(disk.crash({ kind: 'kill' }).bytesOf('a')?.length ?? -1)
    }
    expect(lengths.size).toBeGreaterThan(5)
  })

  test('ends every later call, and never answers those under way', async () => {
    const outside = new VirtualOutside(1)
    const disk = new SimDisk({ timers: outside.timers, latencyMs: () => 10 })
    const file = disk.open('a', 'create')
    let answered = false
    void file.sync().then(() => {
      answered = true
    })
    disk.crash({ kind: 'kill' })
    void file.sync().then(() => {
      answered = true
    })
    await outside.advance(1000)
    expect(answered).toBe(false)
    for (const call of [
      () => file.read(0, Buffer.alloc(1)),
      () => file.write(0, []),
      () => file.truncate(0),
      () => disk.open('a', 'read'),
      () => disk.exists('a'),
      () => disk.list(''),
      () => disk.makeFolder('f'),
      () => disk.rename('a', 'b'),
      () => disk.unlink('a'),
      () => disk.removeFolder('f'),
      () => disk.space(),
      () => disk.lock(),
    ]) {
      expect(call).toThrow(SimulatedCrash)
    }
  })

  test('falls between the write and the sync of the journal as well', async () => {
    const seen: string[] = []
    for (const [n, moment] of [
      [1, 'before'],
      [1, 'after'],
      [2, 'during'],
      [2, 'after'],
    ] as const) {
      const outside = new VirtualOutside(1)
      const disk = new SimDisk({ timers: outside.timers, latencyMs: () => 1 })
      disk.put('j', sector('a'))
      const file = disk.open('j', 'write')
      const writer = disk.openJournalWriter(1, 512)
      writer.staging[0]?.fill('b')
      disk.crashAt(n, moment)
      const work = writer.write({ file, position: 0, slot: 0, length: 512, sync: true })
      await outside.drive(work, { until: () => disk.crashed })
      seen.push((await outcomes(disk, next => sectorsOf(next, 'j'))).join())
    }
    expect(seen).toEqual(['a', 'a,b', 'a,b', 'b'])
  })
})

describe('faults', () => {
  test('a failed write has taken none, all or part of its bytes', () => {
    const left = (taken: 'none' | 'part' | 'all', seed: number): number => {
      const disk = new SimDisk({ seed, faults: failNth(2, 'EIO', { taken }) })
      const file = disk.open('a', 'create')
      expect(() => file.write(0, [sector('a', 8)])).toThrow('EIO')
      return file.size()
    }
    expect(left('none', 1)).toBe(0)
    expect(left('all', 1)).toBe(4096)
    expect(new Set([1, 2, 3, 4, 5].map(seed => left('part', seed))).size).toBeGreaterThan(2)
  })

  test('the n-th call fails once, or from then on', () => {
    const run = (permanent: boolean): string => {
      const disk = new SimDisk({ faults: failNth(2, 'EMFILE', { permanent }) })
      return ['a', 'b', 'c']
        .map(path => {
          try {
            disk.open(path, 'create')
            return 'ok'
          } catch (error) {
            return (error as { code: string }).code
          }
        })
        .join(' ')
    }
    expect(run(false)).toBe('ok EMFILE ok')
    expect(run(true)).toBe('ok EMFILE EMFILE')
  })

  test('a full disk takes what fits, overwrites, and has room again after a deletion', () => {
    const disk = new SimDisk({ capacityBytes: 1000 })
    const file = disk.open('a', 'create')
    file.write(0, [Buffer.alloc(900)])
    expect(disk.space()).toMatchObject({ free: 100, total: 1000 })
    expect(() => file.write(900, [Buffer.alloc(200)])).toThrow('ENOSPC')
    expect(file.size()).toBe(1000)
    file.write(0, [Buffer.alloc(1000)])
    expect(() => disk.open('b', 'create')).toThrow('ENOSPC')
    disk.unlink('a')
    expect(disk.space().free).toBe(0)
    file.close()
    expect(disk.space().free).toBe(1000)
    disk.open('b', 'create').write(0, [Buffer.alloc(1000)])
  })

  test('a hung sync is never answered, a slow one late', async () => {
    const outside = new VirtualOutside(1)
    const disk = new SimDisk({ timers: outside.timers })
    const file = disk.open('a', 'create')
    disk.faults = () => ({ delayMs: 30_000 })
    const slow = file.sync()
    disk.faults = () => ({ hang: true })
    const hung = file.sync()
    await outside.drive(slow)
    expect(outside.clock.monotonic()).toBe(30_000)
    await expect(outside.drive(hung)).rejects.toThrow('nothing is due')
  })

  test('a flipped bit is read, and stays after a crash', async () => {
    const { disk } = await withFile(Buffer.from([1, 2, 3]))
    disk.flipBit('a', 1, 7)
    expect(disk.bytesOf('a')).toEqual(Buffer.from([1, 130, 3]))
    const next = disk.crash({ kind: 'power', choose: seededChoose(1) })
    expect(next.bytesOf('a')).toEqual(Buffer.from([1, 130, 3]))
  })

  test('a read may come from the wrong place or from the past', async () => {
    const { disk, file } = await withFile(Buffer.concat([sector('a'), sector('b')]))
    file.write(0, [sector('c')])
    const readFirst = (): string => {
      const target = Buffer.alloc(512)
      file.read(0, target)
      return target.toString('latin1', 0, 1)
    }
    disk.faults = () => ({ misplacedBy: 512 })
    expect(readFirst()).toBe('b')
    disk.faults = () => ({ stale: true })
    expect(readFirst()).toBe('a')
    disk.faults = undefined
    expect(readFirst()).toBe('c')
  })

  test('some climates are calm, some are terrible', () => {
    const climates = Array.from({ length: 200 }, (_, seed) => drawClimate(new Prng(seed)))
    const calm = climates.filter(climate => climate.syncErrors + climate.writeErrors === 0)
    expect(calm.length).toBeGreaterThan(50)
    expect(climates.some(climate => climate.writeErrors > 0.05)).toBe(true)
    const plan = climatePlan({ ...CALM, writeErrors: 1 }, new Prng(1))
    expect(plan({ kind: 'write', path: 'a', index: 1, journal: false })).toHaveProperty('error')
    expect(plan({ kind: 'read', path: 'a', index: 1, journal: false })).toBeUndefined()
  })

  test('a file that is used after it was closed stops the run', () => {
    const disk = new SimDisk()
    const file = disk.open('a', 'create')
    file.close()
    expect(() => file.write(0, [])).toThrow('after it was closed')
  })

  test('a file that is closed while a sync runs is named', async () => {
    const outside = new VirtualOutside(1)
    const disk = new SimDisk({ timers: outside.timers, latencyMs: () => 1 })
    const file = disk.open('a', 'create')
    const synced = file.sync()
    file.close()
    await outside.drive(synced)
    expect(disk.misuse).toEqual(['a was closed while a sync ran'])
  })
})

test('the same seed leads to the same disk', async () => {
  const run = async (seed: number): Promise<string> => {
    const prng = new Prng(seed)
    const outside = new VirtualOutside(prng.fork())
    const latencies = prng.fork()
    let disk = new SimDisk({
      seed,
      timers: outside.timers,
      latencyMs: () => latencies.fraction() * 10,
      faults: climatePlan(drawClimate(prng), prng.fork()),
    })
    const choose: Choose = seededChoose(prng.fork())
    const trace: string[] = []
    for (let i = 0; i < 100; i += 1) {
      try {
        const file = disk.open(`f${prng.below(3)}`, 'create')
        file.write(prng.below(5000), [prng.bytes(prng.below(3000))])
        if (prng.chance(0.5)) await outside.drive(file.sync(), { maxMs: 60_000 })
        file.close()
      } catch (error) {
        trace.push(String(error))
      }
      if (prng.chance(0.1)) disk = disk.crash({ kind: 'power', choose })
    }
    for (const name of disk.list('')) trace.push(name, read(disk, name) ?? '')
    trace.push(String(outside.clock.monotonic()))
    return trace.join('\n')
  }
  for (let seed = 1; seed <= 20; seed += 1) {
    expect(await run(seed), `seed ${seed}`).toBe(await run(seed))
  }
  expect(await run(1)).not.toBe(await run(2))
})
