/** The way in for commands of a program: open until the application is closed. */
import type { CommandRunner, CommandStatus } from '../commands/command-runner.ts'
import type { CommandBus, CommandMessage, Outcome } from '../context.ts'
import { ModelError } from '../errors.ts'

export class Gate implements CommandBus {
  readonly #runner: CommandRunner
  #underWay = 0
  #closed = false
  #idle: (() => void) | undefined

  constructor(runner: CommandRunner) {
    this.#runner = runner
  }

  get status(): CommandStatus {
    return this.#runner.status
  }

  async run(message: CommandMessage): Promise<Outcome<unknown>> {
    if (this.#closed) throw new ModelError('APPLICATION_CLOSED')
    this.#underWay += 1
    try {
      return await this.#runner.run(message)
    } finally {
      this.#underWay -= 1
      if (this.#underWay === 0) this.#idle?.()
    }
  }

  /** Refuses commands from now on; resolves when those under way are done. */
  close(): Promise<void> {
    this.#closed = true
    if (this.#underWay === 0) return Promise.resolve()
    return new Promise(resolve => {
      this.#idle = resolve
    })
  }
}
