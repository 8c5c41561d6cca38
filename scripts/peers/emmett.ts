// Emmett with its PostgreSQL adapter, the event store that benchmarks stand beside. It carries no
// licence, so it is no dependency of the workspace and nothing of it is shipped: npm puts it into a
// folder of its own in the cache, where it is measured. node-postgres comes along: Emmett's adapter
// and the raw inserts of the benchmark use the same copy. All versions are exact.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { peersFolder } from './cache.ts'
import { runWell } from './command.ts'
import { attempt, type Peer } from './peer.ts'

/** The version of Emmett and of its PostgreSQL adapter. */
export const emmettVersion = '0.42.0'

const pgVersion = '8.23.1'
const folder = join(peersFolder, 'emmett')
const manifest = join(folder, 'package.json')
const marker = join(folder, 'complete')

const recipe = (): string =>
  JSON.stringify({
    private: true,
    dependencies: {
      '@event-driven-io/emmett': emmettVersion,
      '@event-driven-io/emmett-postgresql': emmettVersion,
      pg: pgVersion,
    },
  })

/** Installs Emmett, its PostgreSQL adapter and node-postgres into the cache if they are not there. */
export const fetchEmmett = (): Promise<Peer> =>
  attempt('Emmett', async () => {
    if ((await readFile(marker, 'utf8').catch(() => '')) !== recipe()) {
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { recursive: true })
      await writeFile(manifest, recipe())
      await runWell('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
        cwd: folder,
        timeoutMs: 300_000,
      })
      await writeFile(marker, recipe())
    }
    return `${emmettVersion} (pg ${pgVersion})`
  })

/** Loads one of the installed packages. Throws when {@link fetchEmmett} has not succeeded. */
export function loadEmmett<T>(
  name: '@event-driven-io/dumbo' | '@event-driven-io/emmett-postgresql' | 'pg',
): T {
  return createRequire(manifest)(name) as T
}
