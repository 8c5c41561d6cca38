/** Helpers: engines on real folders, nodes that share one, and a look at every byte on disk. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemOutside } from '@millrace/base'
import { type Engine, openEngine } from '@millrace/engine'
import type { KeyProvider } from '@millrace/store'
import { onTestFinished } from 'vitest'
import type { KeyValue } from '../../src/kv/key-value.ts'
import { memoryKeyValue } from '../../src/kv/memory.ts'
import { memoryKeys } from '../../src/personal/providers.ts'
import { SubjectKeys, type SubjectKeysOptions } from '../../src/personal/subject-keys.ts'

export const KEYS_TOPIC = '__millrace.keys'
export const MASTER_A: Buffer = Buffer.alloc(32, 0xa1)
export const MASTER_B: Buffer = Buffer.alloc(32, 0xb2)

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** An engine with one small journal file, closed when the test is over. */
export async function openLog(folder: string = temporaryFolder()): Promise<Engine> {
  const engine = await openEngine({
    folder,
    settings: {
      'journal.file.bytes': 1 << 20,
      'journal.max.bytes': 4 << 20,
      'disk.reserve.bytes': 0,
    },
  })
  onTestFinished(() => engine.close())
  return engine
}

/** One node's keys. */
export async function openKeys(
  log: SubjectKeysOptions['log'],
  options: Partial<SubjectKeysOptions> & {
    readonly kv?: KeyValue
    readonly provider?: KeyProvider
  } = {},
): Promise<SubjectKeys> {
  const keys = await SubjectKeys.open({
    log,
    topic: KEYS_TOPIC,
    kv: memoryKeyValue(),
    provider: memoryKeys({ a: MASTER_A }),
    outside: systemOutside(),
    cached: 1000,
    goneMs: 3_600_000,
    timeoutMs: 5000,
    tailWaitMs: 200,
    tailFetchBytes: 1 << 20,
    ...options,
  })
  onTestFinished(() => keys.close())
  return keys
}

/** The files under a folder that hold some bytes. */
export function filesWith(folder: string, bytes: Buffer | string): string[] {
  const found: string[] = []
  for (const name of readdirSync(folder, { recursive: true }) as string[]) {
    const path = join(folder, name)
    if (statSync(path).isFile() && readFileSync(path).includes(bytes)) found.push(name)
  }
  return found
}

/** The code with which a call ends; "none" if it does not fail. */
export const codeOf = async (work: () => unknown): Promise<string> => {
  try {
    await work()
    return 'none'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
