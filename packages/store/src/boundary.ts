/**
 * Boundaries: what decides which streams of a category lie in one bucket. A boundary is part of the
 * category's identity, so it has a name and a version; a bare function is told apart by what it makes
 * of some fixed ids.
 */
import { createHash } from 'node:crypto'
import { partitionOfTextKey } from '@millrace/clients'
import { StoreError } from './errors.ts'
import { DEFAULT_TENANT } from './port.ts'

/** A boundary with the name that it is known by. Change the version with what it does. */
export type NamedBoundary = {
  readonly name: string
  /** Default 1. */
  readonly version?: number
  readonly of: (id: string) => string
}

/** Streams of a tenant with an equal boundary lie in one bucket. */
export type Boundary = ((id: string) => string) | NamedBoundary

/** A boundary as the identity of a category names it. */
export type ResolvedBoundary = Required<NamedBoundary> & {
  /** What the same function was named without a name of its own. */
  readonly alias: string | undefined
}

const NAME = /^[a-zA-Z0-9._-]{1,100}$/
/** Ids that hold what ids are usually cut at. */
const PROBES: readonly string[] = [
  ...['a', 'B', '0', '42', '1234567890', 'a/b', 'a/b/c', 'a-b-c', 'a:b:c', 'a.b.c', 'a_b_c', 'a b'],
  ...['a@b.c', 'a|b', 'a#b', 'a,b', 'a;b', 'a=b&c', 'Äö/ü', '2024-02-29T12:00:00Z', '日本'],
  '0190163d-8694-739b-aea5-966c26f8ad91',
  `long/${'x'.repeat(80)}`,
]
const BY_ID: ResolvedBoundary = { name: 'id', version: 1, of: id => id, alias: undefined }

/** The boundary of a category's options. @throws StoreError BAD_ARGUMENT */
export function resolveBoundary(boundary: Boundary | undefined): ResolvedBoundary {
  if (boundary === undefined) return BY_ID
  if (typeof boundary === 'function') {
    return { name: aliasOf(boundary), version: 1, of: boundary, alias: undefined }
  }
  const { name, version = 1, of } = boundary
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new StoreError(
      'BAD_ARGUMENT',
      'boundary.name must be 1 to 100 characters of a-z A-Z 0-9 . _ -',
    )
  }
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new StoreError('BAD_ARGUMENT', 'boundary.version must be a whole number from 1 on')
  }
  if (typeof of !== 'function') throw new StoreError('BAD_ARGUMENT', 'boundary.of is no function')
  return { name, version, of, alias: aliasOf(of) }
}

/** Whether the identity of a category names this boundary. */
export const isNamed = (
  identity: { readonly boundary: string; readonly boundaryVersion: number },
  { name, version, alias }: ResolvedBoundary,
): boolean =>
  (identity.boundary === name && identity.boundaryVersion === version) ||
  identity.boundary === alias

/** The bucket of a stream: the tenant is part of the boundary. @throws StoreError BAD_ARGUMENT */
export function bucketOf(
  { of }: Pick<ResolvedBoundary, 'of'>,
  tenant: string,
  id: string,
  buckets: number,
): number {
  const boundary = of(id)
  if (typeof boundary !== 'string') {
    throw new StoreError('BAD_ARGUMENT', `the boundary of stream ${id} must be text`)
  }
  const text = tenant === DEFAULT_TENANT ? boundary : `${tenant}\0${boundary}`
  return partitionOfTextKey(text, buckets)
}

function aliasOf(of: (id: string) => string): string {
  const hash = createHash('sha256')
  for (const probe of PROBES) hash.update(`${outcomeOf(of, probe)}\0`)
  return `function-${hash.digest('hex').slice(0, 12)}`
}

function outcomeOf(of: (id: string) => unknown, id: string): string {
  try {
    const outcome = of(id)
    return typeof outcome === 'string' ? `=${outcome}` : typeof outcome
  } catch {
    return 'throws'
  }
}
