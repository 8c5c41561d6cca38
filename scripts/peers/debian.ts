// Debian packages that a peer needs: installed when this user may, else named in the reason.
// The package lists are refreshed only when an install fails without it.
import { run } from './command.ts'

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
