/**
 * When a send that failed is tried again. Attempts are not waited for in place: between two of them
 * a send stands in the agenda like a timer, so that a thousand that fail hold up nothing else. The
 * bounds are a policy's, and its circuit is asked before each attempt.
 */
import { backoffMs, type Outside, resolveSettings, type SettingValues } from '@millrace/base'
import { isFinal, ModelError } from '../errors.ts'
import { Policy, type PolicyState } from '../policy/policy.ts'
import { POLICY_SETTINGS } from '../policy/settings.ts'

/** Bounds of attempts and of the circuit, by the keys of `POLICY_SETTINGS`. */
export type RetrySettings = Partial<SettingValues<typeof POLICY_SETTINGS>>

/** What became of an attempt. */
export type AttemptResult<T> =
  | { readonly kind: 'done'; readonly value: T }
  /** Try again after this time; `counts`: it was an attempt. Without it the circuit refused. */
  | {
      readonly kind: 'again'
      readonly inMs: number
      readonly counts: boolean
      readonly error: unknown
    }
  /** Not again: repeating cannot help, or the bounds are reached. */
  | { readonly kind: 'over'; readonly error: unknown }

/** See the head of the file. */
export class EffectRetry {
  readonly #settings: SettingValues<typeof POLICY_SETTINGS>
  readonly #policy: Policy
  readonly #random: Outside['random']

  constructor(name: string, settings: RetrySettings, outside: Outside) {
    this.#settings = resolveSettings(POLICY_SETTINGS, settings)
    this.#random = outside.random
    const onceEach = { ...this.#settings, 'retry.attempts.max': 1 }
    this.#policy = new Policy({ name, settings: onceEach, outside })
  }

  get state(): PolicyState {
    return this.#policy.state
  }

  /** One attempt. @param failed how many attempts have failed before it */
  async attempt<T>(
    failed: number,
    fn: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<AttemptResult<T>> {
    try {
      return { kind: 'done', value: await this.#policy.run(fn, { signal }) }
    } catch (thrown) {
      if (thrown instanceof ModelError && thrown.code === 'CIRCUIT_OPEN') {
        // The policy's own circuit: what the call throws itself comes as a cause.
        const inMs = Math.max(this.#policy.state.probeInMs, this.#settings['retry.first.ms'], 1)
        return { kind: 'again', inMs, counts: false, error: thrown }
      }
      const error = causeOf(thrown)
      if (isFinal(error) || failed + 1 >= this.#settings['retry.attempts.max'])
        return { kind: 'over', error }
      const bounds = {
        firstMs: this.#settings['retry.first.ms'],
        maxMs: this.#settings['retry.longest.ms'],
      }
      const inMs = Math.ceil(backoffMs(bounds, failed + 1, this.#random))
      return { kind: 'again', inMs, counts: true, error }
    }
  }
}

/** What the call itself threw. */
const causeOf = (thrown: unknown): unknown =>
  thrown instanceof ModelError && thrown.code === 'RETRIES_EXHAUSTED' ? thrown.cause : thrown
