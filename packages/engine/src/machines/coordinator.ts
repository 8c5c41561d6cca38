/** Who serves machines to the outside: what the composition does with each coordinator. */
import type { Outside } from '@millrace/base'
import type { Machine } from './machine.ts'
import type { Commits } from './runtime.ts'

/** What a coordinator is given. */
export type CoordinatorContext = {
  readonly commits: Commits
  readonly outside: Outside
}

/** A coordinator of the engine. */
export interface Coordinator {
  /** In the registry before recovery, so that they are filled when `start` is called. */
  readonly machines: readonly Machine[]
  /** Recovery is over: requests may come. Not called where the journal takes nothing. */
  start(): void
  /** Its gauges and counters, by names of its own: what it holds, beside what it may hold. */
  metrics?(): Readonly<Record<string, number>>
  /** Answers all that wait and ends all timers. */
  close(): void
}
