// One random log, looked at from all sides: the fold says what the naive rule says, record by
// record; a fold that was stopped and taken up anywhere says the same; readers of any fetch size,
// restarted anywhere, are given the same events; and what was said of an append is never taken back.
import { isDeepStrictEqual } from 'node:util'
import { Prng } from '@millrace/engine/simulation'
import {
  decodeBucket,
  decodeStream,
  encodeBucket,
  encodeStream,
} from '../../src/on-log/index/state-codec.ts'
import {
  type BucketFold,
  decidedOffset,
  EMPTY_STREAM,
  emptyBucket,
  type Facts,
  foldRecord,
  type StreamFold,
  type StreamStates,
  type Verdict,
} from '../../src/rules.ts'
import { belongsHere, type Said } from './naive.ts'
import { type RandomLog, randomLog } from './random-log.ts'

/** A fold's whole state. */
export type FoldState = { readonly bucket: BucketFold; readonly streams: Map<string, StreamFold> }

/** Records from which on a log's state is copied rarely, because it is large. */
const LONG = 600

/** Restarts of one reader. */
const DEATHS_MAX = 5

/** What is under test; canaries put something broken in its place. */
export type Subject = {
  readonly fold: typeof foldRecord
  readonly decided: typeof decidedOffset
  /** What comes back from where a fold was kept. */
  readonly restart: (state: FoldState) => FoldState
}

export const SUBJECT: Subject = {
  fold: foldRecord,
  decided: decidedOffset,
  restart: throughBytes,
}

/** As the index keeps it over a restart. */
function throughBytes({ bucket, streams }: FoldState): FoldState {
  const kept = decodeBucket(encodeBucket({ topicId: '', fold: bucket, held: new Map() }))
  if (kept === null) throw new Disagreement('a bucket cannot be read back')
  const read = new Map<string, StreamFold>()
  for (const [stream, state] of streams) {
    read.set(stream, decodeStream(encodeStream(state, { first: 0, bytes: 0 })).state)
  }
  return { bucket: kept.fold, streams: read }
}

/** Thrown with what is wrong. */
export class Disagreement extends Error {
  override readonly name = 'Disagreement'
}

/** What a checked log was made of; for the test that the generator reaches everything. */
export type LogReport = {
  readonly profile: string
  readonly records: number
  readonly outcomes: readonly string[]
}

/** Checks the log of a seed. Throws a {@link Disagreement}. */
export function checkSeed(seed: number, subject: Subject = SUBJECT): LogReport {
  const log = randomLog(seed)
  const prng = new Prng(seed + 1e9)
  agree(log, subject, () => false)
  const cuts = log.facts.length < LONG ? 0.06 : 0.002
  const state = agree(log, subject, () => prng.chance(cuts))
  agreeOnStreams(log, state)
  neverTakenBack(log)
  for (let reader = 0; reader < 2; reader += 1) deliver(log, subject, prng)
  const outcomes = log.said.flat().map(said => said.what)
  return { profile: log.profile, records: log.facts.length, outcomes }
}

function stop(what: string, offset: number, got: unknown, wanted: unknown): never {
  throw new Disagreement(
    `offset ${offset}, ${what}: ${JSON.stringify(got)} and not ${JSON.stringify(wanted)}`,
  )
}

function same(what: string, offset: number, got: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(got, wanted)) stop(what, offset, got, wanted)
}

const emptyState = (): FoldState => ({ bucket: emptyBucket(), streams: new Map() })

const statesOf = (streams: Map<string, StreamFold>): StreamStates => ({
  get: stream => streams.get(stream) ?? EMPTY_STREAM,
  set: (stream, state) => void streams.set(stream, state),
  belongs: belongsHere,
})

/** A verdict as the naive rule would say it. */
const plain = (verdict: Verdict): readonly unknown[] =>
  verdict.kind === 'accepted'
    ? ['accepted', verdict.records.map(record => record.offset)]
    : [verdict.reason, verdict.offsets, verdict.stream, verdict.appendId]

function plainSaid({ what, records }: Said): readonly unknown[] {
  const offsets = records.map(record => record.offset)
  const first = records[0]
  return what === 'accepted' ? [what, offsets] : [what, offsets, first?.stream, first?.appendId]
}

/** Folds the log, record by record beside the naive rule; the state is put away and taken up at cuts. */
function agree(
  { facts, said, decided }: RandomLog,
  subject: Subject,
  cut: () => boolean,
): FoldState {
  let state = emptyState()
  for (const [i, record] of facts.entries()) {
    if (cut()) state = subject.restart(state)
    const verdicts: Verdict[] = []
    subject.fold(state.bucket, statesOf(state.streams), record, verdicts)
    const wanted = said[i] ?? []
    if (verdicts.length > 0 || wanted.length > 0) {
      same('verdicts', record.offset, verdicts.map(plain), wanted.map(plainSaid))
    }
    const below = subject.decided(state.bucket)
    if (below !== decided[i]) stop('decided offset', record.offset, below, decided[i])
  }
  return state
}

/** What is kept of streams and of the bucket is what the lists of all that happened say. */
function agreeOnStreams({ facts, streams, naive, said }: RandomLog, state: FoldState): void {
  const end = facts.at(-1)?.offset ?? -1
  for (const stream of streams) {
    const { version, commands, cancels } = state.streams.get(stream) ?? EMPTY_STREAM
    const living = naive.living(stream).map(({ appendId, claim }) => ({ appendId, claim }))
    const known = naive.commands(stream).map(append => {
      const [first] = append
      return [first.commandId, first.version, append.at(-1)?.offset]
    })
    const kept = commands.map(done => [done.commandId, done.firstVersion, done.lastOffset])
    const versions = naive.accepted
      .filter(([first]) => first.stream === stream)
      .flatMap(append => append.map(event => event.version))
    const counted = versions.map((_, i) => i + 1)
    same(`version of ${stream}`, end, version, naive.version(stream))
    same(`versions of ${stream}`, end, versions, counted)
    same(`commands of ${stream}`, end, kept, known)
    same(`cancels of ${stream}`, end, cancels, living)
  }
  const { bucket } = state
  const events = naive.events()
  const voided = said.flat().flatMap(({ what, records }) => (what === 'accepted' ? [] : records))
  const foreign = facts.filter(({ kind }) => kind === 'foreign' || kind === 'newer')
  const misplaced = new Set(naive.misplaced)
  const clock = events.reduce((max, event) => Math.max(max, event.time), -1)
  const stamp = facts.reduce((max, each) => {
    if (each.kind !== 'event' || each.index > 0 || misplaced.has(each)) return max
    return Math.max(max, each.stamp ?? each.time * 1000)
  }, 0)
  same(
    'counts',
    end,
    [
      ...[bucket.events, bucket.voided, bucket.foreign, bucket.clock, bucket.stamp],
      ...[bucket.misplaced, bucket.identity ?? undefined],
    ],
    [
      ...[events.length, voided.length, foreign.length, clock, stamp],
      ...[misplaced.size, naive.identity()],
    ],
  )
}

/**
 * An append that was void never counts later, and none counts twice. An append is id and claim: what
 * comes with another content under the same ones is not looked at. A stream remembers so many
 * cancelled ones and no more; nor is what was pushed out.
 */
function neverTakenBack({ said, naive, lied }: RandomLog): void {
  const forgotten = new Set(naive.forgotten.map(({ stream, appendId }) => `${stream} ${appendId}`))
  const decided = new Map<string, string>()
  for (const { what, records } of said.flat()) {
    const [first] = records
    if (first === undefined || what === 'copy') continue
    const name = `${first.stream} ${first.appendId}`
    if (forgotten.has(name) || lied.has(name)) continue
    const append = `${name} ${first.version - first.index}`
    const before = decided.get(append)
    if (what === 'accepted' && before !== undefined) stop(append, first.offset, what, before)
    if (before === undefined) decided.set(append, what)
  }
}

/**
 * A reader takes fetches of any size, hands on what is decided in order of offset, and keeps one
 * offset. It dies at any moment and starts again from some kept state at or before that offset.
 */
function deliver({ facts, naive, decided }: RandomLog, subject: Subject, prng: Prng): void {
  const end = decided.at(-1) ?? 0
  const wanted = naive.events().map(event => event.offset)
  const all = wanted.filter(offset => offset < end).sort((a, b) => a - b)
  const fetchMax = prng.pick([1, 3, 10, 1000])
  const delivered: number[] = []
  const kept: FoldState[] = [emptyState()]
  let checkpoint = 0
  let state = emptyState()
  let waiting: number[] = []
  let next = 0
  let deaths = 0
  while (next < facts.length) {
    const fetched = facts.slice(next, next + prng.between(1, fetchMax))
    next += fetched.length
    waiting.push(...foldAll(subject, state, fetched))
    const below = subject.decided(state.bucket)
    const ready = waiting.filter(offset => offset < below && offset >= checkpoint)
    waiting = waiting.filter(offset => offset >= below)
    delivered.push(...ready.sort((a, b) => a - b))
    checkpoint = Math.max(checkpoint, below)
    if (prng.chance(facts.length < LONG ? 0.2 : 0.001)) kept.push(subject.restart(state))
    if (deaths === DEATHS_MAX || !prng.chance(0.15)) continue
    deaths += 1
    const usable = kept.filter(({ bucket }) => bucket.position <= checkpoint)
    state = subject.restart(prng.pick(usable))
    const from = facts.findIndex(record => record.offset >= state.bucket.position)
    next = from < 0 ? facts.length : from
    waiting = []
  }
  if (!isDeepStrictEqual(delivered, all)) stop('delivered', end, delivered, all)
}

function foldAll(subject: Subject, state: FoldState, facts: readonly Facts[]): number[] {
  const verdicts: Verdict[] = []
  for (const record of facts) subject.fold(state.bucket, statesOf(state.streams), record, verdicts)
  return verdicts.flatMap(verdict =>
    verdict.kind === 'accepted' ? verdict.records.map(record => record.offset) : [],
  )
}
