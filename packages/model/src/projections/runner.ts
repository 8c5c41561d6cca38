/** Runs the parts of one build side by side; the first that fails ends the others. */
import type { Projection } from '../define/projection.ts'
import type { SqlDatabase } from '../sql/port.ts'
import { type HandlerBounds, type HandlerTrouble, HandlerWatch } from './handler-watch.ts'
import { Handlers } from './handlers.ts'
import { type Build, Ledger } from './ledger.ts'
import { Part, type PartTools } from './part.ts'
import { mergePositions, type Positions, positionsOf } from './positions.ts'
import { sideBySide } from './side-by-side.ts'

/** What all parts of a build share; each gets handlers and bookkeeping of its own. */
export type RunnerTools = Omit<PartTools, 'part' | 'ledger' | 'handlers' | 'watch'> & HandlerBounds

export class ProjectionRunner {
  readonly build: Build
  readonly parts: readonly Part[]

  constructor(definition: Projection, sql: SqlDatabase, tools: RunnerTools) {
    this.build = tools.build
    this.parts = Array.from({ length: tools.build.parts }, (_, part) => {
      const watch = new HandlerWatch(tools.context.outside, tools)
      const handlers = new Handlers(definition, sql, tools.build, watch)
      return new Part({ ...tools, part, handlers, watch, ledger: new Ledger(sql) })
    })
  }

  get isCaughtUp(): boolean {
    return this.parts.every(part => part.isCaughtUp)
  }

  /** What handlers are in trouble with, of the first part that is. */
  get trouble(): HandlerTrouble {
    return Object.assign({}, ...this.parts.map(part => part.trouble).reverse())
  }

  get parkedCount(): number {
    return this.parts.reduce((sum, part) => sum + part.parkedCount, 0)
  }

  /** Below it everything is handled or parked. */
  get positions(): Positions {
    return mergePositions(this.parts.map(part => positionsOf(part.checkpoint)))
  }

  async load(): Promise<void> {
    for (const part of this.parts) await part.load()
  }

  /** Follows until the signal fires. Throws the first failure, when all parts have ended. */
  async run(signal: AbortSignal): Promise<void> {
    await sideBySide(
      signal,
      this.parts.map(part => either => part.run(either)),
    )
  }
}
