/**
 * One command at a time for each stream, within this process. It spares writers of one node the
 * races among themselves; those between nodes are judged by the store's expected version, which is
 * what correctness rests on.
 */
import { ModelError } from '../errors.ts'

type Waiter = () => void

export class Lanes {
  readonly #waitingMax: number
  /** Streams that have a command under way, with those that wait for it, first come first. */
  readonly #lanes = new Map<string, Waiter[]>()
  #waiting = 0

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax
  }

  /** Streams that have a command under way. */
  get running(): number {
    return this.#lanes.size
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Runs `work` when its turn comes. Throws OVERLOADED when too many wait. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(key)
    if (lane === undefined) this.#lanes.set(key, [])
    else await this.#turn(lane)
    try {
      return await work()
    } finally {
      this.#leave(key)
    }
  }

  #turn(lane: Waiter[]): Promise<void> {
    if (this.#waiting >= this.#waitingMax) {
      throw new ModelError(
        'OVERLOADED',
        `${this.#waiting} commands wait for others of their stream (command.waiting.max)`,
      )
    }
    this.#waiting += 1
    return new Promise(resolve => lane.push(resolve))
  }

  #leave(key: string): void {
    const next = this.#lanes.get(key)?.shift()
    if (next === undefined) {
      this.#lanes.delete(key)
      return
    }
    this.#waiting -= 1
    next()
  }
}
