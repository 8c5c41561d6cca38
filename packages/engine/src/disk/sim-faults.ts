/**
 * What can go wrong on a simulated disk while it runs, and who decides when.
 *
 * A fault plan sees each call before it happens and answers with a fault or nothing. Plans are
 * made by hand, as "fail the Nth call", or from a climate: rates drawn once for each seed, so that
 * some runs are calm and some terrible.
 */
import type { Prng } from '@millrace/base/simulation'
import type { DiskErrorCode } from './disk.ts'

/** The calls that a plan sees. */
export type DiskCallKind =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'list'
  | 'makeFolder'
  | 'rename'
  | 'unlink'
  | 'removeFolder'
  | 'syncFolder'

/** A call that is about to happen. */
export type DiskCall = {
  readonly kind: DiskCallKind
  readonly path: string
  /** Number of the call, counted from 1 over the life of the disk. */
  readonly index: number
  /** Whether the journal's writer makes it. */
  readonly journal: boolean
}

/** What happens instead of, or before, success. */
export type Fault =
  | {
      readonly error: DiskErrorCode
      /** How much of a failed write is taken all the same. Default: none. */
      readonly taken?: 'none' | 'part' | 'all'
    }
  /** A sync that is answered late; other calls are not asynchronous. Milliseconds. */
  | { readonly delayMs: number }
  /** A sync that is never answered. */
  | { readonly hang: true }
  /** A read of the right length from the wrong place, or a write to it: off by so many bytes. */
  | { readonly misplacedBy: number }
  /** A read that answers with the durable image, as if the latest writes had never been. */
  | { readonly stale: true }

/** Decides about each call; undefined lets it succeed. */
export type FaultPlan = (call: DiskCall) => Fault | undefined

/** Fails the n-th call from now, or all from the n-th on. */
export function failNth(
  n: number,
  error: DiskErrorCode,
  options: {
    readonly permanent?: boolean
    readonly taken?: 'none' | 'part' | 'all'
    readonly only?: (call: DiskCall) => boolean
  } = {},
): FaultPlan {
  const { permanent = false, taken = 'none', only = () => true } = options
  let seen = 0
  return call => {
    if (!only(call)) return undefined
    seen += 1
    return seen === n || (permanent && seen > n) ? { error, taken } : undefined
  }
}

/** Rates of a run. Probabilities for each call. */
export type Climate = {
  readonly writeErrors: number
  readonly syncErrors: number
  readonly folderErrors: number
  readonly openErrors: number
  readonly readErrors: number
  readonly hangs: number
  /** Of the syncs, how many are slow, and how slow at most, in ms. */
  readonly slowSyncs: number
  readonly slowestMs: number
}

/** No faults at all. */
export const CALM: Climate = {
  writeErrors: 0,
  syncErrors: 0,
  folderErrors: 0,
  openErrors: 0,
  readErrors: 0,
  hangs: 0,
  slowSyncs: 0,
  slowestMs: 0,
}

/** Draws a run's climate: two in five are calm, one in five is terrible. */
export function drawClimate(prng: Prng): Climate {
  const mood = prng.below(5)
  if (mood < 2) return { ...CALM, slowSyncs: prng.fraction() * 0.2, slowestMs: prng.below(20) }
  const most = mood === 4 ? 0.1 : 0.01
  const rate = (): number => (prng.chance(0.5) ? prng.fraction() * most : 0)
  return {
    writeErrors: rate(),
    syncErrors: rate(),
    folderErrors: rate(),
    openErrors: rate(),
    readErrors: rate(),
    hangs: prng.chance(0.1) ? most / 10 : 0,
    slowSyncs: prng.fraction() * 0.3,
    slowestMs: prng.pick([1, 10, 100, 1000, 30_000]),
  }
}

/** A plan that draws faults at a climate's rates. */
export function climatePlan(climate: Climate, prng: Prng): FaultPlan {
  return call => {
    switch (call.kind) {
      case 'read':
        return prng.chance(climate.readErrors) ? { error: 'EIO' } : undefined
      case 'write':
      case 'truncate':
        if (!prng.chance(climate.writeErrors)) return undefined
        return {
          error: prng.pick(['EIO', 'ENOSPC']),
          taken: prng.pick(['none', 'part', 'all']),
        }
      case 'open':
        return prng.chance(climate.openErrors) ? { error: 'EMFILE' } : undefined
      case 'create':
        return prng.chance(climate.openErrors)
          ? { error: prng.pick(['EMFILE', 'ENOSPC']) }
          : undefined
      case 'sync':
      case 'syncFolder':
        return syncFault(call.kind === 'sync' ? climate.syncErrors : climate.folderErrors)
      default:
        return prng.chance(climate.folderErrors) ? { error: 'EIO' } : undefined
    }
  }

  function syncFault(errors: number): Fault | undefined {
    if (prng.chance(errors)) return { error: prng.pick(['EIO', 'ENOSPC']) }
    if (prng.chance(climate.hangs)) return { hang: true }
    if (prng.chance(climate.slowSyncs)) return { delayMs: prng.fraction() * climate.slowestMs }
    return undefined
  }
}
