/**
 * The outbox: sends the commands and effects that stand in the saga's streams, and fires its timers
 * by the wall clock. What became of each is an event of the same stream.
 *
 * A command has the id of the place where it stands (saga, instance, version), so the aggregate's
 * memory of command ids makes it count once, however often it is sent: after a crash it is sent
 * again at once, and only if the aggregate took 64 other commands meanwhile could it count twice. Its
 * rejection is an answer: recorded, and handled by the saga if it says how. What fails is tried
 * again by the policy's bounds, then parked until it is redriven; the instance's later commands
 * wait behind it, its effects do not.
 */
import type { Json, RecordedEvent } from '@millrace/store'
import type { Outcome, RuntimeContext } from '../context.ts'
import { notJson } from '../define/json.ts'
import type { Saga } from '../define/saga.ts'
import type { AttemptResult, EffectRunner } from '../effects/index.ts'
import { EffectRetry, type RetrySettings } from '../effects/retry.ts'
import { reasonOf } from '../errors.ts'
import {
  type Agenda,
  type AgendaItem,
  COMMANDS,
  type Dispatcher,
  EFFECTS,
  type Lane,
  TIMERS,
} from '../timers/index.ts'
import type { AgendaFold } from './agenda-fold.ts'
import type { RejectionInput, SagaEvents } from './events.ts'
import type { SagaSettings } from './settings.ts'
import { type SagaStreams, sendIdOf, wordOf } from './streams.ts'

/** What an outbox is made of. */
export type OutboxOptions = {
  readonly definition: Saga
  readonly context: RuntimeContext
  readonly settings: SagaSettings
  readonly streams: SagaStreams
  readonly agenda: Agenda
  readonly effects: EffectRunner
  /** How commands are tried again. */
  readonly retry: RetrySettings
  /** Up to which time the timers of a bucket may fire, ms since the epoch. */
  readonly firesUntil: (bucket: number, now: number) => number
}

/** How commands are tried again where nothing else is said. */
const RETRY_DEFAULTS: RetrySettings = {
  'retry.attempts.max': 20,
  'retry.first.ms': 100,
  'retry.longest.ms': 30_000,
}

/** Most bytes of what an aggregate says when it refuses a command, as JSON. */
const REJECTION_BYTES_MAX = 65_536

/** Why a rejection cannot stand in a saga's stream; null: it can. */
function recordProblem(reason: unknown): string | null {
  if (reason === undefined) return null
  const problem = notJson(reason)
  if (problem !== undefined) return `not JSON${problem}`
  const bytes = Buffer.byteLength(JSON.stringify(reason))
  return bytes > REJECTION_BYTES_MAX ? `${bytes} bytes, more than ${REJECTION_BYTES_MAX}` : null
}

/** See the head of the file. */
export class SagaOutbox {
  readonly #options: OutboxOptions
  readonly #retry: EffectRetry
  #fold: AgendaFold | null = null
  #dispatcher: Dispatcher | null = null
  #failuresInRow = 0

  constructor(options: OutboxOptions) {
    this.#options = options
    const { definition, context, retry } = options
    this.#retry = new EffectRetry(
      `commands of saga ${definition.name}`,
      { ...RETRY_DEFAULTS, ...retry },
      context.outside,
    )
  }

  /** Joins it with those that it tells of outcomes. */
  connect(fold: AgendaFold, dispatcher: Dispatcher): void {
    this.#fold = fold
    this.#dispatcher = dispatcher
  }

  /** The lane of an effect; unknown ones share the lane that parks them. */
  laneOf(effect: string): number {
    const at = this.#options.effects.names.indexOf(effect)
    return EFFECTS + (at === -1 ? this.#options.effects.names.length : at)
  }

  /** What the dispatcher does. */
  lanes(): readonly Lane[] {
    const { settings, effects } = this.#options
    const effect = (lane: number): Lane => ({
      lane,
      parallel: effects.parallel,
      run: (item, signal) => this.#passing(item, () => this.#sendEffect(item, signal)),
    })
    return [
      {
        lane: TIMERS,
        parallel: settings['saga.timers.parallel'],
        until: (bucket, now) => this.#options.firesUntil(bucket, now),
        run: item => this.#passing(item, () => this.#fire(item)),
      },
      {
        lane: COMMANDS,
        parallel: settings['saga.commands.parallel'],
        run: (item, signal) => this.#passing(item, () => this.#sendCommand(item, signal)),
      },
      ...effects.names.map((_, at) => effect(EFFECTS + at)),
      effect(EFFECTS + effects.names.length),
    ]
  }

  /** What fails for a passing reason waits in the agenda; the saga goes on with the rest. */
  async #passing(item: AgendaItem, work: () => Promise<void>): Promise<void> {
    const { agenda, settings, context } = this.#options
    try {
      await work()
      this.#failuresInRow = 0
    } catch (error) {
      this.#failuresInRow += 1
      const isPassing = error instanceof Error && 'retriable' in error && error.retriable === true
      if (!isPassing || this.#failuresInRow > settings['saga.pauses.max']) throw error
      const due = context.outside.clock.now() + settings['saga.pause.ms']
      agenda.postpone(item, due, item.attempts, item.reason)
    }
  }

  async #fire(item: AgendaItem): Promise<void> {
    const { streams, agenda, context, firesUntil } = this.#options
    const limit = firesUntil(item.bucket, context.outside.clock.now())
    await streams.change(item, decision => decision.fireDue(limit))
    // Cancelled, parked or ended meanwhile: then nothing was due. Started anew: then the fold puts
    // the new one in its place.
    agenda.removeItem(item)
  }

  async #sendCommand(item: AgendaItem, signal: AbortSignal): Promise<void> {
    const { definition, context } = this.#options
    const sent = await this.#sentAt(item)
    if (sent === null) return this.#forget(item)
    const data = sent.data as SagaEvents['CommandSent']
    const { correlationId } = data
    const result = await this.#retry.attempt(
      item.attempts,
      () =>
        context.commands.run({
          tenant: item.tenant,
          aggregate: data.aggregate,
          id: data.id,
          command: data.command,
          data: data.data,
          commandId: sendIdOf(definition.name, item, item.version),
          ...(correlationId === undefined ? {} : { correlationId }),
          causationId: sent.id,
          saga: wordOf(`${definition.name}/${item.id}`),
        }),
      signal,
    )
    // An answer is recorded also when the bucket is about to go: the next owner need not ask again.
    if (result.kind === 'done') await this.#answered(item, data, result.value)
    else if (!signal.aborted) await this.#notSent(item, result)
  }

  async #answered(
    item: AgendaItem,
    { aggregate, id, command }: SagaEvents['CommandSent'],
    outcome: Outcome<unknown>,
  ): Promise<void> {
    const { streams } = this.#options
    if (outcome.ok) {
      await streams.change(item, decision => decision.delivered(item.version))
    } else {
      const problem = recordProblem(outcome.reason)
      if (problem !== null) {
        const error = `the rejection of ${aggregate}.${command} cannot be recorded: ${problem}`
        return this.#notSent(item, { kind: 'over', error })
      }
      const reason = (outcome.reason ?? null) as Json
      const sent = item.version
      const input: RejectionInput = { kind: 'rejection', sent, aggregate, id, command, reason }
      await streams.change(item, decision => decision.reject(input))
    }
    this.#forget(item)
  }

  async #sendEffect(item: AgendaItem, signal: AbortSignal): Promise<void> {
    const { definition, effects, streams } = this.#options
    const sent = await this.#sentAt(item)
    if (sent === null) return this.#forget(item)
    const { effect, data } = sent.data as SagaEvents['EffectSent']
    const result = await effects.attempt({
      effect,
      data,
      id: sendIdOf(definition.name, item, item.version),
      tenant: item.tenant,
      failed: item.attempts,
      signal,
    })
    if (result.kind === 'done') {
      await streams.change(item, decision => decision.delivered(item.version))
      this.#forget(item)
    } else if (!signal.aborted) {
      await this.#notSent(item, result, effect)
    }
  }

  /** Its event; null if there is nothing to send any more. */
  async #sentAt(item: AgendaItem): Promise<RecordedEvent | null> {
    const { streams, context } = this.#options
    const event = await context.store.event(streams.streamOf(item), item.version)
    return event ?? null
  }

  async #notSent(
    item: AgendaItem,
    result: Exclude<AttemptResult<unknown>, { kind: 'done' }>,
    effect?: string,
  ): Promise<void> {
    const { agenda, streams, context, definition } = this.#options
    const now = context.outside.clock.now()
    if (result.kind === 'again') {
      const attempts = item.attempts + (result.counts ? 1 : 0)
      agenda.postpone(item, now + result.inMs, attempts, null)
      if (!result.counts) this.#dispatcher?.pause(item.lane, now + result.inMs)
      return
    }
    const reason = reasonOf(result.error)
    const attempts = item.attempts + 1
    await streams.change(item, decision => decision.parkSend(item.version, reason, attempts))
    agenda.postpone(item, Number.MAX_SAFE_INTEGER, attempts, reason)
    const id = sendIdOf(definition.name, item, item.version)
    context.onEvent({ kind: 'effect-parked', effect: effect ?? 'a command', id, reason })
  }

  #forget(item: AgendaItem): void {
    this.#options.agenda.removeItem(item)
    if (item.lane === COMMANDS) this.#fold?.releaseNext(item)
  }
}
