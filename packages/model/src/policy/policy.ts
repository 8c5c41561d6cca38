/**
 * One policy for everything that may fail and be tried again: commands, handlers of processors,
 * effects, connections.
 *
 * A call is attempted up to a number of times and up to an age, with doubling, jittered waits in
 * between; a circuit over all calls of the policy stops attempts at something that is down. A call
 * that finds the circuit open fails at once; one that is already retrying waits for it, within its
 * bounds. What says of itself that repeating cannot help (`retriable: false`) is thrown as it is,
 * and tells nothing about the health of what was called.
 */
import {
  backoffMs,
  Circuit,
  type CircuitState,
  type Outside,
  type Pass,
  resolveSettings,
  type SettingValues,
  sleep,
  systemOutside,
} from '@millrace/base'
import { isFinal, ModelError, reasonOf } from '../errors.ts'
import { POLICY_SETTINGS } from './settings.ts'

/** What a policy is made of. */
export type PolicyOptions = {
  /** Names what is called, for messages. */
  readonly name: string
  readonly settings?: Partial<SettingValues<typeof POLICY_SETTINGS>>
  readonly outside?: Outside
  /** Whether a failure may be tried again. Default: unless it says `retriable: false`. */
  readonly retryIf?: (error: unknown) => boolean
  /** Told of each failure that is tried again after `waitMs`. */
  readonly onRetry?: (error: unknown, attempt: number, waitMs: number) => void
}

/** What an attempt is told. */
export type Attempt = {
  /** 1 for the first. */
  readonly attempt: number
  readonly signal: AbortSignal | undefined
}

/** How a policy is doing. Counts are since it was made. */
export type PolicyState = {
  readonly name: string
  readonly circuit: CircuitState
  readonly failuresInRow: number
  /** Ms until an open circuit lets probes through; else 0. */
  readonly probeInMs: number
  /** Attempts under way, and calls that wait for their next one. */
  readonly running: number
  readonly waiting: number
  readonly attempts: number
  /** Calls that ended well, that failed for good, and that an open circuit refused. */
  readonly succeeded: number
  readonly failed: number
  readonly refused: number
}

export class Policy {
  readonly name: string
  readonly #settings: SettingValues<typeof POLICY_SETTINGS>
  readonly #outside: Outside
  readonly #retryIf: (error: unknown) => boolean
  readonly #onRetry: PolicyOptions['onRetry']
  readonly #circuit: Circuit
  #running = 0
  #waiting = 0
  #attempts = 0
  #succeeded = 0
  #failed = 0
  #refused = 0

  constructor(options: PolicyOptions) {
    this.name = options.name
    this.#settings = resolveSettings(POLICY_SETTINGS, options.settings)
    this.#outside = options.outside ?? systemOutside()
    this.#retryIf = options.retryIf ?? (error => !isFinal(error))
    this.#onRetry = options.onRetry
    this.#circuit = new Circuit(
      {
        failures: this.#settings['circuit.failures'],
        openMs: this.#settings['circuit.open.ms'],
        probes: this.#settings['circuit.probes'],
      },
      () => this.#outside.clock.monotonic(),
    )
  }

  get state(): PolicyState {
    return {
      name: this.name,
      circuit: this.#circuit.state,
      failuresInRow: this.#circuit.failuresInRow,
      probeInMs: this.#circuit.waitMs,
      running: this.#running,
      waiting: this.#waiting,
      attempts: this.#attempts,
      succeeded: this.#succeeded,
      failed: this.#failed,
      refused: this.#refused,
    }
  }

  /**
   * Runs `fn` until it succeeds or a bound is reached. Throws CIRCUIT_OPEN when the circuit refuses
   * the first attempt, RETRIES_EXHAUSTED with the last failure as its cause, a failure that is not
   * to be retried as it is, and the signal's reason when that fires.
   */
  async run<T>(
    fn: (attempt: Attempt) => Promise<T>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    const { signal } = options
    const startedAt = this.#outside.clock.monotonic()
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted()
      const pass = this.#circuit.enter() ?? (await this.#admission(attempt, startedAt, signal))
      let failure: unknown
      this.#running += 1
      this.#attempts += 1
      try {
        const value = await fn({ attempt, signal })
        this.#circuit.settle(pass, 'success')
        this.#succeeded += 1
        return value
      } catch (error) {
        failure = error
      } finally {
        this.#running -= 1
      }
      const counts = signal?.aborted !== true && this.#retryIf(failure)
      this.#circuit.settle(pass, counts ? 'failure' : 'neither')
      if (!counts) {
        this.#failed += 1
        throw failure
      }
      await this.#backOff(failure, attempt, startedAt, signal)
    }
  }

  /** Waits until the circuit lets a retry through; a first attempt is refused at once. */
  async #admission(
    attempt: number,
    startedAt: number,
    signal: AbortSignal | undefined,
  ): Promise<Pass> {
    for (;;) {
      if (attempt === 1) {
        this.#refused += 1
        throw new ModelError(
          'CIRCUIT_OPEN',
          `${this.name}: not tried after ${this.#circuit.failuresInRow} failures in a row`,
        )
      }
      // A half-open circuit with all probes out has no time of its own: look again soon.
      const wait = this.#circuit.waitMs || Math.max(1, this.#settings['retry.first.ms'])
      if (this.#ageAfter(wait, startedAt) > this.#settings['retry.elapsed.ms']) {
        this.#failed += 1
        throw new ModelError('CIRCUIT_OPEN', `${this.name}: the circuit stayed open`)
      }
      await this.#wait(wait, signal)
      const pass = this.#circuit.enter()
      if (pass !== undefined) return pass
    }
  }

  async #backOff(
    failure: unknown,
    attempt: number,
    startedAt: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const bounds = {
      firstMs: this.#settings['retry.first.ms'],
      maxMs: this.#settings['retry.longest.ms'],
    }
    const wait = backoffMs(bounds, attempt, this.#outside.random)
    const isLast = attempt >= this.#settings['retry.attempts.max']
    if (isLast || this.#ageAfter(wait, startedAt) > this.#settings['retry.elapsed.ms']) {
      this.#failed += 1
      throw new ModelError(
        'RETRIES_EXHAUSTED',
        `${this.name}: attempt ${attempt}, the last one, failed: ${reasonOf(failure)}`,
        { cause: failure },
      )
    }
    this.#onRetry?.(failure, attempt, wait)
    await this.#wait(wait, signal)
  }

  #ageAfter(wait: number, startedAt: number): number {
    return this.#outside.clock.monotonic() + wait - startedAt
  }

  async #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    this.#waiting += 1
    try {
      await sleep(this.#outside.timers, ms, signal)
    } finally {
      this.#waiting -= 1
    }
    signal?.throwIfAborted()
  }
}
