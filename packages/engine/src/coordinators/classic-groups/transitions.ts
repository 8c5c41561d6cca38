/**
 * The states of a classic group and what leads from one to another, as one complete table: each cell
 * is a state, or null where the event cannot happen in that state.
 */
import type { GroupState } from '@millrace/log'

/**
 * - `prepare`: members are asked to join again
 * - `complete`: all members that will be in the generation have joined
 * - `empty`: nobody joined; a generation without members begins
 * - `assign`: the leader's assignment is stored
 * - `die`: the group is deleted or has nothing left to remember
 */
export type GroupEvent = 'prepare' | 'complete' | 'empty' | 'assign' | 'die'

/** Where each event leads from each state. */
export const TRANSITIONS: Readonly<
  Record<GroupState, Readonly<Record<GroupEvent, GroupState | null>>>
> = {
  Empty: {
    prepare: 'PreparingRebalance',
    complete: null,
    empty: null,
    assign: null,
    die: 'Dead',
  },
  PreparingRebalance: {
    prepare: null,
    complete: 'CompletingRebalance',
    empty: 'Empty',
    assign: null,
    die: 'Dead',
  },
  CompletingRebalance: {
    prepare: 'PreparingRebalance',
    complete: null,
    empty: null,
    assign: 'Stable',
    die: 'Dead',
  },
  Stable: {
    prepare: 'PreparingRebalance',
    complete: null,
    empty: null,
    assign: null,
    die: 'Dead',
  },
  Dead: { prepare: null, complete: null, empty: null, assign: null, die: 'Dead' },
}
