/**
 * The types of events of one category: what may be written, and how old data is brought to the
 * present.
 *
 * On write, data passes the schema of its type (any Standard Schema validator; it may fill in
 * defaults) and must then be JSON. On read, data of an older schema version goes through the
 * upcasters step by step, in rebuilds as well; what is newer than this program, or unknown in a
 * closed category, is an error and never skipped. Types that are not named pass as they are.
 *
 * All of it is synchronous and without state: one instance serves all buckets of its category.
 */
import { createHash } from 'node:crypto'
import { StoreError } from '../errors.ts'
import { checkTags, checkType } from '../names.ts'
import type { CategoryOptions, EventTypeOptions, PersonalFields } from '../options.ts'
import type { Json } from '../port.ts'
import { fieldPath, jsonProblem } from './json.ts'

/** Most personal fields of a type. */
export const PERSONAL_FIELDS_MAX = 64
/** Most upcasters of a type. */
export const UPCASTERS_MAX = 1000
/** Most problems of one event that its error lists. */
const ISSUES_SHOWN = 3

/** An event type as it is used: all optional parts in place. */
type Known = {
  readonly validate: ((value: unknown) => unknown) | undefined
  readonly upcast: readonly ((data: Json) => Json)[]
  readonly personal: PersonalFields | undefined
  readonly tags: ((data: Json) => readonly string[]) | undefined
}

/** The event types of a category. See the head of the file. */
export class EventTypes {
  readonly category: string
  readonly closed: boolean
  /** Whether any type has personal fields. */
  readonly hasPersonal: boolean
  readonly #types = new Map<string, Known>()
  readonly #hash: string

  /** Throws BAD_ARGUMENT that names category, type and what is wrong with it. */
  constructor(category: string, options: Pick<CategoryOptions, 'events' | 'closed'>) {
    this.category = category
    this.closed = options.closed ?? false
    for (const [i, [type, given]] of Object.entries(options.events ?? {}).entries()) {
      checkType(type, i)
      const problem = typeProblem(given)
      if (problem !== null) {
        throw new StoreError('BAD_ARGUMENT', `category ${category}, event type ${type}: ${problem}`)
      }
      this.#types.set(type, known(given))
    }
    if (this.closed && this.#types.size === 0) {
      throw new StoreError('BAD_ARGUMENT', `category ${category} is closed and names no event type`)
    }
    this.hasPersonal = [...this.#types.values()].some(type => type.personal !== undefined)
    this.#hash = hashOf(this.#types)
  }

  /** Changes when the source of any upcaster does; part of what makes a snapshot valid. */
  hash(): string {
    return this.#hash
  }

  /** The present schema version of a type, from 1; 1 for one that is not named. */
  version(type: string): number {
    return (this.#types.get(type)?.upcast.length ?? 0) + 1
  }

  /** The schema version of data that {@link upcast} gave. */
  presentVersion(type: string, fromVersion: number): number {
    const known = this.#types.get(type)
    return known === undefined ? fromVersion : known.upcast.length + 1
  }

  /** What of a type is personal. */
  personal(type: string): PersonalFields | undefined {
    return this.#types.get(type)?.personal
  }

  /**
   * The data as it is written: what the schema made of it, JSON.
   *
   * @throws StoreError INVALID_EVENT, names type and path; BAD_ARGUMENT if the schema is asynchronous
   */
  validate(type: string, data: unknown): Json {
    const known = this.#types.get(type)
    if (known === undefined && this.closed) {
      throw this.#invalid(type, 'the category is closed and does not name this type')
    }
    const value = known?.validate === undefined ? data : this.#judge(type, known.validate, data)
    const problem = jsonProblem(value)
    if (problem !== null) throw this.#invalid(type, problem)
    if (known?.personal !== undefined && !isObject(value)) {
      throw this.#invalid(type, 'data must be an object, because the type has personal fields')
    }
    return value as Json
  }

  /**
   * The data as the present schema version has it. The data given is not changed.
   *
   * @param fromVersion schema version that it was written with
   * @throws StoreError NEWER_SCHEMA, UPCAST_FAILED
   */
  upcast(type: string, fromVersion: number, data: Json): Json {
    const known = this.#types.get(type)
    if (known === undefined) {
      if (this.closed) {
        throw new StoreError('NEWER_SCHEMA', `${this.#name(type)} is not known to this program`)
      }
      return data
    }
    const present = known.upcast.length + 1
    if (fromVersion === present) return data
    if (fromVersion > present) {
      throw new StoreError(
        'NEWER_SCHEMA',
        `${this.#name(type)} was written with schema version ${fromVersion}, this program knows ${present}`,
      )
    }
    return this.#climb(type, known, fromVersion, data)
  }

  /**
   * The tags that the type's options give an event. They are computed without its personal fields:
   * tags stand in the log in clear and for ever.
   *
   * @throws StoreError INVALID_EVENT
   */
  tagsOf(type: string, data: Json): readonly string[] {
    const known = this.#types.get(type)
    if (known?.tags === undefined) return []
    const seen = known.personal === undefined ? data : without(data, known.personal.fields)
    try {
      const tags = known.tags(seen)
      checkTags(tags, 'its tags')
      return tags
    } catch (cause) {
      throw this.#invalid(type, `tags cannot be computed: ${messageOf(cause)}`, cause)
    }
  }

  #judge(type: string, validate: (value: unknown) => unknown, data: unknown): unknown {
    let result: unknown
    try {
      result = validate(data)
    } catch (cause) {
      throw this.#invalid(type, `its schema threw: ${messageOf(cause)}`, cause)
    }
    if (isThenable(result)) {
      // Nobody waits for it; its failure must not end the process.
      Promise.resolve(result).catch(() => undefined)
      throw new StoreError('BAD_ARGUMENT', `the schema of ${this.#name(type)} is asynchronous`)
    }
    if (!isObject(result)) throw this.#invalid(type, 'its schema gave no result')
    const { issues } = result
    if (issues === undefined) return result['value']
    throw this.#invalid(type, issuesText(Array.isArray(issues) ? issues : []))
  }

  #climb(type: string, known: Known, fromVersion: number, data: Json): Json {
    if (!Number.isInteger(fromVersion) || fromVersion < 1) {
      throw new StoreError(
        'UPCAST_FAILED',
        `${this.#name(type)} has no step from schema version ${fromVersion}; the first is 1`,
      )
    }
    let present: Json | undefined = data
    for (let version = fromVersion; version <= known.upcast.length; version++) {
      const failed = (why: string, options?: ErrorOptions): StoreError => {
        const step = `the step of ${this.#name(type)} from schema version ${version} to ${version + 1}`
        return new StoreError('UPCAST_FAILED', `${step} ${why}`, options)
      }
      try {
        present = known.upcast[version - 1]?.(present)
      } catch (cause) {
        throw failed(`threw: ${messageOf(cause)}`, { cause })
      }
      if (present === undefined) throw failed('returned nothing')
      if (isThenable(present)) {
        Promise.resolve(present).catch(() => undefined)
        throw failed('is asynchronous')
      }
    }
    return present
  }

  #invalid(type: string, why: string, cause?: unknown): StoreError {
    const options = cause === undefined ? undefined : { cause }
    return new StoreError('INVALID_EVENT', `${this.#name(type)}: ${why}`, options)
  }

  #name(type: string): string {
    return `event type ${JSON.stringify(type)} of category ${this.category}`
  }
}

const known = (given: EventTypeOptions): Known => ({
  // Called on its own object: some validators are classes.
  validate: given.schema && (value => given.schema?.['~standard'].validate(value)),
  upcast: given.upcast ?? [],
  personal: given.personal,
  tags: given.tags,
})

/** What is wrong with an event type's options; null if nothing. */
function typeProblem(given: EventTypeOptions): string | null {
  if (!isObject(given)) return 'its options are no object'
  const { schema, upcast, personal, tags } = given
  if (schema !== undefined) {
    const standard = schema['~standard']
    if (standard?.version !== 1 || typeof standard.validate !== 'function') {
      return 'schema is not a Standard Schema validator of version 1'
    }
  }
  if (upcast !== undefined) {
    const steps = Array.isArray(upcast) && upcast.every(step => typeof step === 'function')
    if (!steps || upcast.length > UPCASTERS_MAX) {
      return `upcast must be a list of at most ${UPCASTERS_MAX} functions`
    }
  }
  if (tags !== undefined && typeof tags !== 'function') return 'tags must be a function'
  return personal === undefined ? null : personalProblem(personal)
}

function personalProblem({ fields, subject }: PersonalFields): string | null {
  const names = Array.isArray(fields) ? fields : []
  if (names.length === 0 || names.length > PERSONAL_FIELDS_MAX) {
    return `personal.fields must name 1 to ${PERSONAL_FIELDS_MAX} fields`
  }
  if (names.some(name => typeof name !== 'string' || name === '' || name === '__proto__')) {
    return 'personal.fields must be names of fields'
  }
  if (new Set(names).size !== names.length) return 'personal.fields names a field twice'
  if (subject === undefined) return null
  if (typeof subject !== 'string' || subject === '') return 'personal.subject must name a field'
  return names.includes(subject)
    ? `personal.subject ${subject} is itself personal; its key could not be found again`
    : null
}

function hashOf(types: ReadonlyMap<string, Known>): string {
  const sources = [...types]
    .filter(([, { upcast }]) => upcast.length > 0)
    .map(([type, { upcast }]) => [type, upcast.map(step => step.toString())] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(sources)).digest('base64url').slice(0, 22)
}

function without(data: Json, fields: readonly string[]): Json {
  if (!isObject(data)) return data
  return Object.fromEntries(Object.entries(data).filter(([name]) => !fields.includes(name))) as Json
}

function issuesText(issues: readonly unknown[]): string {
  const shown = issues.slice(0, ISSUES_SHOWN).map(issueText)
  const more = issues.length - shown.length
  if (shown.length === 0) return 'its schema refuses the data'
  return shown.join('; ') + (more > 0 ? `; and ${more} more` : '')
}

function issueText(issue: unknown): string {
  if (!isObject(issue)) return `data: ${String(issue)}`
  const steps = Array.isArray(issue['path']) ? issue['path'] : []
  const keys = steps.map(step => (isObject(step) ? step['key'] : step) as PropertyKey)
  return `${keys.reduce<string>(fieldPath, 'data')}: ${String(issue['message'])}`
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isThenable = (value: unknown): boolean =>
  isObject(value) && typeof value['then'] === 'function'

const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause)
