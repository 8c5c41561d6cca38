/** Helpers of the engine's tests: engines on real folders, killed folders, everything of a partition. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AppendResult, decodeBatches, encodeBatch, type LogErrorCode } from '@millrace/log'
import { onTestFinished } from 'vitest'
import { type Engine, type EngineOptions, openEngine } from '../../src/index.ts'

/** Small files and no reserve, so that everything happens soon. */
export const SMALL = {
  'journal.file.bytes': 1 << 20,
  'journal.max.bytes': 4 << 20,
  'disk.reserve.bytes': 0,
  'segment.memory.max.bytes': 0,
} as const

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-engine-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Opens an engine that is closed when the test is over, if the test has not done so. */
export async function open(options: Partial<EngineOptions> = {}): Promise<Engine> {
  const folder = options.folder ?? temporaryFolder()
  const engine = await openEngine({
    ...options,
    folder,
    settings: { ...SMALL, ...options.settings },
  })
  onTestFinished(() => engine.close())
  return engine
}

/** The folder as `kill -9` would leave it at this moment: what was written, synced or not. */
export function killed(folder: string): string {
  const copy = temporaryFolder()
  cpSync(folder, copy, { recursive: true, filter: path => !path.includes('lock.sqlite') })
  return copy
}

export async function createTopic(
  engine: Engine,
  name: string,
  configs: Readonly<Record<string, string>> = {},
  partitions = 1,
): Promise<void> {
  const [outcome] = await engine.createTopics([{ name, partitions, configs }])
  if (outcome?.error !== undefined) throw outcome.error
}

/** One batch with one record for each value. */
export const batchWith = (values: readonly string[], timestamp: number = Date.now()): Buffer =>
  encodeBatch({ records: values.map(value => ({ value })), timestamp })

export async function append(
  engine: Engine,
  topic: string,
  values: readonly string[],
  options: { readonly partition?: number; readonly timestamp?: number } = {},
): Promise<AppendResult> {
  const batch = batchWith(values, options.timestamp)
  const [result] = await engine.append([{ topic, partition: options.partition ?? 0, batch }])
  if (result === undefined) throw new Error('no result')
  return result
}

/** Appends, and throws the answer's error. */
export async function store(...of: Parameters<typeof append>): Promise<number> {
  const { error, baseOffset } = await append(...of)
  if (error !== undefined) throw error
  return baseOffset
}

export type StoredRecord = { readonly offset: number; readonly value: string }

/** All that can be read of a partition from its log start on; throws the first error. */
export async function readAll(
  engine: Engine,
  topic: string,
  partition = 0,
): Promise<StoredRecord[]> {
  const [earliest] = await engine.listOffsets([{ topic, partition, place: 'earliest' }])
  if (earliest?.error !== undefined) throw earliest.error
  let offset = earliest?.offset ?? 0
  const records: StoredRecord[] = []
  for (;;) {
    const result = await fetchAt(engine, topic, offset, partition)
    if (result.error !== undefined) throw result.error
    if (result.records.length === 0) return records
    for (const batch of decodeBatches(result.records)) {
      for (const record of batch.records()) {
        if (record.offset < offset) continue
        records.push({ offset: record.offset, value: String(record.value) })
      }
      offset = batch.lastOffset + 1
    }
  }
}

export const valuesOf = async (...of: Parameters<typeof readAll>): Promise<string[]> =>
  (await readAll(...of)).map(({ value }) => value)

export async function fetchAt(
  engine: Engine,
  topic: string,
  offset: number,
  partition = 0,
  options: { readonly maxWaitMs?: number; readonly maxBytes?: number } = {},
) {
  const { maxWaitMs = 0, maxBytes = 1 << 20 } = options
  const [result] = await engine.fetch({
    positions: [{ topic, partition, offset, maxBytes }],
    minBytes: 1,
    maxBytes,
    maxWaitMs,
    isolation: 'read_uncommitted',
  })
  if (result === undefined) throw new Error('no result')
  return result
}

/** The code with which a call ends; "none" if it does not fail. */
export const codeOf = (work: Promise<unknown>): Promise<LogErrorCode | 'none'> =>
  work.then(
    () => 'none' as const,
    (cause: { code?: LogErrorCode }) => cause.code ?? 'UNKNOWN_SERVER_ERROR',
  )

/** Waits until something is so. */
export async function until(what: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const end = performance.now() + ms
  while (!(await what())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

export const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `value ${from + i}`)
