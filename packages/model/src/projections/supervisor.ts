/**
 * Keeps a processor at work: rounds of preparing and running, and when one fails, a wait and the
 * next. It never gives up by itself; only what cannot mend itself (`isFinal`) ends it.
 */
import { type Backoff, backoffMs, type Outside, sleep } from '@millrace/base'
import { reasonOf } from '../errors.ts'

/** What a supervisor keeps at work. */
export type Supervised = {
  readonly outside: Outside
  readonly backoff: Backoff
  /** Plans a round. */
  readonly prepare: () => Promise<void>
  /** Runs until the signal fires, or fails; ends by itself when the plan has changed. */
  readonly run: (signal: AbortSignal) => Promise<void>
  /** Whether starting again would be of no use. */
  readonly isFinal: (error: unknown) => boolean
  readonly onRestart: (reason: string, restarts: number) => void
  /** It has ended: by itself, with a reason, or because it was asked to. */
  readonly onStop: (reason: string | undefined) => void
}

export class Supervisor {
  readonly #of: Supervised
  #state: 'starting' | 'running' | 'restarting' | 'stopped' = 'stopped'
  #reason: string | undefined
  #restarts = 0
  #failuresInRow = 0
  #isPlanOld = false
  #stop = new AbortController()
  #round = new AbortController()
  #starting: Promise<void> | undefined
  #loop: Promise<void> | undefined

  constructor(of: Supervised) {
    this.#of = of
  }

  get state(): 'starting' | 'running' | 'restarting' | 'stopped' {
    return this.#state
  }

  /** Why it restarts or has stopped. */
  get reason(): string | undefined {
    return this.#reason
  }

  get restarts(): number {
    return this.#restarts
  }

  /** Resolves when the first round is prepared; throws what it threw. Once it runs, does nothing. */
  async start(): Promise<void> {
    if (this.#state !== 'stopped') return
    this.#state = 'starting'
    this.#reason = undefined
    this.#failuresInRow = 0
    this.#stop = new AbortController()
    const { signal } = this.#stop
    const prepared = this.#prepare()
    this.#starting = prepared.catch(() => undefined)
    try {
      await prepared
    } catch (error) {
      this.#end(reasonOf(error))
      throw error
    }
    this.#loop = this.#rounds(signal)
  }

  /** Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#starting
    await this.#loop
  }

  /** Ends the round; the next one plans anew, at once. A plan that is being made counts as old. */
  again(): void {
    this.#isPlanOld = true
    this.#round.abort()
  }

  /** Something was done: failures before it are not in a row with those after it. */
  progressed(): void {
    this.#failuresInRow = 0
    this.#reason = undefined
  }

  #prepare(): Promise<void> {
    this.#isPlanOld = false
    return this.#of.prepare()
  }

  async #rounds(signal: AbortSignal): Promise<void> {
    let isPrepared = true
    while (!signal.aborted) {
      try {
        if (!isPrepared) await this.#prepare()
        isPrepared = false
        if (this.#isPlanOld) continue
        this.#round = new AbortController()
        this.#state = 'running'
        await this.#of.run(AbortSignal.any([signal, this.#round.signal]))
      } catch (error) {
        if (signal.aborted) break
        if (this.#of.isFinal(error)) return this.#end(reasonOf(error))
        await this.#backOff(reasonOf(error), signal)
      }
    }
    this.#end(undefined)
  }

  async #backOff(reason: string, signal: AbortSignal): Promise<void> {
    this.#state = 'restarting'
    this.#reason = reason
    this.#restarts += 1
    this.#failuresInRow += 1
    this.#of.onRestart(reason, this.#restarts)
    const { outside, backoff } = this.#of
    await sleep(outside.timers, backoffMs(backoff, this.#failuresInRow, outside.random), signal)
  }

  #end(reason: string | undefined): void {
    this.#state = 'stopped'
    this.#reason = reason
    this.#of.onStop(reason)
  }
}
