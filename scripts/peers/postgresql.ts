// PostgreSQL 15 as tests and benchmarks run it: a server of their own in a folder of its own, on
// 127.0.0.1 and a free port, durable (fsync and synchronous_commit on) and with a password, stopped
// by who started it. The programs are the machine's if they are of this major, else Debian's
// packages, unpacked into the cache and not installed: an installation would start a server for the
// whole machine. PostgreSQL refuses to run as root; root runs it as `postgres` or `nobody`.
// Bounds: 60 s for a server to accept connections, 30 s for it to stop.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { peersFolder } from './cache.ts'
import {
  type CommandOptions,
  freePort,
  type Running,
  run,
  runWell,
  start,
  which,
} from './command.ts'
import { unpackDebian } from './debian.ts'
import { attempt, type Peer } from './peer.ts'

/** The major version of PostgreSQL that tests and benchmarks run against. */
export const postgresMajor = 15

const startTimeoutMs = 60_000
const stopTimeoutMs = 30_000
const pollMs = 10
const role = 'millrace'
const unpacked = join(peersFolder, `postgresql-${postgresMajor}`)
const debianPrograms = join('usr', 'lib', 'postgresql', String(postgresMajor), 'bin')

// The server's own package and the libraries that a bare Debian does not have.
const packages = [
  `postgresql-${postgresMajor}`,
  `postgresql-client-${postgresMajor}`,
  'libpq5',
  'libicu72',
  'libldap-2.5-0',
  'libsasl2-2',
  'libxml2',
]

type User = NonNullable<CommandOptions['user']>

/** Where the programs are, and what they need to find their libraries. */
interface Programs {
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
}

const versionOf = async ({ folder, env }: Programs): Promise<string | undefined> => {
  const said = await run(join(folder, 'postgres'), ['--version'], { env }).catch(() => undefined)
  return said?.code === 0 ? /(\d+(?:\.\d+)+)/.exec(said.stdout)?.[1] : undefined
}

const isWanted = async (programs: Programs): Promise<boolean> =>
  existsSync(join(programs.folder, 'initdb')) &&
  (await versionOf(programs))?.split('.')[0] === String(postgresMajor)

async function unpackedPrograms(): Promise<Programs> {
  const triplet = await run('dpkg-architecture', ['-qDEB_HOST_MULTIARCH']).catch(() => undefined)
  const machine = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
  const libraries = join(unpacked, 'usr', 'lib', triplet?.stdout.trim() || machine)
  return { folder: join(unpacked, debianPrograms), env: { LD_LIBRARY_PATH: libraries } }
}

async function findPrograms(): Promise<Programs | undefined> {
  const onPath = await which('initdb')
  const candidates: Programs[] = [
    { folder: join('/', debianPrograms), env: {} },
    ...(onPath === undefined ? [] : [{ folder: dirname(onPath), env: {} }]),
    await unpackedPrograms(),
  ]
  for (const programs of candidates) if (await isWanted(programs)) return programs
  return undefined
}

/** Unpacks PostgreSQL into the cache unless the machine or the cache has it. */
export const fetchPostgres = (): Promise<Peer> =>
  attempt('PostgreSQL', async () => {
    let programs = await findPrograms()
    if (programs === undefined) {
      await unpackDebian(packages, unpacked)
      programs = await unpackedPrograms()
    }
    const version = await versionOf(programs)
    if (version === undefined) throw new Error(`no PostgreSQL that runs in ${programs.folder}`)
    return version
  })

/** Whom root runs the server as; undefined for anybody else, who runs it as themselves. */
async function serverUser(): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map(line => line.split(':'))
  for (const wanted of ['postgres', 'nobody']) {
    const user = users.find(([name]) => name === wanted)
    if (user !== undefined) return { uid: Number(user[2]), gid: Number(user[3]) }
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody')
}

/** How to run a server. */
export interface PostgresOptions {
  /** Holds the data, the password and nothing else; initialized when it is new. */
  readonly folder: string
  /** The port to listen on; a free one unless told. */
  readonly port?: number
  /** Server settings in addition to the durable defaults, for example `max_connections`. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** Added to the environment, for example LD_PRELOAD. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** A running server. */
export interface Postgres {
  /** Connects to the database `postgres` as a superuser, password included. */
  readonly url: string
  readonly port: number
  /** Of the postmaster, the parent of all of the server's processes. */
  readonly pid: number
  readonly running: Running
  /**
   * Stops it: SIGINT (the default) ends all sessions first, SIGKILL crashes it. Resolves when all of
   * its processes have ended (each holds the output open), so that it can be started again at once.
   */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Initializes the folder if it is new; returns the role's password. */
async function initialize(
  { folder: programs, env }: Programs,
  folder: string,
  user: User | undefined,
): Promise<string> {
  const password = join(folder, 'password')
  if (existsSync(join(folder, 'data', 'PG_VERSION'))) return readFile(password, 'utf8')
  await mkdir(folder, { recursive: true })
  await writeFile(password, randomBytes(18).toString('base64url'), { mode: 0o600 })
  if (user !== undefined) {
    await chown(folder, user.uid, user.gid)
    await chown(password, user.uid, user.gid)
  }
  const access = ['--auth=scram-sha-256', `--username=${role}`, `--pwfile=${password}`]
  const form = ['--encoding=UTF8', '--locale=C', '--no-instructions']
  await runWell(
    join(programs, 'initdb'),
    [`--pgdata=${join(folder, 'data')}`, ...access, ...form],
    {
      cwd: folder,
      env,
      ...(user === undefined ? {} : { user }),
    },
  )
  return readFile(password, 'utf8')
}

/** Starts a server and waits until it accepts connections. */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const programs = await findPrograms()
  if (programs === undefined) throw new Error(`no PostgreSQL ${postgresMajor}; npm run peers`)
  const user = await serverUser()
  const { folder } = options
  const password = await initialize(programs, folder, user)
  const port = options.port ?? (await freePort())
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    lc_messages: 'C',
    fsync: 'on',
    synchronous_commit: 'on',
    ...options.settings,
  }
  const running = start(
    join(programs.folder, 'postgres'),
    [
      '-D',
      join(folder, 'data'),
      ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`]),
    ],
    {
      cwd: folder,
      env: { ...programs.env, ...options.env },
      ...(user === undefined ? {} : { user }),
    },
  )
  await untilAccepting(running)
  return {
    url: `postgres://${role}:${password}@127.0.0.1:${port}/postgres`,
    port,
    pid: running.child.pid ?? 0,
    running,
    stop: (signal = 'SIGINT') => running.stop(signal, stopTimeoutMs),
  }
}

async function untilAccepting(running: Running): Promise<void> {
  const deadline = Date.now() + startTimeoutMs
  let ended = false
  void running.ended.then(() => {
    ended = true
  })
  while (!running.output().includes('database system is ready to accept connections')) {
    const late = Date.now() > deadline
    if (ended || late) {
      await running.stop('SIGKILL')
      const why = late ? `did not accept connections in ${startTimeoutMs} ms` : 'ended'
      throw new Error(`PostgreSQL ${why}\n${running.output().slice(-4000)}`)
    }
    await new Promise(resolve => setTimeout(resolve, pollMs))
  }
}

/** Runs statements with psql, a transaction each; gives the values that they return, one a line. */
export async function psql(url: string, ...statements: readonly string[]): Promise<string[]> {
  const programs = await findPrograms()
  if (programs === undefined) throw new Error(`no PostgreSQL ${postgresMajor}; npm run peers`)
  const commands = statements.flatMap(statement => ['-c', statement])
  const args = ['--no-psqlrc', '-qAt', '-v', 'ON_ERROR_STOP=1', ...commands, url]
  const { stdout } = await runWell(join(programs.folder, 'psql'), args, { env: programs.env })
  return stdout === '' ? [] : stdout.trimEnd().split('\n')
}

/** Runs `work` with a new, empty server in a temporary folder; afterwards neither is there. */
export async function withPostgres<T>(
  work: (postgres: Postgres) => Promise<T>,
  options: Omit<PostgresOptions, 'folder'> = {},
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-postgres-'))
  try {
    const postgres = await startPostgres({ ...options, folder })
    try {
      return await work(postgres)
    } finally {
      await postgres.stop()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
