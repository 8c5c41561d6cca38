// @confluentinc/kafka-javascript, built from source into its own folder. It is no dependency of the
// workspace: its install script downloads a binary, and would run on every `npm ci`.
// The build needs Node's headers (from the npm package that also carries Node itself, so that they
// match the running Node) and the zlib, OpenSSL and Zstandard headers of the system; CKJS_LINKING=dynamic makes
// librdkafka link to those instead of downloading sources. npm_config_nodedir is set explicitly,
// because a machine may carry another value in its npm settings.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { peersFolder } from './cache.ts'
import { runWell, which } from './command.ts'
import { ensureDebian } from './debian.ts'
import { attempt, type Peer } from './peer.ts'

const version = '1.10.1'
const nodeVersion = '24.21.0'
const folder = join(peersFolder, 'confluent')
const packageFolder = join(folder, 'node_modules', '@confluentinc', 'kafka-javascript')
const headers = ['zlib1g-dev', 'libssl-dev', 'libzstd-dev']
const marker = join(folder, 'built.json')

/** What the built copy rests on: another Node major or version means another build. */
const recipe = (): string =>
  JSON.stringify({
    version,
    headers,
    nodeVersion,
    abi: process.versions.modules,
    arch: process.arch,
  })

const headersPackage = (): string => `node-linux-${process.arch}`

/** Builds the package if it has not been built for this Node. Takes about a minute on two cores. */
export const fetchConfluent = (): Promise<Peer> =>
  attempt('@confluentinc/kafka-javascript', async () => {
    const built = await readFile(marker, 'utf8').catch(() => '')
    if (built !== recipe()) await build()
    const { stdout } = await runWell(process.execPath, [
      '-e',
      `console.log(require(${JSON.stringify(packageFolder)}).librdkafkaVersion)`,
    ])
    return `${version} (librdkafka ${stdout.trim()})`
  })

async function build(): Promise<void> {
  if (process.platform !== 'linux') throw new Error(`no recipe for ${process.platform}`)
  const wanted: string[] = [...headers]
  if ((await which('g++')) === undefined || (await which('make')) === undefined) {
    wanted.push('g++', 'make')
  }
  if ((await which('python3')) === undefined) wanted.push('python3')
  const reason = await ensureDebian(wanted)
  if (reason !== undefined) throw new Error(reason)

  await rm(marker, { force: true })
  await rm(join(folder, 'node_modules'), { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({
      private: true,
      dependencies: {
        '@confluentinc/kafka-javascript': version,
        [headersPackage()]: nodeVersion,
      },
      allowScripts: { '@confluentinc/kafka-javascript': true },
    }),
  )
  await runWell('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    timeoutMs: 300_000,
  })
  const nodedir = join(folder, 'node_modules', headersPackage())
  if (!existsSync(join(nodedir, 'include'))) throw new Error(`no Node headers in ${nodedir}`)
  // `npm rebuild` runs the package's own install script with npm's node-gyp. JOBS must stay unset:
  // the package's make rules do not state all of their order.
  await runWell('npm', ['rebuild', '--foreground-scripts', '@confluentinc/kafka-javascript'], {
    cwd: folder,
    env: {
      CKJS_LINKING: 'dynamic',
      npm_config_nodedir: nodedir,
      npm_config_build_from_source: 'true',
      JOBS: undefined,
      MAKEFLAGS: undefined,
    },
    timeoutMs: 900_000,
  })
  await writeFile(marker, recipe())
}

/** Loads the built package. Throws when {@link fetchConfluent} has not succeeded. */
export function loadConfluent<T>(): T {
  return createRequire(import.meta.url)(packageFolder) as T
}
