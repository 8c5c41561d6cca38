/**
 * Commits offsets of a group, one request at a time, so that an older commit never overtakes a
 * newer one. What the coordinator cannot answer now is tried again for `commitTimeoutMs`.
 */

import { backoffMs, sleep } from '@millrace/base'
import type { Groups, MemberIdentity } from '@millrace/log'
import {
  asLogError,
  LogError,
  NO_LEADER_EPOCH,
  type Offset,
  type TopicPartition,
} from '@millrace/log'
import { answerWithin } from '../answer.ts'
import type { ResolvedConsumerOptions } from './options.ts'

/** An offset to commit: the next one to read. */
export type OffsetToCommit = TopicPartition & {
  readonly offset: Offset
  readonly metadata?: string | null
}

/** See the head of the file. */
export class Committer {
  #groups: Groups
  #options: ResolvedConsumerOptions
  #identity: () => MemberIdentity
  #last: Promise<unknown> = Promise.resolve()

  constructor(groups: Groups, options: ResolvedConsumerOptions, identity: () => MemberIdentity) {
    this.#groups = groups
    this.#options = options
    this.#identity = identity
  }

  /** Resolves when all are committed; throws the first refusal. */
  commit(offsets: readonly OffsetToCommit[]): Promise<void> {
    const turn = this.#last.then(() => this.#commit(offsets))
    this.#last = turn.catch(() => {})
    return turn
  }

  async #commit(offsets: readonly OffsetToCommit[]): Promise<void> {
    const { outside, backoff, commitTimeoutMs } = this.#options
    const deadline = outside.clock.monotonic() + commitTimeoutMs
    let left = offsets
    for (let failures = 1; left.length > 0; failures += 1) {
      const before = this.#identity()
      const { refused, error } = await this.#attempt(before, left)
      if (error === null) return
      const again = error.retriable || this.#hasMovedOn(before, error)
      if (!again || outside.clock.monotonic() >= deadline) throw error
      left = refused
      await sleep(outside.timers, backoffMs(backoff, failures, outside.random))
    }
  }

  /** A refusal of a generation that was left meanwhile says nothing about the present one. */
  #hasMovedOn(before: MemberIdentity, error: LogError): boolean {
    const now = this.#identity()
    return (
      error.code === 'ILLEGAL_GENERATION' &&
      now.memberId === before.memberId &&
      now.generationId > before.generationId
    )
  }

  async #attempt(
    identity: MemberIdentity,
    offsets: readonly OffsetToCommit[],
  ): Promise<{ refused: readonly OffsetToCommit[]; error: LogError | null }> {
    try {
      const request = {
        ...identity,
        offsets: offsets.map(({ topic, partition, offset, metadata }) => ({
          topic,
          partition,
          offset,
          leaderEpoch: NO_LEADER_EPOCH,
          metadata: metadata ?? null,
        })),
      }
      const { outside, requestTimeoutMs } = this.#options
      const outcomes = await answerWithin(outside.timers, requestTimeoutMs, 'commit', () =>
        this.#groups.commit(request),
      )
      const errors = outcomes.flatMap(({ error }) => (error === undefined ? [] : [error]))
      // A refusal that waiting does not mend decides over those that it would.
      const error = errors.find(({ retriable }) => !retriable) ?? errors[0] ?? null
      return { refused: offsets.filter((_, at) => outcomes[at]?.error !== undefined), error }
    } catch (error) {
      return { refused: offsets, error: asLogError(error) }
    }
  }
}

/** Refuses commits of a consumer without a group. */
export const noGroup = (): LogError =>
  new LogError('INVALID_GROUP_ID', 'to subscribe or commit, give the consumer a groupId')
