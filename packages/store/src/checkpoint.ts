/**
 * Checkpoints: a position in each of some buckets, as text that is passed on unchanged.
 *
 * It names the log (a checkpoint of another log is refused, not misread), the tenant that was read
 * (`*`: all) and the offsets by category and bucket. A bucket that it does not name is read from
 * its beginning; the checkpoint of an append names the one bucket that it wrote.
 */
import { StoreError } from './errors.ts'
import type { Checkpoint } from './port.ts'

const FORM = 'mr1'
const ALL_TENANTS = '*'

/** Offsets by bucket, by category. */
export type Positions = ReadonlyMap<string, ReadonlyMap<number, number>>

/** What a checkpoint says. */
export type CheckpointContent = {
  readonly log: string
  /** `null`: all tenants. */
  readonly tenant: string | null
  readonly positions: Positions
}

/** Writes a checkpoint. */
export function encodeCheckpoint(content: CheckpointContent): Checkpoint {
  const parts: string[] = []
  for (const [category, buckets] of content.positions) {
    const places = [...buckets].map(([bucket, offset]) => `${bucket}:${offset}`)
    parts.push(`${category}=${places.join(',')}`)
  }
  return `${FORM}~${content.log}~${content.tenant ?? ALL_TENANTS}~${parts.join(';')}`
}

/** Writes a checkpoint of one bucket. */
export function bucketCheckpoint(
  log: string,
  tenant: string,
  category: string,
  bucket: number,
  offset: number,
): Checkpoint {
  return `${FORM}~${log}~${tenant}~${category}=${bucket}:${offset}`
}

/** Reads a checkpoint. @throws StoreError BAD_CHECKPOINT */
export function decodeCheckpoint(checkpoint: Checkpoint): CheckpointContent {
  const bad = (): StoreError =>
    new StoreError('BAD_CHECKPOINT', `not a checkpoint: ${JSON.stringify(checkpoint).slice(0, 80)}`)
  if (typeof checkpoint !== 'string') throw bad()
  const [form, log, tenant, body, ...rest] = checkpoint.split('~')
  if (form !== FORM || log === undefined || tenant === undefined || body === undefined) throw bad()
  if (rest.length > 0) throw bad()
  const positions = new Map<string, Map<number, number>>()
  for (const part of body === '' ? [] : body.split(';')) {
    const [category, places, ...more] = part.split('=')
    if (category === undefined || places === undefined || more.length > 0) throw bad()
    const buckets = new Map<number, number>()
    for (const place of places === '' ? [] : places.split(',')) {
      const match = /^(\d{1,5}):(\d{1,16})$/.exec(place)
      if (match === null || !Number.isSafeInteger(Number(match[2]))) throw bad()
      buckets.set(Number(match[1]), Number(match[2]))
    }
    positions.set(category, buckets)
  }
  return { log, tenant: tenant === ALL_TENANTS ? null : tenant, positions }
}

/**
 * The positions of a checkpoint, for a read of this log and tenant.
 *
 * @throws StoreError BAD_CHECKPOINT, CHECKPOINT_MISMATCH
 */
export function positionsOf(
  checkpoint: Checkpoint,
  expected: { readonly log: string; readonly tenant: string | null },
): Positions {
  const content = decodeCheckpoint(checkpoint)
  if (content.log !== expected.log) {
    throw new StoreError(
      'CHECKPOINT_MISMATCH',
      `a checkpoint of log ${content.log}, not of this one`,
    )
  }
  if (expected.tenant !== null && content.tenant !== null && content.tenant !== expected.tenant) {
    throw new StoreError(
      'CHECKPOINT_MISMATCH',
      `a checkpoint of tenant "${content.tenant}", not of "${expected.tenant}"`,
    )
  }
  return content.positions
}
