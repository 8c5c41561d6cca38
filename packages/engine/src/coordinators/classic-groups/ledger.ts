/**
 * Where decisions of the coordinator become records, and where answers wait for them.
 *
 * A refusal before anything has entered (it throws) leaves the machine untouched; after
 * that the records are replayed at once and every answer, reads and duplicates included, waits until
 * all that entered before it is durable (engine rule 13).
 */
import { LogError } from '@millrace/log'
import type { MachineRecord } from '../../machines/machine.ts'
import { CommitRefused, type Commits, type MachineCommit } from '../../machines/runtime.ts'
import type { ClassicGroupsMachine } from './classic-groups-machine.ts'

/** Clients know what to do about a coordinator that is not available; not about a disk. */
export function unavailable(cause: unknown): LogError {
  const detail = cause instanceof Error ? cause.message : String(cause)
  return new LogError('COORDINATOR_NOT_AVAILABLE', detail, cause)
}

/** Whether a commit of {@link GroupLedger} was refused only for now: there is room again after `room`. */
export function hadNoRoom(error: unknown): boolean {
  const cause = (error as Error).cause
  return cause instanceof CommitRefused && cause.reason === 'no-room'
}

/** The machine and the runtime as one. */
export class GroupLedger {
  readonly machine: ClassicGroupsMachine
  readonly #commits: Commits
  readonly #answerMaxMs: number

  /** @param answerMaxMs longest wait of an answer for the disk: see `offsets.commit.timeout.ms` */
  constructor(machine: ClassicGroupsMachine, commits: Commits, answerMaxMs: number) {
    this.machine = machine
    this.#commits = commits
    this.#answerMaxMs = answerMaxMs
  }

  /** {@link commit} of records of classic groups. */
  write(records: readonly MachineRecord[]): void {
    this.commit([{ machine: this.machine, records }])
  }

  /**
   * Enters and replays the records before it returns, all in one commit group. Throws
   * COORDINATOR_NOT_AVAILABLE where they are refused; nothing has changed then. Who wants to know when
   * they are durable asks {@link settled}.
   */
  commit(parts: readonly MachineCommit[], options: { readonly makesRoom?: boolean } = {}): void {
    if (parts.every(({ records }) => records.length === 0)) return
    let durable: Promise<void>
    try {
      durable = this.#commits.commit(parts, options)
    } catch (cause) {
      throw unavailable(cause)
    }
    // The answers find the failure through `settled`; here it only must not be unhandled.
    durable.catch(() => undefined)
  }

  /** See {@link Commits.sliceBytes}. */
  get sliceBytes(): number {
    return this.#commits.sliceBytes
  }

  /** See {@link Commits.room}; rejects with COORDINATOR_NOT_AVAILABLE. */
  async room(): Promise<void> {
    try {
      await this.#commits.room()
    } catch (cause) {
      throw unavailable(cause)
    }
  }

  /**
   * Resolves when all that has entered is durable; rejects with COORDINATOR_NOT_AVAILABLE, also where it
   * takes too long: it may still become so.
   */
  async settled(): Promise<void> {
    try {
      await this.#commits.settled(this.#answerMaxMs)
    } catch (cause) {
      throw unavailable(cause)
    }
  }

  /** Gives `response` to `answer` once all that has entered is durable, else `failed`'s. */
  answer<Response>(
    answer: (response: Response) => void,
    response: Response,
    failed: (error: LogError) => Response,
  ): void {
    this.settled().then(
      () => answer(response),
      (error: LogError) => answer(failed(error)),
    )
  }
}
