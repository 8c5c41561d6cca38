// Writers of a simulated run: they append, read and repeat through whatever store instance there is,
// and write down what they asked and what they were told. Every event has a name of its own.

import type { AppendOperation, Operation } from '@millrace/conformance/store'
import type { Prng } from '@millrace/engine/simulation'
import type { Checkpoint, EventStore, ExpectedVersion } from '../../src/index.ts'
import { StoreError } from '../../src/index.ts'
import type { Condition, ConditionalCall } from './conditions.ts'
import type { Link } from './machine.ts'
import { CATEGORY, nameOf, streamOf } from './names.ts'

/** A store instance that is open. */
export type Instance = { readonly link: Link; readonly store: EventStore }

/** Errors of an append that say that it never takes effect. */
const REFUSED: ReadonlySet<string> = new Set([
  'OVERLOADED',
  'STALE_CONDITION',
  'APPEND_TOO_LARGE',
  'STREAM_ARCHIVED',
])

/** What a call was told; `lost`: that its condition is broken. */
type Told = { readonly outcome: AppendOperation['outcome']; readonly lost: boolean }
const UNKNOWN: Told = { outcome: { kind: 'unknown' }, lost: false }

const TAGS: readonly string[] = ['red', 'green', 'blue']

type Wish = Pick<AppendOperation, 'command' | 'expected' | 'events'> & {
  readonly stream: string
  /** How the store is told of it: without a name, as a command, or as an append of this id. */
  readonly identity: { readonly commandId?: string; readonly appendId?: string }
  /** Of all its events. */
  readonly tags: readonly string[]
  readonly condition: Condition | undefined
}

/** All calls by stream, in one time. */
export class Histories {
  readonly operations = new Map<string, Operation[]>()
  readonly conditional: ConditionalCall[] = []
  readonly #numbers = new Map<string, number>()
  #now = 0

  /** A moment after all before it. */
  tick(): number {
    this.#now += 1
    return this.#now
  }

  /** A number that no other append of the stream has; those of other streams have the same. */
  numberOf(stream: string): number {
    const number = (this.#numbers.get(stream) ?? 0) + 1
    this.#numbers.set(stream, number)
    return number
  }

  add(stream: string, operation: Operation): void {
    const operations = this.operations.get(stream) ?? []
    operations.push(operation)
    this.operations.set(stream, operations)
  }
}

/** One writer; it goes on over deaths and crashes until it has done its calls. */
export class HistoryWriter {
  left: number
  readonly #name: string
  readonly #prng: Prng
  readonly #histories: Histories
  readonly #streams: readonly string[]
  /** Versions as this writer saw them last. */
  readonly #versions = new Map<string, number>()
  /** Up to where it has read everything, as far as its conditions know. */
  #seen: Checkpoint | undefined
  /** Asked for, with an outcome that is unknown; may be repeated. */
  #open: { readonly wish: Wish; readonly of: Instance }[] = []
  #calls = 0

  constructor(
    name: string,
    prng: Prng,
    histories: Histories,
    streams: readonly string[],
    calls: number,
  ) {
    this.#name = name
    this.#prng = prng
    this.#histories = histories
    this.#streams = streams
    this.left = calls
  }

  /** Works until its calls are done or the instances are gone. */
  async work(instances: () => readonly Instance[], pause: () => Promise<void>): Promise<void> {
    while (this.left > 0) {
      const alive = instances().filter(({ link }) => !link.dead)
      if (alive.length > 0) {
        this.left -= 1
        await this.#step(this.#prng.pick(alive))
      }
      await pause()
    }
  }

  async #step(instance: Instance): Promise<void> {
    // Two instances that are given one append id at once may both take the append for their own.
    const again = this.#open.find(
      ({ wish, of }) => wish.identity.appendId === undefined || of === instance,
    )
    if (again !== undefined && this.#prng.chance(0.6)) {
      this.#open = this.#open.filter(open => open !== again)
      await this.#append(instance, again.wish)
    } else if (this.#prng.chance(0.06)) {
      await this.#archive(instance, this.#prng.pick(this.#streams))
    } else if (this.#prng.chance(0.2)) {
      await this.#read(instance, this.#prng.pick(this.#streams))
    } else {
      await this.#append(instance, this.#wish())
    }
  }

  #wish(): Wish {
    const prng = this.#prng
    const stream = prng.pick(this.#streams)
    this.#calls += 1
    const command = `${this.#name}.${this.#calls}`
    const version = this.#versions.get(stream) ?? 0
    const expected = prng.pick<ExpectedVersion>([
      'any',
      'any',
      'exists',
      'absent',
      version,
      version,
    ])
    // Without events it is the expectation that is asked about.
    const count = expected === 'any' ? prng.between(1, 3) : prng.pick([0, 1, 1, 2, 3])
    const tags = [...TAGS].filter(() => prng.chance(0.3))
    const after = this.#seen
    return {
      stream,
      command,
      tags,
      condition:
        after !== undefined && count > 0 && prng.chance(0.3)
          ? { tag: prng.pick(TAGS), after }
          : undefined,
      expected,
      events: Array.from({ length: count }, (_, i) => `${command}/${i}`),
      identity: prng.pick([
        {},
        { commandId: command },
        { appendId: `append ${this.#histories.numberOf(stream)}` },
      ]),
    }
  }

  async #append(instance: Instance, wish: Wish): Promise<void> {
    const { link, store } = instance
    const { stream, command, expected, events, identity, tags, condition } = wish
    const call = this.#histories.tick()
    const timeoutMs = this.#prng.pick([20, 1000, 30_000])
    const options = {
      expectedVersion: expected,
      timeoutMs,
      ...identity,
      ...(condition === undefined
        ? {}
        : { condition: { failIfMatch: [{ tags: [condition.tag] }], after: condition.after } }),
    }
    const asked = store.append(
      streamOf(stream),
      events.map(name => ({ type: 'Happened', data: { name }, tags })),
      options,
    )
    const told = (await Promise.race([this.#outcome(asked), link.died])) ?? UNKNOWN
    const { outcome } = told
    if (condition !== undefined) {
      const { lost } = told
      this.#histories.conditional.push({ stream, command, condition, lost })
    }
    this.#histories.add(stream, {
      kind: 'append',
      process: link.name,
      call,
      return: this.#histories.tick(),
      command,
      expected,
      events,
      outcome,
    })
    if (outcome.kind === 'appended' || outcome.kind === 'conflict') {
      this.#versions.set(stream, outcome.version)
    } else if (
      outcome.kind === 'unknown' &&
      Object.keys(identity).length > 0 &&
      events.length > 0
    ) {
      this.#open.push({ wish, of: instance })
    }
  }

  async #outcome(asked: ReturnType<EventStore['append']>): Promise<Told> {
    try {
      const answer = await asked
      // A broken condition says nothing about versions.
      if (!answer.ok && answer.conflict === 'condition') {
        return { outcome: { kind: 'refused' }, lost: true }
      }
      if (!answer.ok) return { outcome: { kind: 'conflict', version: answer.version }, lost: false }
      const { firstVersion, version, duplicate } = answer
      return { outcome: { kind: 'appended', firstVersion, version, duplicate }, lost: false }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      return REFUSED.has(error.code) ? { outcome: { kind: 'refused' }, lost: false } : UNKNOWN
    }
  }

  /** Archives a stream, or more often takes one out. Whether that succeeds is no matter. */
  async #archive({ link, store }: Instance, stream: string): Promise<void> {
    const done = store.archive(streamOf(stream), this.#prng.chance(0.3)).catch(error => {
      if (!(error instanceof StoreError)) throw error
    })
    await Promise.race([done, link.died])
  }

  async #read({ link, store }: Instance, stream: string): Promise<void> {
    const call = this.#histories.tick()
    const answer = await Promise.race([store.read(streamOf(stream)).all(), link.died])
    if (answer === undefined) return
    const { events, version } = answer
    if (events.length !== version) throw new Error(`read ${events.length} events of ${version}`)
    this.#versions.set(stream, version)
    this.#seen = (await Promise.race([store.now([CATEGORY]), link.died])) ?? this.#seen
    this.#histories.add(stream, {
      kind: 'read',
      process: link.name,
      call,
      return: this.#histories.tick(),
      events: events.map(nameOf),
    })
  }
}
