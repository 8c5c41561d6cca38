/**
 * Whether what the writers and readers of one stream were told can be explained by one order of
 * their calls, each taking effect at one moment between its call and its answer (Herlihy and Wing:
 * Linearizability, 1990). Calls whose outcome is unknown took effect once, at any later moment, or
 * never.
 *
 * In general the search for such an order is exponential. Here it is not, because a stream's
 * versions tell the order. The content of the stream at the end says which appends took effect, and
 * from which version to which: their order is given. Every other answer names a state, a version
 * between two appends, and stands somewhere between them; among themselves these commute. So each
 * call has a version before it (`low`) and after it (`high`; equal for a call that changed nothing),
 * and the given order is an explanation if and only if it agrees with real time:
 *
 *     x was answered before y was called  =>  high(x) <= low(y)
 *
 * Only if: x stands before y, and versions do not fall. If: put appends in order of version, and the
 * others behind the append that made their version, in order of call; whatever preceded another in
 * real time does so here. Some answers leave the state open: a repeated command is answered in any
 * state from its first result on, a lost append in any that breaks its expectation from the version
 * on that it was told. They are given the lowest state that they can have, which binds the others
 * least. Hence the check is exact, and takes n log n steps.
 */
import type { ExpectedVersion } from '@millrace/store'

/** An append as its caller saw it. Times are of one clock over all callers; only order counts. */
export type AppendOperation = {
  readonly kind: 'append'
  /** Which store it was asked of. */
  readonly process: string
  readonly call: number
  /** When it was answered. An unknown outcome may come about after it. */
  readonly return: number
  /** Same for calls that repeat one command: they take effect once together. */
  readonly command: string
  readonly expected: ExpectedVersion
  /** Names of its events, in no other command's. */
  readonly events: readonly string[]
  readonly outcome:
    | {
        readonly kind: 'appended'
        readonly firstVersion: number
        readonly version: number
        readonly duplicate: boolean
      }
    /** The stream's version was, or had passed, this one. */
    | { readonly kind: 'conflict'; readonly version: number }
    /** An error that says that nothing was appended. */
    | { readonly kind: 'refused' }
    | { readonly kind: 'unknown' }
}

/** A read of the whole stream. */
export type ReadOperation = {
  readonly kind: 'read'
  readonly process: string
  readonly call: number
  readonly return: number
  readonly events: readonly string[]
}

/** A call and its answer. */
export type Operation = AppendOperation | ReadOperation

/** All calls of one stream, and its events in order of version when all was over. */
export type StreamHistory = {
  readonly operations: readonly Operation[]
  readonly content: readonly string[]
}

/** What is promised beside linearizable appends. */
export type LinearizabilityOptions = {
  /**
   * `all` (the default): a read shows whatever was acknowledged before it. `own`: what its own
   * process was told before; it may lag behind other processes.
   */
  readonly reads?: 'all' | 'own'
}

/** Versions before and after an append that took effect. */
type Effect = { readonly low: number; readonly high: number }

/** Why a history is not linearizable; empty if it is. */
export function linearizabilityProblems(
  history: StreamHistory,
  options: LinearizabilityOptions = {},
): readonly string[] {
  const check = new Check(history, options)
  return check.run()
}

const describe = (operation: Operation): string => {
  const { process, call, return: end } = operation
  const what = operation.kind === 'append' ? `append ${operation.command}` : 'read'
  return `${what} of ${process} (${call} to ${end})`
}

/** Whether a writer's expectation holds at a version. */
function holds(expected: ExpectedVersion, version: number): boolean {
  if (expected === 'any') return true
  if (expected === 'exists') return version > 0
  return expected === 'absent' ? version === 0 : version === expected
}

class Check {
  readonly #history: StreamHistory
  readonly #readsOwn: boolean
  readonly #problems: string[] = []
  /** By command, those that took effect. */
  readonly #effects = new Map<string, Effect>()
  /** Which of the calls with a command it was that took effect. */
  readonly #doers = new Map<string, AppendOperation>()
  /** Versions between appends, rising. */
  #states: number[] = [0]

  constructor(history: StreamHistory, { reads = 'all' }: LinearizabilityOptions) {
    this.#history = history
    this.#readsOwn = reads === 'own'
  }

  run(): readonly string[] {
    this.#findEffects()
    this.#findDoers()
    if (this.#problems.length > 0) return this.#problems
    for (const operation of this.#history.operations) this.#matchesContent(operation)
    if (this.#problems.length > 0) return this.#problems
    this.#agreesWithTime()
    return this.#problems
  }

  /** Cuts the content into appends: whole, in order, each once, none that nobody asked for. */
  #findEffects(): void {
    const { operations, content } = this.#history
    const owners = new Map<string, AppendOperation>()
    for (const operation of operations) {
      if (operation.kind !== 'append') continue
      for (const event of operation.events) owners.set(event, operation)
    }
    for (let low = 0; low < content.length; ) {
      const owner = owners.get(content[low] as string)
      if (owner === undefined) {
        this.#problems.push(`version ${low + 1}: ${content[low]} was appended by nobody`)
        return
      }
      const high = low + owner.events.length
      const there = content.slice(low, high)
      if (!sameList(there, owner.events)) {
        this.#problems.push(`version ${low + 1}: ${there} is not the whole ${describe(owner)}`)
        return
      }
      if (this.#effects.has(owner.command)) {
        this.#problems.push(`version ${low + 1}: ${describe(owner)} took effect twice`)
        return
      }
      this.#effects.set(owner.command, { low, high })
      this.#states.push(high)
      low = high
    }
  }

  /** The call that was told so; else the first whose outcome is unknown, since it is bound least. */
  #findDoers(): void {
    const appends = this.#history.operations.filter(operation => operation.kind === 'append')
    for (const [command, { low }] of this.#effects) {
      const calls = appends.filter(append => append.command === command)
      const told = calls.filter(({ outcome }) => outcome.kind === 'appended' && !outcome.duplicate)
      const unknown = calls.filter(
        ({ outcome, expected }) => outcome.kind === 'unknown' && holds(expected, low),
      )
      const doer = told[0] ?? unknown.sort((a, b) => a.call - b.call)[0]
      if (told.length > 1) this.#problems.push(`${command} was acknowledged twice as its first`)
      else if (doer === undefined) {
        this.#problems.push(`${command} took effect, and no call can have done that`)
      } else this.#doers.set(command, doer)
    }
  }

  /** What a call was told of the content is there. */
  #matchesContent(operation: Operation): void {
    const { content } = this.#history
    const wrong = (what: string) => this.#problems.push(`${describe(operation)} ${what}`)
    if (operation.kind === 'read') {
      const { events } = operation
      if (!sameList(events, content.slice(0, events.length))) wrong(`read ${events}`)
      else if (!this.#states.includes(events.length)) wrong('saw a part of an append')
      return
    }
    const { command, outcome, expected, events } = operation
    if (outcome.kind === 'conflict') {
      if (outcome.version > content.length) wrong(`lost against version ${outcome.version}`)
    } else if (outcome.kind === 'appended') {
      const { firstVersion, version, duplicate } = outcome
      if (events.length === 0) {
        if (!this.#states.includes(version)) wrong(`was told version ${version}, which never was`)
        else if (!holds(expected, version)) wrong(`was accepted at version ${version}`)
        return
      }
      const effect = this.#effects.get(command)
      if (effect?.low !== firstVersion - 1 || effect.high !== version) {
        wrong(`was told versions ${firstVersion} to ${version}, and its events are not there`)
      } else if (!duplicate && !holds(expected, effect.low)) {
        wrong(`was accepted at version ${effect.low}`)
      }
    }
  }

  /** Goes through calls and answers in order of time, with the highest version known so far. */
  #agreesWithTime(): void {
    const steps = this.#history.operations.flatMap(operation => [
      { at: operation.call, answer: false, operation },
      { at: operation.return, answer: true, operation },
    ])
    // Calls first: what is called when another is answered does not follow it.
    steps.sort((a, b) => a.at - b.at || Number(a.answer) - Number(b.answer))
    let known = 0
    const knownTo = new Map<string, number>()
    const highs = new Map<Operation, number>()
    for (const { answer, operation } of steps) {
      const { process } = operation
      if (answer) {
        known = Math.max(known, highs.get(operation) ?? 0)
        knownTo.set(process, Math.max(knownTo.get(process) ?? 0, toldVersion(operation)))
        continue
      }
      const lagging = this.#readsOwn && operation.kind === 'read'
      const floor = lagging ? (knownTo.get(process) ?? 0) : known
      const place = this.#placeOf(operation, floor)
      if (place === undefined) continue
      if (place.low < floor) {
        const what = `stands at version ${place.low}, and ${floor} was known before`
        this.#problems.push(`${describe(operation)} ${what}`)
      }
      if (operation.kind === 'read' || operation.outcome.kind !== 'unknown') {
        highs.set(operation, place.high)
      }
    }
  }

  /** The versions before and after a call; undefined when it says nothing about the stream. */
  #placeOf(operation: Operation, floor: number): Effect | undefined {
    if (operation.kind === 'read') return at(operation.events.length)
    const { command, outcome, expected, events } = operation
    const effect = this.#effects.get(command)
    switch (outcome.kind) {
      case 'appended':
        if (events.length === 0) return at(outcome.version)
        return outcome.duplicate ? at(Math.max(outcome.version, floor)) : effect
      case 'conflict': {
        const from = Math.max(outcome.version, floor)
        const state = this.#states.find(version => version >= from && !holds(expected, version))
        if (state !== undefined) return at(state)
        this.#problems.push(`${describe(operation)} lost, and its expectation held from ${from} on`)
        return undefined
      }
      case 'unknown':
        return this.#doers.get(command) === operation ? effect : undefined
      default:
        return undefined
    }
  }
}

/** The version that an answer names. */
function toldVersion(operation: Operation): number {
  if (operation.kind === 'read') return operation.events.length
  const { outcome } = operation
  return outcome.kind === 'appended' || outcome.kind === 'conflict' ? outcome.version : 0
}

const at = (version: number): Effect => ({ low: version, high: version })

const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i])
