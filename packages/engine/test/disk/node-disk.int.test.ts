// The real disk keeps the same contract as its simulated twin; its lock and thread are checked here.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import { describeDisk } from './conformance.ts'

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'millrace-disk-'))
const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true })

describeDisk('the real disk', () => {
  const folder = newFolder()
  const disk = nodeDisk(folder)
  return {
    disk,
    again: () => nodeDisk(folder),
    remove: async () => {
      await disk.close()
      removeFolder(folder)
    },
  }
})

let folder = ''
const children = new Set<ChildProcess>()

beforeEach(() => {
  folder = newFolder()
})

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
  removeFolder(folder)
})

function start(task: 'lock' | 'write' | 'idle'): ChildProcess {
  const script = fileURLToPath(new URL('./holder.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=millrace:source', script, task, folder])
  children.add(child)
  return child
}

/** What a child has printed when it ends. */
async function outputOf(
  child: ChildProcess,
): Promise<{ out: string; error: string; code: number }> {
  let out = ''
  let error = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    error += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number]
  return { out, error, code }
}

describe('the lock', () => {
  test('of another process is named with its pid, and ends with the process, however it ends', async () => {
    const child = start('lock')
    if (child.stdout === null) throw new Error('no output')
    await once(child.stdout, 'data')
    const disk = nodeDisk(folder)
    expect(() => disk.lock()).toThrow(`another process (pid ${child.pid})`)
    expect(() => disk.lock()).toThrow(folder)
    child.kill('SIGKILL')
    await once(child, 'close')
    disk.lock()
    await disk.close()
  })

  test('of another engine in this process is named as such', async () => {
    const disk = nodeDisk(folder)
    disk.lock()
    expect(() => nodeDisk(folder).lock()).toThrow('another engine of this process')
    await disk.close()
    const next = nodeDisk(folder)
    next.lock()
    await next.close()
  })

  test('makes no noise about the modules it needs', async () => {
    const { error, code } = await outputOf(start('write'))
    expect(error).toBe('')
    expect(code).toBe(0)
  })
})

describe('the journal thread', () => {
  test('keeps the process alive while it writes', async () => {
    const { out, code } = await outputOf(start('write'))
    expect(out).toBe('written\nclosed\n')
    expect(code).toBe(0)
    expect(readFileSync(join(folder, 'j')).length).toBe(512)
  })

  test('does not keep the process alive when it is idle', async () => {
    const { out, code } = await outputOf(start('idle'))
    expect(out).toBe('written\n')
    expect(code).toBe(0)
  })

  test('refuses a second write at a time, one that is too long, and any after the end', async () => {
    const disk = nodeDisk(folder)
    const writer = disk.openJournalWriter(2, 512)
    const file = disk.open('j', 'create')
    const write = { file, position: 0, slot: 0, length: 512, sync: true }
    const first = writer.write(write)
    await expect(writer.write({ ...write, slot: 1 })).rejects.toThrow('one write at a time')
    await first
    await expect(writer.write({ ...write, length: 513 })).rejects.toThrow(RangeError)
    await writer.close()
    await expect(writer.write(write)).rejects.toThrow('closed')
    file.close()
    await disk.close()
  })

  test('finishes the write under way when it is closed', async () => {
    const disk = nodeDisk(folder, { syncDelayMs: 50 })
    const writer = disk.openJournalWriter(1, 512)
    const file = disk.open('j', 'create')
    const written = writer.write({ file, position: 0, slot: 0, length: 512, sync: true })
    await Promise.all([written, disk.close()])
    expect(file.size()).toBe(512)
    file.close()
  })

  test('is found to have come to nothing when the device is full', async () => {
    const disk = nodeDisk('/dev')
    const writer = disk.openJournalWriter(1, 512)
    const file = disk.open('full', 'write')
    await expect(
      writer.write({ file, position: 0, slot: 0, length: 512, sync: false }),
    ).rejects.toMatchObject({ code: 'ENOSPC', path: 'full' })
    await writer.close()
    file.close()
  })
})

describe('errors of the platform', () => {
  test('become the few codes that the engine knows', async () => {
    const disk = nodeDisk(folder)
    disk.makeFolder('f')
    expect(() => disk.open('f', 'write')).toThrow(expect.objectContaining({ code: 'EIO' }))
    const full = nodeDisk('/dev').open('full', 'write')
    expect(() => full.write(0, [Buffer.alloc(1)])).toThrow(
      expect.objectContaining({ name: 'DiskError', code: 'ENOSPC', path: 'full' }),
    )
    full.close()
    await disk.close()
  })
})

test.runIf(process.platform === 'linux')(
  'a folder that cannot be made is refused with its name, also below one that takes none',
  () => {
    expect(() => nodeDisk('/proc/no-such/folder')).toThrow(
      /data folder cannot be created.*\/proc\/no-such/,
    )
    writeFileSync(`${folder}/file`, '')
    expect(() => nodeDisk(`${folder}/file/below`)).toThrow(/ENOTDIR|EEXIST/)
    nodeDisk(`${folder}/a/b/c`)
    expect(readdirSync(`${folder}/a/b`)).toEqual(['c'])
  },
)

test('only the lock leaves files of its own', async () => {
  const disk = nodeDisk(folder)
  disk.lock()
  await disk.close()
  expect(readdirSync(folder).sort()).toEqual(['lock.pid', 'lock.sqlite'])
})

test('a file that has been closed is not another one that has its number now', async () => {
  const disk = nodeDisk(folder)
  const closed = disk.open('closed', 'create')
  closed.close()
  const other = disk.open('other', 'create')
  const refused = expect.objectContaining({ name: 'DiskError', code: 'EIO', path: 'closed' })
  for (const buffers of [[Buffer.alloc(5)], [Buffer.alloc(5), Buffer.alloc(5)]]) {
    expect(() => closed.write(0, buffers)).toThrow(refused)
  }
  expect(() => closed.truncate(9)).toThrow(refused)
  expect(() => closed.close()).toThrow(refused)
  await expect(closed.sync()).rejects.toThrow(refused)
  expect(other.size()).toBe(0)
  other.write(0, [Buffer.from('its own')])
  expect(readFileSync(`${folder}/other`, 'utf8')).toBe('its own')
  other.close()
  await disk.close()
})
