/**
 * Where master keys come from: a file, the environment, memory. A key management service is reached
 * by implementing `KeyProvider` with its client.
 *
 * File and environment hold the same text: one key a line (in the environment also separated by
 * commas), `id:key`, the key as 64 hexadecimal digits or base64. The first one is the present one. To
 * rotate, put a new one first and keep the others until `rotate` is done.
 */
import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { StoreError } from '../errors.ts'
import type { KeyProvider } from '../options.ts'
import { KEY_BYTES } from './cipher.ts'

const ID = /^[a-zA-Z0-9._/-]{1,200}$/

/** Master keys in memory, for tests. The first one is the present one. */
export function memoryKeys(keys: Readonly<Record<string, Buffer>>): KeyProvider {
  const all = new Map(Object.entries(keys))
  const [first] = all.keys()
  if (first === undefined) throw new StoreError('BAD_ARGUMENT', 'no master key was given')
  return {
    currentId: () => Promise.resolve(first),
    key: id => Promise.resolve(all.get(id)),
  }
}

/**
 * Master keys in a file, which is read anew whenever a key is asked for. It must not be readable by
 * others (on systems that have such permissions).
 *
 * @throws StoreError KEY_UNAVAILABLE, when it is used and the file is missing, open to others, or bad
 */
export function fileKeys(path: string): KeyProvider {
  const read = async (): Promise<ReadonlyMap<string, Buffer>> => {
    const file = await open(path, 'r')
    try {
      const { mode } = await file.stat()
      if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
        throw new StoreError(
          'KEY_UNAVAILABLE',
          `${path} can be read by others (mode ${(mode & 0o777).toString(8)}); it must be 600`,
        )
      }
      return parseKeys(await file.readFile('utf8'), path)
    } finally {
      await file.close()
    }
  }
  return providerOf(read)
}

/**
 * Makes a file with one new master key, readable by its owner alone; a file that is there is left as
 * it is and is an error.
 *
 * @returns id of the key
 */
export async function createKeyFile(path: string, id: string): Promise<string> {
  checkId(id)
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(`${id}:${randomBytes(KEY_BYTES).toString('hex')}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await syncFolder(dirname(path))
  return id
}

/**
 * Puts a new master key first in a file, durably; the others stay. Afterwards call `rotate`.
 *
 * @returns id of the key
 */
export async function addKeyToFile(path: string, id: string): Promise<string> {
  checkId(id)
  const text = await readFile(path, 'utf8')
  if (parseKeys(text, path).has(id)) {
    throw new StoreError('BAD_ARGUMENT', `${path} has a master key "${id}" already`)
  }
  const next = `${path}.next`

  await rm(next, { force: true })
  const file = await open(next, 'wx', 0o600)
  try {
    await file.writeFile(`${id}:${randomBytes(KEY_BYTES).toString('hex')}\n${text}`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(next, path)
  await syncFolder(dirname(path))
  return id
}

/**
 * Master keys in an environment variable.
 *
 * @throws StoreError KEY_UNAVAILABLE, when it is used and the variable is missing or bad
 */
export function environmentKeys(
  name: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): KeyProvider {
  return providerOf(() => {
    const text = environment[name]
    if (text === undefined || text === '') {
      throw new StoreError('KEY_UNAVAILABLE', `the environment variable ${name} is not set`)
    }
    return Promise.resolve(parseKeys(text, name))
  })
}

function providerOf(read: () => Promise<ReadonlyMap<string, Buffer>>): KeyProvider {
  return {
    async currentId() {
      const [first] = (await read()).keys()
      return first as string
    },
    async key(id) {
      return (await read()).get(id)
    },
  }
}

function parseKeys(text: string, where: string): ReadonlyMap<string, Buffer> {
  const keys = new Map<string, Buffer>()
  const bad = (line: number, why: string): StoreError =>
    // Never the line itself: it may hold a key.
    new StoreError('KEY_UNAVAILABLE', `${where}, key ${line}: ${why}`)
  const lines = text.split(/[\n,]/).map(line => line.trim())
  for (const [i, line] of lines.filter(text => text !== '' && !text.startsWith('#')).entries()) {
    const at = line.lastIndexOf(':')
    const id = line.slice(0, Math.max(at, 0))
    if (!ID.test(id)) throw bad(i + 1, 'must be id:key')
    const body = line.slice(at + 1)
    const key = /^[0-9a-fA-F]{64}$/.test(body)
      ? Buffer.from(body, 'hex')
      : Buffer.from(body, 'base64')
    if (key.length !== KEY_BYTES) throw bad(i + 1, `must have ${KEY_BYTES} bytes`)
    if (keys.has(id)) throw bad(i + 1, `the id "${id}" is there twice`)
    keys.set(id, key)
  }
  if (keys.size === 0) throw new StoreError('KEY_UNAVAILABLE', `${where} holds no master key`)
  return keys
}

/** A name survives a power cut only when its folder was synced; Windows has no such call. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function checkId(id: string): void {
  if (ID.test(id)) return
  throw new StoreError(
    'BAD_ARGUMENT',
    `the id of a master key must be 1 to 200 characters of a-z A-Z 0-9 . _ / -, not ${JSON.stringify(id)}`,
  )
}
