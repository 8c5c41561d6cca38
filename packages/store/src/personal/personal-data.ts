/**
 * Personal fields of events: sealed on write, opened on read.
 *
 * A sealed field is a text in the place of the field's value that says what it is:
 *
 *     millrace:sealed:v1:<key id>:<nonce, ciphertext and tag in base64url>
 *
 * Its plaintext is the JSON of the value. It opens only for the tenant, category, stream, type and
 * field that it was written for. A field of a subject that was forgotten reads as `ERASED`; one
 * whose key cannot be reached is KEY_UNAVAILABLE; one that was changed or moved is SEAL_BROKEN. None
 * is ever taken for another.
 *
 * The event's header `ce_personal` is the subject's hash (see `key-ids.ts`). Events without it are
 * not looked at. Reading goes by the marks in the data, not by the present options of the type, so a
 * field that was renamed by an upcaster, or is no longer called personal, still opens; so open
 * before upcasting.
 *
 * Both ways answer at once when the key is in memory.
 */
import type { Outside } from '@millrace/base'
import { StoreError } from '../errors.ts'
import type { PersonalFields } from '../options.ts'
import { ERASED, type Json } from '../port.ts'
import { decrypt, encrypt, Nonces } from './cipher.ts'
import { isKeyId } from './key-ids.ts'
import { unavailable } from './master-keys.ts'
import { chain, type Maybe } from './maybe.ts'
import type { SubjectKey, SubjectKeys } from './subject-keys.ts'

/** What a sealed field begins with. */
export const SEAL = 'millrace:sealed:v1:'

/** Where an event belongs. */
export type EventPlace = {
  readonly tenant: string
  readonly category: string
  readonly stream: string
  readonly type: string
}

/** An event's data as it is written. */
export type SealedData = {
  readonly data: Json
  /** For the header `ce_personal`; undefined: nothing in it is personal. */
  readonly personal: string | undefined
}

/** An event's data as it is read. */
export type OpenedData = {
  readonly data: Json
  /** Fields that read as `ERASED`; undefined: none. */
  readonly erased: readonly string[] | undefined
  /** Ids of the keys that opened the others; a state that was made of them is sealed with these. */
  readonly keys: readonly string[]
}

type Fields = Readonly<Record<string, Json | undefined>>
type Mark = { readonly field: string; readonly keyId: string; readonly sealed: Buffer }

/** Seals and opens the personal fields of events. */
export class PersonalData {
  readonly #keys: SubjectKeys | undefined
  readonly #nonces: Nonces

  /** @param keys undefined: the store was opened without a key provider */
  constructor(keys: SubjectKeys | undefined, random: Outside['random']) {
    this.#keys = keys
    this.#nonces = new Nonces(random)
  }

  /**
   * @param personal of the type
   * @param data has passed the schema of its type
   * @throws StoreError INVALID_EVENT, KEY_UNAVAILABLE
   */
  seal(place: EventPlace, personal: PersonalFields, data: Json): Maybe<SealedData> {
    const fields = fieldsOf(data)
    if (fields === null) return { data, personal: undefined }
    checkNoMarks(place, personal, fields)
    const present = personal.fields.filter(
      name => Object.hasOwn(fields, name) && fields[name] !== undefined,
    )
    if (present.length === 0) return { data, personal: undefined }
    const subject = subjectOf(place, personal, fields)
    const keys = this.#need()
    return chain(keys.hash(place.tenant, subject), hash =>
      chain(keys.sealing(hash), key => ({
        data: this.#sealed(place, present, fields, key),
        personal: hash,
      })),
    )
  }

  /**
   * @param data of an event that has the header `ce_personal`
   * @throws StoreError KEY_UNAVAILABLE, SEAL_BROKEN
   */
  open(place: EventPlace, data: Json): Maybe<OpenedData> {
    const fields = fieldsOf(data)
    const marks = fields === null ? [] : marksOf(place, fields)
    if (fields === null || marks.length === 0) return { data, erased: undefined, keys: [] }
    const keys = this.#need()
    const found = new Map<string, SubjectKey | null>()
    const awaited: Promise<unknown>[] = []
    for (const { keyId } of marks) {
      if (found.has(keyId)) continue
      found.set(keyId, null)
      const key = keys.opening(keyId)
      if (!(key instanceof Promise)) found.set(keyId, key)
      else awaited.push(key.then(late => found.set(keyId, late)))
    }
    const finish = (): OpenedData => opened(place, fields, marks, found)
    return awaited.length === 0 ? finish() : Promise.all(awaited).then(finish)
  }

  #sealed(
    place: EventPlace,
    names: readonly string[],
    fields: Fields,
    { id, secret }: SubjectKey,
  ): Json {
    // A copy by spreading keeps every name a field, also __proto__.
    const data: Record<string, Json | undefined> = { ...fields }
    for (const name of names) {
      const plain = JSON.stringify(fields[name])
      const sealed = encrypt(secret, plain, belongs(place, name), this.#nonces)
      data[name] = `${SEAL}${id}:${sealed.toString('base64url')}`
    }
    return data
  }

  #need(): SubjectKeys {
    if (this.#keys === undefined) throw unavailable('the store was opened without a key provider')
    return this.#keys
  }
}

/** The fields of an object; null for other data, which can have no personal fields. */
function fieldsOf(data: Json): Fields | null {
  return typeof data === 'object' && data !== null && !Array.isArray(data) ? (data as Fields) : null
}

/** A text of the application's that looks sealed could not be told from a sealed one when read. */
function checkNoMarks(
  place: EventPlace,
  { fields: personal }: PersonalFields,
  fields: Fields,
): void {
  for (const name of Object.keys(fields)) {
    const value = fields[name]
    if (typeof value !== 'string' || !value.startsWith(SEAL) || personal.includes(name)) continue
    throw new StoreError(
      'INVALID_EVENT',
      `event type ${JSON.stringify(place.type)} of category ${place.category}: data.${name} begins with "${SEAL}", which marks sealed fields`,
    )
  }
}

function subjectOf(place: EventPlace, personal: PersonalFields, fields: Fields): string {
  if (personal.subject === undefined) return place.stream
  const subject = fields[personal.subject]
  if (typeof subject === 'string' && subject !== '') return subject
  if (typeof subject === 'number') return String(subject)
  throw new StoreError(
    'INVALID_EVENT',
    `event type ${JSON.stringify(place.type)} of category ${place.category}: data.${personal.subject} must name the subject of its personal fields, it is ${JSON.stringify(subject)}`,
  )
}

function marksOf(place: EventPlace, fields: Fields): readonly Mark[] {
  const marks: Mark[] = []
  for (const field of Object.keys(fields)) {
    const value = fields[field]
    if (typeof value !== 'string' || !value.startsWith(SEAL)) continue
    const [keyId, sealed, ...rest] = value.slice(SEAL.length).split(':')
    if (keyId === undefined || sealed === undefined || rest.length > 0 || !isKeyId(keyId)) {
      throw broken(place, field)
    }
    marks.push({ field, keyId, sealed: Buffer.from(sealed, 'base64url') })
  }
  return marks
}

function opened(
  place: EventPlace,
  fields: Fields,
  marks: readonly Mark[],
  keys: ReadonlyMap<string, SubjectKey | null>,
): OpenedData {
  const data: Record<string, Json | undefined> = { ...fields }
  const erased: string[] = []
  const used: string[] = []
  for (const { field, keyId, sealed } of marks) {
    const key = keys.get(keyId)
    if (key === null || key === undefined) {
      erased.push(field)
      data[field] = ERASED
      continue
    }
    const plain = decrypt(key.secret, sealed, belongs(place, field))
    if (plain === null) throw broken(place, field)
    if (!used.includes(keyId)) used.push(keyId)
    data[field] = JSON.parse(plain.toString()) as Json
  }
  return { data, erased: erased.length === 0 ? undefined : erased, keys: used }
}

const belongs = ({ tenant, category, stream, type }: EventPlace, field: string): string =>
  JSON.stringify(['millrace field v1', tenant, category, stream, type, field])

function broken({ category, stream, type }: EventPlace, field: string): StoreError {
  const where = `stream ${JSON.stringify(stream)} of category ${category}`
  return new StoreError('SEAL_BROKEN', `field ${field} of ${type} in ${where} does not open`)
}
