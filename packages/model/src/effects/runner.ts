/**
 * Runs effects: what leaves the system. Each has its own bounds, policy and circuit, so that one
 * that is down holds up no other. An effect runs at least once; its id is the same over all
 * attempts, nodes and restarts: what the other side knows it by.
 */
import { type Outside, resolveSettings } from '@millrace/base'
import type { EventStore } from '@millrace/store'
import type { Effect, EffectContext } from '../define/saga.ts'
import { validated } from '../define/validate.ts'
import { ModelError } from '../errors.ts'
import type { PolicyState } from '../policy/policy.ts'
import { withTimeout } from '../policy/time-out.ts'
import { type AttemptResult, EffectRetry, type RetrySettings } from './retry.ts'
import { EFFECT_SETTINGS, type EffectSettings } from './settings.ts'

/** A call of an effect. */
export type EffectCall = {
  readonly effect: string
  readonly data: unknown
  readonly id: string
  readonly tenant: string
  /** Attempts that failed before. */
  readonly failed: number
  readonly signal: AbortSignal
}

/** How effects are run. */
export type EffectRunnerOptions = {
  readonly settings?: Partial<EffectSettings>
  /** For all effects; over the defaults of a policy. */
  readonly retry?: RetrySettings
  /** By name of the effect; over `retry`. */
  readonly retryOf?: Readonly<Record<string, RetrySettings>>
}

/** What effects need around them. */
export type EffectRunnerContext = {
  readonly outside: Outside
  /** Whose subjects effects may forget. Absent: they cannot. */
  readonly store?: Pick<EventStore, 'forget'>
}

/** Runs the effects of an application. */
export interface EffectRunner {
  readonly names: readonly string[]
  /** Calls of one effect that may be under way at once. */
  readonly parallel: number
  /** One attempt. The error of an unknown name, or of data that its schema refuses, is final. */
  attempt(call: EffectCall): Promise<AttemptResult<void>>
  status(): readonly PolicyState[]
}

/** What effects are tried again with, where nothing else is said: for minutes, not for ms. */
const RETRY_DEFAULTS: RetrySettings = {
  'retry.attempts.max': 10,
  'retry.first.ms': 200,
  'retry.longest.ms': 60_000,
  'retry.elapsed.ms': 86_400_000,
}

/** Makes a runner of these effects. Throws RangeError on bad settings. */
export function createEffectRunner(
  effects: Readonly<Record<string, Effect>>,
  context: EffectRunnerContext,
  options: EffectRunnerOptions = {},
): EffectRunner {
  return new AttemptingRunner(effects, context, options)
}

class AttemptingRunner implements EffectRunner {
  readonly names: readonly string[]
  readonly parallel: number
  readonly #effects: ReadonlyMap<string, { readonly effect: Effect; readonly retry: EffectRetry }>
  readonly #timeoutMs: number
  readonly #endMs: number
  readonly #outside: Outside
  readonly #store: EffectRunnerContext['store']

  constructor(
    effects: Readonly<Record<string, Effect>>,
    { outside, store }: EffectRunnerContext,
    { settings, retry, retryOf }: EffectRunnerOptions,
  ) {
    const resolved = resolveSettings(EFFECT_SETTINGS, settings)
    this.parallel = resolved['effect.parallel']
    this.#timeoutMs = resolved['effect.timeout.ms']
    this.#endMs = resolved['effect.end.ms']
    this.#outside = outside
    this.#store = store
    const known = new Map<string, { effect: Effect; retry: EffectRetry }>()
    for (const effect of Object.values(effects)) {
      if (known.has(effect.name))
        throw new ModelError('BAD_DEFINITION', `two effects are called ${effect.name}`)
      const bounds = { ...RETRY_DEFAULTS, ...retry, ...retryOf?.[effect.name] }
      known.set(effect.name, {
        effect,
        retry: new EffectRetry(`effect ${effect.name}`, bounds, outside),
      })
    }
    this.#effects = known
    this.names = [...known.keys()]
  }

  async attempt(call: EffectCall): Promise<AttemptResult<void>> {
    const known = this.#effects.get(call.effect)
    if (known === undefined) {
      const detail = `the application has no effect ${call.effect}`
      return { kind: 'over', error: new ModelError('BAD_DEFINITION', detail) }
    }
    const { effect, retry } = known
    return retry.attempt(call.failed, () => this.#run(effect, call), call.signal)
  }

  status(): readonly PolicyState[] {
    return [...this.#effects.values()].map(({ retry }) => retry.state)
  }

  async #run(effect: Effect, { id, tenant, failed, data, signal }: EffectCall): Promise<void> {
    const value = validated(effect.input, data, `effect ${effect.name}`, 'BAD_ARGUMENT')
    const contextWith = (until: AbortSignal): EffectContext => ({
      id,
      tenant,
      attempt: failed + 1,
      signal: until,
      forget: async subject => {
        if (this.#store !== undefined) return this.#store.forget(subject, { tenant })
        throw new ModelError('BAD_ARGUMENT', `effect ${effect.name} runs without a store`)
      },
    })
    const timeoutMs = this.#timeoutMs
    const patience = {
      ...{ timers: this.#outside.timers, timeoutMs, endMs: this.#endMs, signal },
      late: () =>
        new ModelError(
          'EFFECT_FAILED',
          `effect ${effect.name} took longer than ${timeoutMs} ms (effect.timeout.ms)`,
        ),
    }
    await withTimeout(patience, until => effect.run(value as never, contextWith(until)))
  }
}
