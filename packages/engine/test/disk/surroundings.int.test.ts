// What is around the engine: the limit of descriptors, and who else may look into the data folder.
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { nodeDisk } from '../../src/disk/node-disk.ts'
import { openEngine } from '../../src/index.ts'
import { temporaryFolder } from '../storage/support.ts'

const CHILD = fileURLToPath(new URL('./limited-child.ts', import.meta.url))
const PARTITIONS = 300
/** Node itself has some thirty of them open. */
const DESCRIPTORS = 160

/** Runs the child in a shell that has done something before. */
async function run(before: string, folder: string, partitions: number): Promise<unknown> {
  const command = `${before}; exec "$0" --conditions=millrace:source "$@"`
  const args = ['-c', command, process.execPath, CHILD, folder, String(partitions)]
  const child = spawn('sh', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', piece => {
      text += piece
    })
  }
  const code = await new Promise(resolve => child.once('close', resolve))
  expect(code, text).toBe(0)
  return JSON.parse(text)
}

test('more partitions than the process may open files are written, and read in one fetch after the other', async () => {
  const folder = temporaryFolder()
  const report = await run(`ulimit -n ${DESCRIPTORS}`, folder, PARTITIONS)
  expect(report).toEqual({
    stored: 2 * PARTITIONS,
    read: PARTITIONS,
    state: 'ready',
    troubled: [],
    diskFull: false,
    warned: true,
  })
})

test('files and folders are private, whatever the umask', async () => {
  const folder = `${temporaryFolder()}/data`
  await run('umask 0', folder, 3)
  const modes = ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })].map(name => {
    const { mode } = statSync(`${folder}/${name}`)
    return `${name} ${(mode & 0o777).toString(8)}`
  })
  expect(modes.length).toBeGreaterThan(8)
  expect(modes.filter(line => !/ (600|700)$/.test(line))).toEqual([])
})

test('what an older version let others read is made private; the folder itself is told', async () => {
  const folder = temporaryFolder()
  for (const name of ['journal', 'partitions', 'own']) {
    mkdirSync(`${folder}/${name}`)
    chmodSync(`${folder}/${name}`, 0o755)
  }
  chmodSync(folder, 0o755)
  const events: string[] = []
  const engine = await openEngine({ folder, onEvent: event => void events.push(event.message) })
  await engine.close()
  const modeOf = (name: string): number => statSync(`${folder}/${name}`).mode & 0o777
  expect(['journal', 'partitions', 'own', ''].map(modeOf)).toEqual([0o700, 0o700, 0o755, 0o755])
  expect(events).toEqual([expect.stringContaining('mode 755')])
})

test('a call that fails says in words what ran out, or is not allowed', () => {
  const folder = temporaryFolder()
  const disk = nodeDisk(folder)
  expect(() => disk.open('missing', 'read')).toThrow('ENOENT')
  expect(disk.surroundings().descriptorsMax).toBeGreaterThan(0)
  expect(disk.space().freeInodes).toBeGreaterThan(0)
})
