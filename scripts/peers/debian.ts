// Debian packages that a peer needs: installed when this user may, else named in the reason; or
// unpacked into a folder, which any user may and which changes nothing on the machine.
// The package lists are refreshed only when an install fails without it.
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run, runWell } from './command.ts'

/** Makes sure that Debian packages are installed. Returns undefined, or the reason why not. */
export async function ensureDebian(packages: readonly string[]): Promise<string | undefined> {
  const missing: string[] = []
  for (const name of packages) {
    const query = await run('dpkg-query', ['-s', name]).catch(() => undefined)
    if (query === undefined) return `not a Debian system, and ${packages.join(', ')} not found`
    if (!query.stdout.includes('install ok installed')) missing.push(name)
  }
  if (missing.length === 0) return undefined
  const wanted = missing.join(' ')
  if (process.getuid?.() !== 0) return `needs root for: apt-get install ${wanted}`
  const install = () =>
    run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      timeoutMs: 600_000,
    })
  let result = await install()
  if (result.code !== 0) {
    await run('apt-get', ['update', '-q'], { timeoutMs: 300_000 })
    result = await install()
  }
  if (result.code === 0) return undefined
  const why = result.stderr.trim().split('\n').at(-1) ?? 'no reason given'
  return `apt-get install ${wanted} failed: ${why}`
}

/** Downloads Debian packages and unpacks them into `folder`, which then holds their `usr`. Throws when it cannot. */
export async function unpackDebian(packages: readonly string[], folder: string): Promise<void> {
  await mkdir(join(folder, '..'), { recursive: true })
  const temporary = await mkdtemp(`${folder}-`)
  try {
    const archives = join(temporary, 'archives')
    const files = join(temporary, 'files')
    await mkdir(archives)
    const download = { cwd: archives, timeoutMs: 300_000 }
    await runWell('apt-get', ['download', '-q', ...packages], download)
    for (const archive of await readdir(archives)) {
      await runWell('dpkg-deb', ['-x', join(archives, archive), files])
    }
    // Complete or not there: a run that is torn down leaves nothing that looks unpacked.
    await rm(folder, { recursive: true, force: true })
    await rename(files, folder)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}
