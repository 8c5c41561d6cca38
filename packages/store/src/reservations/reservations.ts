/**
 * Unique values: an e-mail address, a name, a seat belongs to one owner at a time.
 *
 * Each value is a stream of an ordinary category, under a hash of scope and value; whoever appends
 * first to what both have read has it (`expectedVersion`). So it is as safe as the store, on any
 * number of nodes, and costs one append.
 *
 *     free ─reserve─► reserved until a time ─confirm─► confirmed
 *       ◄──────────── release, or the time is over        │
 *       ◄──────────── release ────────────────────────────┘
 *
 * The way of use: reserve for a while, do what needs the value, confirm; a program that dies in
 * between holds the value for that while only. Every call may be repeated by its owner.
 *
 * Neither value nor scope is written to the log. A hash of a value that can be guessed can be found by
 * guessing: give a `secret` where values are personal. An owner is an id, not a name.
 */
import { createHash, createHmac } from 'node:crypto'
import { StoreError } from '../errors.ts'
import type { CategoryOptions } from '../options.ts'
import type { EventStore, Fold, Json, NewEvent, StreamRef } from '../port.ts'

/** A value within its scope, and who wants it. */
export type ReservationOf = {
  /** A category of its own; see {@link reservationCategory}. */
  readonly category: string
  readonly tenant?: string
  /** What it is unique among, such as "user.mail". */
  readonly scope: string
  /** Exactly as it is compared; bring it to one form before (case, spaces). */
  readonly value: string
  readonly owner: string
}

/** How reservations are made. */
export type ReservationOptions = {
  /** Under which values are hashed; the same for ever and on all nodes. */
  readonly secret?: string | Buffer
  /** Ms since the epoch. Default: the system's clock. */
  readonly now?: () => number
}

/** Who has a value. */
export type Holder = {
  readonly owner: string
  /** Until when it is reserved, ms since the epoch; null: confirmed, without end. */
  readonly until: number | null
}

/** The value is the owner's, or somebody else's; null: nobody's. */
export type ReservationResult =
  | { readonly ok: true; readonly until: number | null }
  | { readonly ok: false; readonly holder: Holder | null }

/** Longest reservation, in ms: 30 days. */
export const RESERVATION_MS_MAX: number = 30 * 86_400_000
const TEXT_LENGTH_MAX = 1024
/** Attempts of one call that keeps losing races. */
const ATTEMPTS_MAX = 16

type State = Holder | null

const FOLD: Fold<State> = {
  initial: () => null,
  evolve: (state, { type, data }) => {
    const { owner, until } = (data ?? {}) as { owner?: string; until?: number }
    if (type === 'Released') return null
    if (type === 'Reserved') return { owner: String(owner), until: Number(until) }
    if (type === 'Confirmed') return { owner: String(owner), until: null }
    return state
  },
  snapshot: { name: 'reservation', hash: 'v1' },
}

/** The options of a category for reservations. */
export function reservationCategory(): CategoryOptions {
  return { closed: true, events: { Reserved: {}, Confirmed: {}, Released: {} } }
}

/**
 * Reserves a value for a while. Who has it already keeps it, with the longer time; who has confirmed
 * it keeps it for good.
 *
 * @param forMs 1 to {@link RESERVATION_MS_MAX}
 * @throws StoreError BAD_ARGUMENT, STALE_CONDITION, whatever an append throws
 */
export function reserve(
  store: EventStore,
  of: ReservationOf,
  forMs: number,
  options: ReservationOptions = {},
): Promise<ReservationResult> {
  if (!Number.isSafeInteger(forMs) || forMs < 1 || forMs > RESERVATION_MS_MAX) {
    throw bad(`forMs must be a whole number from 1 to ${RESERVATION_MS_MAX}, not ${forMs}`)
  }
  return change(store, of, options, (held, now) => {
    const until = now + forMs
    if (held !== null && held.owner !== of.owner && !isOver(held, now)) return refused(held)
    const mine = held?.owner === of.owner ? held : null
    if (mine !== null && (mine.until === null || mine.until >= until)) return granted(mine.until)
    return { event: event('Reserved', { owner: of.owner, until }), result: granted(until) }
  })
}

/**
 * Makes a reserved value the owner's for good. A reservation whose time is over still counts as long
 * as nobody else has taken the value.
 *
 * @throws StoreError as {@link reserve}
 */
export function confirm(
  store: EventStore,
  of: ReservationOf,
  options: ReservationOptions = {},
): Promise<ReservationResult> {
  return change(store, of, options, held => {
    if (held?.owner !== of.owner) return refused(held)
    if (held.until === null) return granted(null)
    return { event: event('Confirmed', { owner: of.owner }), result: granted(null) }
  })
}

/**
 * Gives a value back, reserved or confirmed. What the owner does not have needs no giving back; what
 * somebody else has is not touched and not ok.
 *
 * @throws StoreError as {@link reserve}
 */
export function release(
  store: EventStore,
  of: ReservationOf,
  options: ReservationOptions = {},
): Promise<ReservationResult> {
  return change(store, of, options, (held, now) => {
    if (held === null) return granted(null)
    if (held.owner !== of.owner) return isOver(held, now) ? granted(null) : refused(held)
    return { event: event('Released', { owner: of.owner }), result: granted(null) }
  })
}

/** Who has a value now; null: nobody. */
export async function holderOf(
  store: EventStore,
  of: Omit<ReservationOf, 'owner'>,
  options: ReservationOptions = {},
): Promise<Holder | null> {
  const stream = streamOf(of, options)
  await store.catchUp([of.category])
  const { state } = await store.aggregate(stream, FOLD)
  return state !== null && isOver(state, nowOf(options)) ? null : state
}

type Decision = ReservationResult | { readonly event: NewEvent; readonly result: ReservationResult }

async function change(
  store: EventStore,
  of: ReservationOf,
  options: ReservationOptions,
  decide: (held: State, now: number) => Decision,
): Promise<ReservationResult> {
  checkText(of.owner, 'owner')
  const stream = streamOf(of, options)
  // What other nodes wrote a moment ago counts, also for an answer that needs no append.
  await store.catchUp([of.category])
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const { state, version } = await store.aggregate(stream, FOLD)
    const decision = decide(state, nowOf(options))
    if (!('event' in decision)) return decision
    const appended = await store.append(stream, [decision.event], { expectedVersion: version })
    if (appended.ok) return decision.result
  }
  throw new StoreError(
    'STALE_CONDITION',
    `a value of scope ${JSON.stringify(of.scope)} changed hands ${ATTEMPTS_MAX} times meanwhile`,
  )
}

function streamOf(
  { category, tenant, scope, value }: Omit<ReservationOf, 'owner'>,
  { secret }: ReservationOptions,
): StreamRef {
  checkText(scope, 'scope')
  checkText(value, 'value')
  const hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret)
  const id = hash.update(JSON.stringify([scope, value])).digest('base64url')
  return { category, id, ...(tenant === undefined ? {} : { tenant }) }
}

const isOver = ({ until }: Holder, now: number): boolean => until !== null && until <= now
const nowOf = ({ now }: ReservationOptions): number => (now === undefined ? Date.now() : now())
const event = (type: string, data: Json): NewEvent => ({ type, data })
const granted = (until: number | null): ReservationResult => ({ ok: true, until })
const refused = (holder: Holder | null): ReservationResult => ({ ok: false, holder })
const bad = (text: string): StoreError => new StoreError('BAD_ARGUMENT', text)

function checkText(text: string, field: string): void {
  if (typeof text === 'string' && text !== '' && text.length <= TEXT_LENGTH_MAX) return
  throw bad(`${field} must be a text of 1 to ${TEXT_LENGTH_MAX} characters`)
}
