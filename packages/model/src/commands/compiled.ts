/**
 * An aggregate made ready to run: commands by name, one `emit` for all decisions, and the fold that
 * the store loads by. Everything is looked up in maps, so that no name from outside can reach a
 * prototype.
 */
import { createHash } from 'node:crypto'
import { type Fold, type NewEvent, type RecordedEvent, StoreError } from '@millrace/store'
import type { Aggregate, DecideContext } from '../define/aggregate.ts'
import { notJson } from '../define/json.ts'
import type { Schemas } from '../define/schema.ts'
import { validated } from '../define/validate.ts'
import { ModelError, reasonOf } from '../errors.ts'

const SNAPSHOT_EVERY = 200
const HASH_CHARACTERS = 22

/** What a decision came to. */
export type Decision =
  | { readonly events: readonly Made[]; readonly rejected?: undefined }
  | { readonly events?: undefined; readonly rejected: { readonly reason: unknown } }

/** A validated event. */
export type Made = Pick<NewEvent, 'type' | 'data'>

type Decide = (data: unknown, state: unknown, emit: unknown, context: DecideContext) => unknown
type Evolve = (state: unknown, data: unknown, event: RecordedEvent) => unknown

/** A command of an aggregate. */
export type CompiledCommand = {
  readonly name: string
  /** The data as its schema gives it. Throws INVALID_COMMAND. */
  readonly validate: (data: unknown) => unknown
  /** Throws DECIDE_FAILED, INVALID_EVENT. */
  readonly decide: (data: unknown, state: unknown, context: DecideContext) => Decision
}

/** An aggregate that can be run. */
export type CompiledAggregate = {
  readonly name: string
  readonly fold: Fold<unknown>
  /** Whether states may be kept in memory: plain data, without personal fields in it. */
  readonly isKept: boolean
  readonly commands: ReadonlyMap<string, CompiledCommand>
}

/** Makes an aggregate ready. Throws BAD_DEFINITION. */
export function compileAggregate(aggregate: Aggregate): CompiledAggregate {
  const { name } = aggregate
  const schemas = new Map(Object.entries(aggregate.events as Schemas))
  const emitter = new Emitter(name, schemas)
  const commands = new Map<string, CompiledCommand>()
  for (const [command, schema] of Object.entries(aggregate.commands as Schemas)) {
    const decide = (aggregate.decide as Readonly<Record<string, Decide>>)[command]
    if (typeof decide !== 'function') {
      throw new ModelError('BAD_DEFINITION', `${name} has no decide for its command ${command}`)
    }
    const what = `${name}.${command}`
    commands.set(command, {
      name: command,
      validate: data => validated(schema, data, what, 'INVALID_COMMAND'),
      decide: (data, state, context) => emitter.decide(what, decide, data, state, context),
    })
  }
  const fold = foldOf(aggregate)
  const problem = fold.snapshot === undefined ? undefined : notJson(fold.initial())
  if (problem !== undefined) {
    throw new ModelError(
      'BAD_DEFINITION',
      `the state of ${name} is kept as JSON in snapshots, but begins with ${problem}; use plain data, or snapshotEvery: 0`,
    )
  }
  const isPersonal = Object.values(aggregate.options.on ?? {}).some(
    one => one.personal !== undefined,
  )
  return Object.freeze({ name, fold, commands, isKept: fold.snapshot !== undefined && !isPersonal })
}

/**
 * How the store folds an aggregate. A type of event that `evolve` does not know is of a newer
 * program: NEWER_SCHEMA, never passed over.
 */
export function foldOf(aggregate: Aggregate): Fold<unknown> {
  const { name, initial } = aggregate
  const every = aggregate.options.snapshotEvery ?? SNAPSHOT_EVERY
  const handlers = new Map(Object.entries(aggregate.evolve)) as unknown as Map<string, Evolve>
  for (const type of Object.keys(aggregate.events as Schemas)) {
    if (typeof handlers.get(type) !== 'function') {
      throw new ModelError('BAD_DEFINITION', `${name} has no evolve for its event ${type}`)
    }
  }
  const evolve = (state: unknown, event: RecordedEvent): unknown => {
    const handler = handlers.get(event.type)
    if (handler === undefined) {
      throw new StoreError('NEWER_SCHEMA', `${placeOf(name, event)} is of a type unknown here`)
    }
    try {
      return handler(state, event.data, event)
    } catch (cause) {
      throw new ModelError('EVOLVE_FAILED', `${placeOf(name, event)}: ${reasonOf(cause)}`, {
        cause,
      })
    }
  }
  if (every === 0) return { initial, evolve }
  return { initial, evolve, snapshot: { name, hash: stateHashOf(aggregate), every } }
}

/**
 * Names the code that makes the state: the sources of `initial`, `evolve` and the upcasters. What
 * they call is not seen; a change there is told by raising `snapshotVersion`.
 */
export function stateHashOf(aggregate: Aggregate): string {
  const hash = createHash('sha256')
  const add = (...parts: readonly unknown[]): void => {
    for (const part of parts) hash.update(`${String(part)}\0`)
  }
  add(aggregate.name, aggregate.options.snapshotVersion ?? 0, aggregate.initial)
  for (const type of Object.keys(aggregate.evolve).sort()) {
    const upcast = aggregate.options.on?.[type]?.upcast ?? []
    add(type, aggregate.evolve[type], upcast.length, ...upcast)
  }
  return hash.digest('base64url').slice(0, HASH_CHARACTERS)
}

const placeOf = (name: string, event: RecordedEvent): string =>
  `${name} ${event.stream}, version ${event.version} (${event.type})`

/**
 * The `emit` functions of an aggregate. Each validates its event and writes it down for the decision
 * that is being made (decisions are synchronous), so that one made by hand is told from one that is
 * validated already.
 */
class Emitter {
  readonly #name: string
  readonly #schemas: ReadonlyMap<string, Schemas[string]>
  readonly #emit: Readonly<Record<string, (data: unknown) => Made>>
  #made: Made[] = []

  constructor(name: string, schemas: ReadonlyMap<string, Schemas[string]>) {
    this.#name = name
    this.#schemas = schemas
    const emit: Record<string, (data: unknown) => Made> = {}
    for (const [type, schema] of schemas) {
      const what = `${name}.${type}`
      emit[type] = data => {
        const made = { type, data: validated(schema, data, what, 'INVALID_EVENT') } as Made
        this.#made.push(made)
        return made
      }
    }
    this.#emit = Object.freeze(emit)
  }

  decide(
    what: string,
    decide: Decide,
    data: unknown,
    state: unknown,
    context: DecideContext,
  ): Decision {
    this.#made = []
    let result: unknown
    try {
      result = decide(data, state, this.#emit, context)
    } catch (cause) {
      if (cause instanceof ModelError && cause.code === 'INVALID_EVENT') throw cause
      throw new ModelError('DECIDE_FAILED', `${what}: ${reasonOf(cause)}`, { cause })
    }
    if (Array.isArray(result)) return { events: result.map((one, i) => this.#event(what, one, i)) }
    if (isRejection(result)) return { rejected: { reason: result.rejected } }
    return { events: [this.#event(what, result, 0)] }
  }

  #event(what: string, value: unknown, at: number): Made {
    // Mostly they are returned in the order in which they were made.
    if (this.#made[at] === value && value !== undefined) return value as Made
    if (this.#made.includes(value as Made)) return value as Made
    const { type, data } = (
      typeof value === 'object' && value !== null ? value : {}
    ) as Partial<Made>
    const schema = typeof type === 'string' ? this.#schemas.get(type) : undefined
    if (type === undefined || schema === undefined) {
      throw new ModelError(
        'DECIDE_FAILED',
        `${what} decided neither events of ${this.#name} nor a rejection, but ${shapeOf(value)}`,
      )
    }
    const valid = validated(schema, data, `${this.#name}.${type}`, 'INVALID_EVENT')
    return { type, data: valid as Made['data'] }
  }
}

const isRejection = (value: unknown): value is { readonly rejected: unknown } =>
  typeof value === 'object' && value !== null && 'rejected' in value

const shapeOf = (value: unknown): string => {
  if (value instanceof Promise) return 'a promise: decisions are synchronous'
  if (typeof value !== 'object' || value === null) return String(value)
  return 'type' in value ? `an event of type ${String(value.type)}` : 'an object without a type'
}
