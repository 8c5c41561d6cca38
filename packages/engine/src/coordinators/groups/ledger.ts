/**
 * Where decisions of the coordinator become records, and where answers wait for them.
 *
 * A refusal of the sink before anything has entered (it throws) leaves the machine untouched; after
 * that the records are replayed at once and every answer, reads and duplicates included, waits until
 * all that entered before it is durable (engine rule 13).
 */
import { LogError } from '@millrace/log'
import type { CoordinatorRecord, RecordSink } from '../../machines/record-sink.ts'
import type { GroupMachine } from './group-machine.ts'

/** Clients know what to do about a coordinator that is not available; not about a disk. */
export function unavailable(cause: unknown): LogError {
  const detail = cause instanceof Error ? cause.message : String(cause)
  return new LogError('COORDINATOR_NOT_AVAILABLE', detail, cause)
}

/** The machine and its sink as one. */
export class GroupLedger {
  readonly machine: GroupMachine
  readonly #sink: RecordSink

  constructor(machine: GroupMachine, sink: RecordSink) {
    this.machine = machine
    this.#sink = sink
  }

  /**
   * Enters and replays the records before it returns. Throws COORDINATOR_NOT_AVAILABLE where the
   * sink refuses them; nothing has changed then. Who wants to know when they are durable asks
   * {@link settled}.
   */
  write(records: readonly CoordinatorRecord[]): void {
    if (records.length === 0) return
    let durable: Promise<void>
    try {
      durable = this.#sink.append(records)
    } catch (cause) {
      throw unavailable(cause)
    }
    for (const record of records) this.machine.replay(record)
    // The answers find the failure through `settled`; here it only must not be unhandled.
    durable.catch(() => undefined)
  }

  /** Resolves when all that has entered is durable; rejects with COORDINATOR_NOT_AVAILABLE. */
  async settled(): Promise<void> {
    try {
      await this.#sink.append([])
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
