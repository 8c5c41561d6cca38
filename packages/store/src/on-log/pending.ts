/**
 * An append on its way: what it wants, what it claims in its present attempt, and how its caller is
 * answered.
 */
import type { Timestamp } from '@millrace/log'
import type {
  AppendResult,
  EventQuery,
  ExpectedVersion,
  StreamRef,
  StreamVersion,
} from '../port.ts'
import type { CheckClaim, ConditionClaim } from '../rule/facts.ts'
import type { Bucket } from './bucket.ts'

/** An event that is ready to be written: validated, sealed, as JSON. */
export type ReadyEvent = {
  readonly type: string
  readonly schemaVersion: number
  readonly value: string
  readonly id: string | undefined
  readonly time: Timestamp | undefined
  readonly tags: readonly string[]
  readonly personal: string | undefined
  readonly metadata: Readonly<Record<string, string>> | undefined
}

/** A check of another stream of the bucket. */
export type ReadyCheck = {
  readonly ref: StreamRef
  readonly stream: string
  readonly expectedVersion: ExpectedVersion
}

/** A condition on tags; `after` is an offset of the bucket. */
export type ReadyCondition = { readonly failIfMatch: readonly EventQuery[]; readonly after: number }

/** What an append wants. */
export type AppendRequest = {
  readonly bucket: Bucket
  readonly tenant: string
  readonly id: string
  /** Stream key. */
  readonly stream: string
  readonly events: readonly ReadyEvent[]
  readonly expected: ExpectedVersion
  /** Of the first attempt, if the caller named one. */
  readonly appendId: string | undefined
  readonly commandId: string | undefined
  readonly correlationId: string | undefined
  readonly causationId: string | undefined
  readonly actor: string | undefined
  readonly saga: string | undefined
  readonly checks: readonly ReadyCheck[]
  readonly condition: ReadyCondition | undefined
  /** On the monotonic clock, ms. */
  readonly deadline: number
  readonly bytes: number
}

/** What an attempt claims. */
export type Claim = {
  readonly appendId: string
  /** Version of its first event. */
  readonly version: StreamVersion
  readonly checks: readonly CheckClaim[] | undefined
  readonly condition: ConditionClaim | undefined
  readonly stamp: number
  /** Times of its events. */
  readonly times: readonly number[]
}

/** See the head of the file. */
export class PendingAppend {
  readonly request: AppendRequest
  attempts = 0
  claim: Claim | null = null
  /** Brought to the end of the log to be sure of an answer; once is enough a change. */
  caughtUpAt = -1
  /** Goes in a batch of its own: one with others was not taken. */
  alone = false
  answered = false
  readonly #resolve: (result: AppendResult) => void
  readonly #reject: (error: unknown) => void

  constructor(
    request: AppendRequest,
    resolve: (result: AppendResult) => void,
    reject: (error: unknown) => void,
  ) {
    this.request = request
    this.#resolve = resolve
    this.#reject = reject
  }

  resolve(result: AppendResult): void {
    this.answered = true
    this.#resolve(result)
  }

  reject(error: unknown): void {
    this.answered = true
    this.#reject(error)
  }
}
