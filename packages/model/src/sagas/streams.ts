/**
 * Changes of saga instances: load, decide, append at the version that was loaded. A lost race
 * decides again; an append whose outcome was unknown is known again from the stream, because every
 * decision asks the instance whether its input was taken. What the store refuses for what it is (too
 * large) is decided again input by input, and the one that cannot be recorded parks its instance. Changes of one instance made by this node
 * wait for each other, so that races are with other nodes only.
 */
import { createHash } from 'node:crypto'
import { type NewEvent, StoreError, type StreamRef } from '@millrace/store'
import type { RuntimeContext } from '../context.ts'
import type { Saga } from '../define/saga.ts'
import { ModelError, reasonOf } from '../errors.ts'
import type { InstanceRef } from '../timers/index.ts'
import { type Care, NO_CARE, SagaDecision } from './decide.ts'
import { SAGA_FOLD, type SagaInstance } from './events.ts'
import { limitsOf, type SagaSettings } from './settings.ts'

/** What an append carries beside its events. */
export type Origin = { readonly correlationId?: string; readonly causationId?: string }

/** What became of a change. */
export type Changed = {
  /** After the change. */
  readonly instance: SagaInstance
  /** Bucket of the stream; -1 when nothing was appended. */
  readonly bucket: number
}

/** What no store takes, whoever asks again: too large, too deep, no JSON. */
const REFUSED: ReadonlySet<string> = new Set(['APPEND_TOO_LARGE', 'INVALID_EVENT', 'BAD_ARGUMENT'])

/** Why an append was refused for what it is. Throws what failed otherwise, and a second refusal. */
function asRefusal(error: unknown, care: Care): { readonly refusal: string } {
  const isRefusal = error instanceof StoreError && REFUSED.has(error.code)
  if (!isRefusal || care.refused !== null) throw error
  return { refusal: reasonOf(error) }
}

const WORD_LENGTH_MAX = 256

/** A text as an id of at most 256 characters, as the store takes them. */
export const wordOf = (text: string): string =>
  text.length <= WORD_LENGTH_MAX
    ? text
    : `sha256:${createHash('sha256').update(text).digest('base64url')}`

/** Id of what stands at a version of a saga's stream: of a command, and of an effect. */
export const sendIdOf = (saga: string, { tenant, id }: InstanceRef, version: number): string =>
  wordOf(`${tenant === '' ? '' : `${tenant}/`}${saga}/${id}@${version}`)

/** See the head of the file. */
export class SagaStreams {
  readonly #definition: Saga
  readonly #context: RuntimeContext
  readonly #settings: SagaSettings
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(definition: Saga, context: RuntimeContext, settings: SagaSettings) {
    this.#definition = definition
    this.#context = context
    this.#settings = settings
  }

  streamOf({ tenant, id }: InstanceRef): StreamRef {
    return { tenant, category: this.#definition.name, id }
  }

  /**
   * Changes an instance by what `decide` adds to the decision; nothing is written if it adds
   * nothing. May run several times: `decide` must not act on anything else.
   */
  async change(
    ref: InstanceRef,
    decide: (decision: SagaDecision) => void | Promise<void>,
    origin: Origin = {},
  ): Promise<Changed> {
    const key = `${ref.tenant}/${ref.id}`
    const before = this.#turns.get(key)
    const turn = (before ?? Promise.resolve()).then(() => this.#change(ref, decide, origin))
    const settled = turn.catch(() => {})
    this.#turns.set(key, settled)
    try {
      return await turn
    } finally {
      if (this.#turns.get(key) === settled) this.#turns.delete(key)
    }
  }

  /** The instance as it is. */
  async load(ref: InstanceRef): Promise<SagaInstance> {
    const { state } = await this.#context.store.aggregate(this.streamOf(ref), SAGA_FOLD)
    return state
  }

  async #change(
    ref: InstanceRef,
    decide: (decision: SagaDecision) => void | Promise<void>,
    origin: Origin,
  ): Promise<Changed> {
    const { store } = this.#context
    const stream = this.streamOf(ref)
    let care = NO_CARE
    for (let lost = 0; lost <= this.#settings['saga.conflicts.max']; lost += 1) {
      const { state, version, archived, tombstoned } = await store.aggregate(stream, SAGA_FOLD)
      // Who archives or deletes an instance has ended it.
      if (archived || tombstoned) return { instance: { ...state, status: 'ended' }, bucket: -1 }
      const decision = new SagaDecision(
        this.#definition,
        ref,
        state,
        version,
        limitsOf(this.#settings),
        care,
      )
      await decide(decision)
      if (decision.events.length === 0) return { instance: decision.instance, bucket: -1 }
      const options = { expectedVersion: version, ...origin }
      const result = await store
        .append(stream, this.#newEvents(decision, state), options)
        .catch(error => asRefusal(error, care))
      if ('refusal' in result) {
        // By itself each input may fit; the one that does not parks its instance.
        care = { steps: 1, refused: care.steps === 1 ? result.refusal : null }
        lost -= 1
      } else if (result.ok) return { instance: decision.instance, bucket: result.bucket }
    }
    throw new ModelError(
      'CONFLICTS_EXCEEDED',
      `saga ${this.#definition.name}: an append to instance ${ref.id} kept losing to other writers`,
    )
  }

  /** Under the replay clock an event has the time of what moved it, so that a replay gives the same. */
  #newEvents(decision: SagaDecision, before: SagaInstance): NewEvent[] {
    if (this.#definition.clock === 'wall')
      return decision.events.map(({ type, data }) => ({ type, data }) as NewEvent)
    const time = Math.max(before.time, decision.movedAt)
    return decision.events.map(({ type, data }) => ({ type, data, time }) as NewEvent)
  }
}
