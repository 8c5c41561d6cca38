/**
 * The records of the snapshots topic: the key names what it is a snapshot of, the value is JSON.
 *
 *     key      tenant NUL category NUL stream NUL name
 *     value    { v: 1, version, hash, state }                 nothing personal went into it
 *              { v: 1, version, hash, keys, sealed }          see `sealed-state.ts`
 *     header   version, so that a reader need not parse the value to know which is newer
 */

import type { OwnTopic } from '../own-topics/own-topic.ts'
import type { StreamVersion } from '../port.ts'

/** What a snapshot is of. */
export type SnapshotSource = {
  readonly tenant: string
  readonly category: string
  readonly stream: string
}

/** A snapshot as it is kept. */
export type SnapshotBody = {
  /** Of the stream, from 1. */
  readonly version: StreamVersion
  /** Of the code that made it. */
  readonly hash: string
} & ({ readonly state: unknown } | { readonly keys: readonly string[]; readonly sealed: Buffer })

/** Bytes that a sealed snapshot has beyond four thirds of its state: keys, nonce, names. */
const SEALED_EXTRA_BYTES = 8192
/** Largest value of `max.message.bytes` that the engine takes. */
const MESSAGE_BYTES_MAX = 15_728_640

/** Most bytes of a record, given those of a state. */
export const recordBytesMax = (stateBytesMax: number): number =>
  Math.min(Math.ceil((stateBytesMax * 4) / 3) + SEALED_EXTRA_BYTES, MESSAGE_BYTES_MAX)

/** The snapshots topic. */
export function snapshotsTopic(name: string, stateBytesMax: number): OwnTopic {
  return {
    name,
    configs: {
      'cleanup.policy': 'compact',
      'max.message.bytes': String(Math.max(1_048_588, recordBytesMax(stateBytesMax) + 1024)),
    },
    required: { 'cleanup.policy': 'compact' },
  }
}

/** The start of the keys of all snapshots of a stream. */
export const streamPrefix = ({ tenant, category, stream }: SnapshotSource): string =>
  `${tenant}\0${category}\0${stream}\0`

/** The value of a snapshot's record. */
export function encodeSnapshot(body: SnapshotBody): string {
  const { version, hash } = body
  return 'sealed' in body
    ? JSON.stringify({
        v: 1,
        version,
        hash,
        keys: body.keys,
        sealed: body.sealed.toString('base64url'),
      })
    : JSON.stringify({ v: 1, version, hash, state: body.state })
}

/** Reads a value; undefined when it is not a snapshot, or of another hash. */
export function decodeSnapshot(value: Buffer, hash: string): SnapshotBody | undefined {
  let said: Readonly<Record<string, unknown>> | null
  try {
    said = JSON.parse(value.toString())
  } catch {
    return undefined
  }
  if (said?.['v'] !== 1 || said['hash'] !== hash) return undefined
  const { version, state, keys, sealed } = said
  if (!Number.isSafeInteger(version) || (version as number) < 1) return undefined
  const head = { version: version as number, hash }
  if (typeof sealed !== 'string') return state === undefined ? undefined : { ...head, state }
  if (!Array.isArray(keys) || !keys.every(key => typeof key === 'string')) return undefined
  return { ...head, keys, sealed: Buffer.from(sealed, 'base64url') }
}
