// An engine and a store of their own in a folder that goes away, a wall clock that tests move, and
// the definitions that the tests of sagas and subscriptions share.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Outside, systemOutside } from '@millrace/base'
import { type Engine, openEngine } from '@millrace/engine'
import {
  type CategoryOptions,
  type EventStore,
  openStore,
  type RecordedEvent,
} from '@millrace/store'
import { CommandRunner } from '../../../src/commands/command-runner.ts'
import type { CommandBus, ModelEvent, Processor, RuntimeContext } from '../../../src/context.ts'
import type { Aggregate } from '../../../src/index.ts'

export const DAY = 86_400_000
export const START = Date.UTC(2012, 0, 1)

/** A wall clock that stands until it is moved; timers are the platform's. */
export type MovedClock = Outside & { set(time: number): void; advance(ms: number): void }

export function movedClock(start: number): MovedClock {
  const system = systemOutside()
  let now = start
  return {
    ...system,
    clock: { now: () => now, monotonic: () => system.clock.monotonic() },
    set: time => {
      now = time
    },
    advance: ms => {
      now += ms
    },
  }
}

/** Opened by `openScene`, closed by the test. */
export type Scene = {
  readonly engine: Engine
  readonly store: EventStore
  readonly outside: MovedClock
  readonly events: ModelEvent[]
  readonly context: RuntimeContext
  /** The same with another store or bus in front. */
  contextWith(parts: Partial<RuntimeContext>): RuntimeContext
  /** All events of a category, by stream, reduced to type and data. */
  streamsOf(category: string): Promise<Record<string, [string, unknown][]>>
  all(category: string): Promise<RecordedEvent[]>
  close(): Promise<void>
}

export async function openScene(options: {
  readonly aggregates: readonly Aggregate[]
  readonly categories: Readonly<Record<string, CategoryOptions>>
  readonly buckets?: number
  readonly start?: number
}): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-model-'))
  const engine = await openEngine({
    folder,
    groupSettings: { 'group.initial.rebalance.delay.ms': 0, 'group.min.session.timeout.ms': 100 },
  })
  const outside = movedClock(options.start ?? START)
  const own = Object.fromEntries(options.aggregates.map(({ name }) => [name, {}]))
  const store = await openStore({
    log: engine,
    folder: null,
    categories: { ...own, ...options.categories },
    settings: { 'category.buckets': options.buckets ?? 3 },
    outside,
  })
  const commands: CommandBus = new CommandRunner({ store, aggregates: options.aggregates, outside })
  const events: ModelEvent[] = []
  const context: RuntimeContext = {
    name: 'test',
    store,
    log: engine,
    outside,
    commands,
    onEvent: event => void events.push(event),
  }
  const all = async (category: string): Promise<RecordedEvent[]> => {
    const found: RecordedEvent[] = []
    for await (const page of store.readAll([category], { tenant: null })) found.push(...page.events)
    return found
  }
  return {
    engine,
    store,
    outside,
    events,
    context,
    contextWith: parts => ({ ...context, ...parts }),
    all,
    streamsOf: async category => {
      const streams: Record<string, [string, unknown][]> = {}
      for (const event of await all(category)) {
        const list = streams[event.stream] ?? []
        streams[event.stream] = list
        list.push([event.type, event.data])
      }
      return streams
    },
    close: async () => {
      await store.close()
      await engine.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Polls until it holds; says what it waited for when it does not. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not in ${timeoutMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** Runs with a processor that is stopped whatever happens. */
export async function running<P extends Processor>(
  processor: P,
  work: (processor: P) => Promise<void>,
): Promise<void> {
  try {
    await processor.start()
    await work(processor)
  } finally {
    await processor.stop()
  }
}
