/**
 * The machine around a simulated disk: it counts the calls, so that a test can crash at each of them
 * or fail each of them, asks the fault plan, lets latency pass, keeps account of room. Disk, files and
 * the journal's writer share one; after its crash it answers nobody.
 */
import type { Timers } from '@millrace/base'
import { Prng } from '@millrace/base/simulation'
import { DiskError, type DiskErrorCode, failedSync } from './disk.ts'
import type { DiskCall, DiskCallKind, Fault, FaultPlan } from './sim-faults.ts'
import type { SimInode } from './sim-inode.ts'

/** Bytes of a deleted file that may show up in a file that grew and lost its data. */
const STALE_BYTES_MAX = 64 * 1024

/** Share of the journal's writes that end in the turn in which they were asked for. */
const PROMPT_SHARE = 0.25

/** Thrown by every call of a disk after its crash; not a DiskError, because nobody can handle it. */
export class SimulatedCrash extends Error {
  override readonly name: string = 'SimulatedCrash'
}

/** How a simulated disk behaves. */
export type SimDiskOptions = {
  /** Where latencies pass; without it asynchronous calls end at once, in order. */
  readonly timers?: Timers
  /** Latency of each sync, and of each write of the journal, in ms. Default 0. */
  readonly latencyMs?: (call: DiskCall) => number
  readonly faults?: FaultPlan
  /** Size of the file system. Default 1 TiB. */
  readonly capacityBytes?: number
  /** Files that may be open at once. Default: no limit. */
  readonly descriptorsMax?: number
  /** Of what is left to chance while it runs: how much of a failed write is taken. Default 1. */
  readonly seed?: number
}

/** Where, around an operation, the crash comes. */
export type CrashMoment =
  | 'before'
  /** A write is partly in the page cache; a sync is under way. */
  | 'during'
  | 'after'

/** A call that has begun; `operation` is 0 for one that changes nothing. */
export type Ticket = { readonly operation: number; readonly fault: Fault | undefined }

const READS: ReadonlySet<DiskCallKind> = new Set(['open', 'read', 'list'])

/** What a disk, its files and its journal's writer share. */
export class SimMachine {
  readonly options: SimDiskOptions
  /** Decides about each call; may be changed while the disk runs. */
  faults: FaultPlan | undefined
  capacityBytes: number
  descriptorsMax: number
  usedBytes = 0
  openFiles = 0
  /** What a file that grew may show where its own bytes were lost. */
  staleBytes: Buffer = Buffer.alloc(0)
  readonly misuse: string[] = []
  crashed = false
  calls = 0
  operations = 0
  readonly #prng: Prng
  #crashOperation = 0
  #crashMoment: CrashMoment = 'before'

  constructor(options: SimDiskOptions) {
    this.options = options
    this.faults = options.faults
    this.capacityBytes = options.capacityBytes ?? 2 ** 40
    this.descriptorsMax = options.descriptorsMax ?? Number.POSITIVE_INFINITY
    this.#prng = new Prng(options.seed ?? 1)
  }

  /** Crashes at the n-th changing operation from now. */
  crashAt(n: number, moment: CrashMoment): void {
    this.#crashOperation = this.operations + n
    this.#crashMoment = moment
  }

  mustBeAlive(): void {
    if (this.crashed) throw new SimulatedCrash('the simulated machine is off')
  }

  /** Begins a call: counts it, crashes before it if that is wanted, asks the fault plan. */
  begin(kind: DiskCallKind, path: string, journal = false): Ticket {
    this.mustBeAlive()
    this.calls += 1
    if (!READS.has(kind)) this.operations += 1
    const operation = READS.has(kind) ? 0 : this.operations
    if (this.crashesAt(operation, 'before')) this.die()
    return { operation, fault: this.faults?.({ kind, path, index: this.calls, journal }) }
  }

  /** Ends an operation that has had its effect. */
  end(ticket: Ticket): void {
    if (this.crashesAt(ticket.operation, 'after') || this.crashesAt(ticket.operation, 'during')) {
      this.die()
    }
  }

  crashesAt(operation: number, moment: CrashMoment): boolean {
    if (operation === 0 || operation !== this.#crashOperation) return false
    return moment === this.#crashMoment
  }

  die(): never {
    this.crashed = true
    throw new SimulatedCrash('the simulated machine is off')
  }

  /** Throws the fault of a call that then has no effect. */
  failIf(ticket: Ticket, path: string): void {
    const { fault } = ticket
    if (fault !== undefined && 'error' in fault) throw injected(fault.error, path)
  }

  /** Throws EMFILE unless a file more, and `spares` beside it, can be opened. */
  needDescriptor(path: string, spares: number): void {
    if (this.openFiles + spares < this.descriptorsMax) return
    throw new DiskError('EMFILE', path, `${this.openFiles} simulated files are open`)
  }

  /** How many of a write's bytes are taken when it fails or is interrupted. */
  partOf(length: number): number {
    return this.#prng.below(length + 1)
  }

  /** Bytes by which files may still grow. */
  get room(): number {
    return Math.max(0, this.capacityBytes - this.usedBytes)
  }

  /** These bytes lie free on the medium from now on, and may show up again. */
  keepStale(inode: SimInode): void {
    this.staleBytes = Buffer.from(inode.bytes.subarray(0, STALE_BYTES_MAX))
  }

  closed(inode: SimInode): void {
    this.openFiles -= 1
    this.dropLink(inode)
  }

  /** Whether this write of the journal is so quick that the engine's thread has waited for it. */
  isPrompt(): boolean {
    return this.#prng.chance(PROMPT_SHARE)
  }

  /**
   * An asynchronous call. It is never answered once the disk has crashed. One that is prompt takes no
   * time, unless the fault plan wants it to.
   */
  later(
    kind: DiskCallKind,
    path: string,
    journal: boolean,
    effect: { begin: () => void; succeed: () => void; fail: (fault: Fault) => void },
    promptly: boolean = false,
  ): Promise<void> {
    if (this.crashed) return never()
    return new Promise((resolve, reject) => {
      const guarded = (work: () => void): void => {
        try {
          work()
        } catch (cause) {
          if (!(cause instanceof SimulatedCrash)) reject(cause)
        }
      }
      guarded(() => {
        const ticket = this.begin(kind, path, journal)
        const { fault } = ticket
        effect.begin()
        if (fault !== undefined && 'hang' in fault) return
        const call = { kind, path, index: this.calls, journal }
        const delayMs = fault !== undefined && 'delayMs' in fault ? fault.delayMs : 0
        const ms = delayMs + (promptly ? 0 : (this.options.latencyMs?.(call) ?? 0))
        const after = (work: () => void): void =>
          promptly && ms === 0 ? queueMicrotask(work) : this.#after(ms, work)
        after(() =>
          guarded(() => {
            if (this.crashed) return
            if (this.crashesAt(ticket.operation, 'during')) this.die()
            if (fault !== undefined && 'error' in fault) {
              effect.fail(fault)
              const failure = injected(fault.error, path)
              // A folder has to be opened for it: where it cannot be, no sync has begun.
              const hasBegun = kind !== 'syncFolder' || fault.error !== 'EMFILE'
              throw hasBegun ? failedSync(failure) : failure
            }
            effect.succeed()
            this.end(ticket)
            resolve()
          }),
        )
      })
    })
  }

  /** The time until the journal's thread has taken up a write. */
  pause(path: string): Promise<void> {
    const call = { kind: 'write', path, index: this.calls, journal: true } as const
    return new Promise(resolve => {
      this.#after(this.options.latencyMs?.(call) ?? 0, () => {
        if (!this.crashed) resolve()
      })
    })
  }

  #after(ms: number, work: () => void): void {
    const { timers } = this.options
    if (timers !== undefined) timers.after(ms, work)
    else if (ms === 0) queueMicrotask(work)
    else throw new Error('latency needs timers: give them to the SimDisk')
  }

  /** A name or an open file of it is gone; with the last one its room is free. */
  dropLink(inode: SimInode): void {
    inode.links -= 1
    if (inode.links > 0) return
    this.usedBytes -= inode.size
    this.keepStale(inode)
  }
}

/** The error of a full disk. */
export function noSpace(path: string): DiskError {
  return new DiskError('ENOSPC', path, 'no space left on the simulated disk')
}

/** An error that a plan asked for. */
export function injected(code: DiskErrorCode, path: string): DiskError {
  return new DiskError(code, path, 'injected fault')
}

/** What a dead machine answers. */
export function never(): Promise<never> {
  return new Promise(() => undefined)
}
