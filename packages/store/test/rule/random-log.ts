// Random logs of one bucket: several writers, honest and not, whose records interleave, come twice,
// late, in pieces or never. Each record is shown to the naive rule at once: what it says is what the
// fold is compared with, and what the writers claim by.

import { Prng } from '@millrace/engine/simulation'
import type { EventQuery } from '../../src/index.ts'
import {
  type ConditionClaim,
  type EventFacts,
  type Facts,
  RULE_VERSION,
  TAGGED_MAX,
} from '../../src/rules.ts'
import { Naive, type Said } from './naive.ts'

/** A log and what the naive rule says of it. */
export type RandomLog = {
  readonly profile: string
  readonly facts: readonly Facts[]
  /** By record: what it decided, and the decided offset after it. */
  readonly said: readonly (readonly Said[])[]
  readonly decided: readonly number[]
  /** Those that a record names. */
  readonly streams: readonly string[]
  /** Stream and id of appends that a record lied about: two contents under one id. */
  readonly lied: ReadonlySet<string>
  readonly naive: Naive
}

/** What kind of log. Weights are of one step. */
type Profile = {
  readonly name: string
  readonly steps: number
  readonly streams: number
  readonly countMax: number
  /** How often an append has one record, or goes out in one piece. */
  readonly oneChance: number
  readonly wholeChance: number
  readonly tagChance: number
  readonly commandChance: number
  readonly conditionChance: number
  readonly weights: Readonly<Record<Act, number>>
}

type Act =
  | 'begin'
  | 'goOn'
  | 'again'
  | 'settle'
  | 'control'
  | 'foreign'
  | 'identity'
  | 'lie'
  | 'gap'

/** An append as its writer made it; `sent` records of it are in the log. */
type Draft = { readonly records: readonly EventFacts[]; sent: number }

const WEIGHTS = {
  begin: 30,
  goOn: 34,
  again: 10,
  settle: 9,
  control: 3,
  foreign: 3,
  identity: 1,
  lie: 6,
  gap: 4,
} as const satisfies Record<Act, number>

const SHORT: Profile = {
  name: 'short',
  steps: 34,
  streams: 3,
  countMax: 4,
  oneChance: 0.55,
  wholeChance: 0.5,
  tagChance: 0.3,
  commandChance: 0.7,
  conditionChance: 0.2,
  weights: WEIGHTS,
}

/** A bound each: commands, cancels, open appends, tagged events. */
const COMMANDS: Profile = {
  ...SHORT,
  name: 'commands',
  steps: 150,
  streams: 1,
  oneChance: 1,
  commandChance: 1,
  weights: { ...WEIGHTS, begin: 300, settle: 2, control: 0, lie: 0 },
}
const CANCELS: Profile = {
  ...SHORT,
  name: 'cancels',
  steps: 260,
  streams: 1,
  weights: { ...WEIGHTS, begin: 6, goOn: 6, settle: 300, again: 60, control: 0 },
}
const WIDE: Profile = {
  ...SHORT,
  name: 'wide',
  steps: 1700,
  streams: 20_000,
  oneChance: 0.02,
  wholeChance: 0.02,
  weights: { ...WEIGHTS, begin: 1000, settle: 2, control: 1 },
}
const TAGGED: Profile = {
  ...SHORT,
  name: 'tagged',
  steps: 40,
  streams: 2,
  oneChance: 0.2,
  countMax: 300,
  wholeChance: 0.9,
  tagChance: 1,
  conditionChance: 0.7,
  weights: { ...WEIGHTS, begin: 60, again: 2, control: 0, lie: 2 },
}

const TYPES = ['A', 'B', 'C']
const TAGS = ['t0', 't1', 't2', 't3']

function profileOf(seed: number, prng: Prng): Profile {
  if (seed % 1000 === 7) return TAGGED
  if (seed % 10_000 === 5) return WIDE
  if (seed % 400 === 3) return COMMANDS
  if (seed % 400 === 103) return CANCELS
  return { ...SHORT, steps: prng.between(8, 60), streams: prng.between(1, 4) }
}

/** The log of a seed: always the same one. */
export function randomLog(seed: number): RandomLog {
  const prng = new Prng(seed)
  return new LogMaker(prng, profileOf(seed, prng)).make()
}

class LogMaker {
  readonly #prng: Prng
  readonly #profile: Profile
  readonly #naive = new Naive()
  readonly #streams: readonly string[]
  readonly #acts: readonly Act[]
  readonly #facts: Facts[] = []
  readonly #said: (readonly Said[])[] = []
  readonly #decided: number[] = []
  readonly #drafts: Draft[] = []
  readonly #commands: string[] = []
  readonly #lied = new Set<string>()
  #offset = 0
  #ids = 0

  constructor(prng: Prng, profile: Profile) {
    this.#prng = prng
    this.#profile = profile
    // Some are of another bucket: written by who places streams otherwise.
    const lost = profile.streams > 1 && prng.chance(0.3) ? prng.below(profile.streams) : -1
    this.#streams = Array.from(
      { length: profile.streams },
      (_, i) => `${i % 3 === 2 ? 't' : ''}\0s${i}${i === lost ? '!' : ''}`,
    )
    const acts = Object.entries(profile.weights) as [Act, number][]
    this.#acts = acts.flatMap(([act, weight]) => Array<Act>(weight).fill(act))
  }

  make(): RandomLog {
    // The category of 0.1 says what it is further behind, or never.
    if (this.#prng.chance(0.7)) this.#identity()
    for (let step = 0; step < this.#profile.steps; step += 1) this.#act(this.#prng.pick(this.#acts))
    return {
      profile: this.#profile.name,
      facts: this.#facts,
      said: this.#said,
      decided: this.#decided,
      streams: [...new Set(this.#facts.flatMap(f => ('stream' in f ? [f.stream] : [])))],
      lied: this.#lied,
      naive: this.#naive,
    }
  }

  #act(act: Act): void {
    switch (act) {
      case 'begin':
        this.#drafts.push(this.#draft())
        this.#send(this.#drafts.at(-1))
        break
      case 'goOn':
        this.#send(this.#recent(this.#drafts.filter(d => d.sent < d.records.length)))
        break
      case 'again':
        this.#again()
        break
      case 'settle':
        this.#settle()
        break
      case 'control':
        this.#control()
        break
      case 'foreign':
        if (this.#prng.chance(0.8)) this.#put({ kind: 'foreign', offset: 0 })
        else this.#put({ kind: 'newer', offset: 0, rule: RULE_VERSION + 1 })
        break
      case 'identity':
        this.#identity()
        break
      case 'lie':
        this.#lie()
        break
      case 'gap':
        this.#offset += this.#prng.between(1, 5)
    }
  }

  #identity(): void {
    this.#ids += 1
    this.#put({
      ...{ kind: 'identity', offset: 0, id: `i${this.#ids}`, buckets: 1 + this.#prng.below(3) },
      ...{ boundary: 'id', boundaryVersion: 1, rule: RULE_VERSION },
    })
  }

  #put(facts: Facts): void {
    const placed = { ...facts, offset: this.#offset }
    this.#offset += 1
    this.#facts.push(placed)
    this.#said.push(this.#naive.next(placed))
    this.#decided.push(this.#naive.decided())
  }

  /** Mostly one of the last. */
  #recent<T>(list: readonly T[]): T | undefined {
    if (list.length === 0) return undefined
    return this.#prng.chance(0.7) ? list[list.length - 1] : this.#prng.pick(list)
  }

  /** What a writer claims: the stream as it stands, as it stood, or as it will once others landed. */
  #claim(stream: string): number {
    const next = this.#naive.version(stream) + 1
    const draw = this.#prng.fraction()
    if (draw < 0.78) return next
    return draw < 0.9
      ? Math.max(1, next - this.#prng.between(1, 2))
      : next + this.#prng.between(1, 3)
  }

  #draft(): Draft {
    const prng = this.#prng
    const stream = prng.pick(this.#streams)
    const { countMax, commandChance, conditionChance, tagChance } = this.#profile
    const count = prng.chance(this.#profile.oneChance) ? 1 : prng.between(2, countMax)
    const claim = this.#claim(stream)
    const appendId = this.#appendId()
    const commandId = prng.chance(commandChance) ? this.#commandId() : undefined
    const condition = prng.chance(conditionChance) ? this.#condition() : undefined
    const checks = prng.chance(0.15) ? this.#checks() : undefined
    const records = Array.from({ length: count }, (_, index): EventFacts => {
      const first = index === 0
      return {
        kind: 'event',
        offset: 0,
        stream,
        appendId,
        index,
        count,
        version: claim + index,
        type: prng.pick(TYPES),
        tags: prng.chance(tagChance) ? this.#tags() : [],
        time: 1000 + prng.below(50),
        stamp: first && prng.chance(0.8) ? prng.below(2_000_000) : undefined,
        commandId: first ? commandId : undefined,
        condition: first ? condition : undefined,
        checks: first ? checks : undefined,
      }
    })
    return { records, sent: 0 }
  }

  #appendId(): string {
    this.#ids += 1
    return `a${this.#ids}`
  }

  #commandId(): string {
    const known = this.#commands
    if (known.length > 0 && this.#prng.chance(0.2)) {
      const back =
        this.#profile === COMMANDS ? this.#prng.between(58, 70) : this.#prng.between(1, 6)
      return known[Math.max(0, known.length - back)] as string
    }
    const fresh = `c${known.length}`
    known.push(fresh)
    return fresh
  }

  #tags(): string[] {
    return TAGS.filter(() => this.#prng.chance(0.4)).concat(this.#prng.pick(TAGS))
  }

  #condition(): ConditionClaim {
    const prng = this.#prng
    const position = this.#naive.position()
    const after = prng.pick([position, this.#naive.decided(), position - prng.between(1, 6), 0])
    const failIfMatch = Array.from({ length: prng.between(1, 2) }, (): EventQuery => {
      const tags = prng.chance(0.95) ? { tags: this.#tags().slice(0, prng.between(1, 2)) } : {}
      const types = prng.chance(0.4) ? { types: TYPES.filter(() => prng.chance(0.5)) } : {}
      return { ...tags, ...types }
    })
    return { after: Math.max(0, this.#nearWindow() ?? after), failIfMatch }
  }

  /** At the edge of the tagged events that are remembered. */
  #nearWindow(): number | undefined {
    if (this.#profile !== TAGGED || this.#prng.chance(0.3)) return undefined
    const oldest = this.#naive.events().at(-TAGGED_MAX)?.offset ?? 0
    return oldest + this.#prng.between(-3, 3)
  }

  #checks(): { stream: string; version: number }[] {
    return Array.from({ length: this.#prng.between(1, 2) }, () => {
      const stream = this.#prng.pick(this.#streams)
      const lag = this.#prng.chance(0.8) ? 0 : this.#prng.between(-1, 1)
      return { stream, version: Math.max(0, this.#naive.version(stream) + lag) }
    })
  }

  /** The next records of an append: all, or as many as went into this batch. */
  #send(draft: Draft | undefined): void {
    if (draft === undefined) return
    const left = draft.records.length - draft.sent
    const piece = this.#prng.between(1, Math.ceil(left / 2))
    const batch = this.#prng.chance(this.#profile.wholeChance) ? left : piece
    for (let i = 0; i < batch; i += 1) {
      this.#put(draft.records[draft.sent] as EventFacts)
      draft.sent += 1
    }
  }

  /** Records that were sent come once more: a retry, or a copy that was late. */
  #again(): void {
    const draft = this.#recent(this.#drafts)
    if (draft === undefined || draft.sent === 0) return
    const from = this.#prng.chance(0.6) ? 0 : this.#prng.below(draft.sent)
    const to = this.#prng.chance(0.6) ? draft.sent : this.#prng.between(from + 1, draft.sent)
    for (const record of draft.records.slice(from, to)) this.#put(record)
  }

  #settle(): void {
    const draft = this.#prng.chance(this.#profile === CANCELS ? 0.3 : 1)
      ? this.#recent(this.#drafts)
      : undefined
    const first = draft?.records[0]
    if (first === undefined && this.#profile !== CANCELS) return
    const stream = first?.stream ?? (this.#streams[0] as string)
    const honest = first?.version ?? this.#claim(stream)
    const right = this.#prng.chance(first === undefined ? 0.3 : 0.9)
    const claim = right ? honest : Math.max(1, honest + this.#prng.between(-2, 2))
    const appendId = first?.appendId ?? this.#appendId()
    this.#put({ kind: 'settle', offset: 0, stream, appendId, claim })
  }

  #control(): void {
    const kinds = ['archive', 'unarchive', 'unarchive', 'truncate'] as const
    const kind = this.#prng.chance(0.05) ? 'tombstone' : this.#prng.pick(kinds)
    const stream = this.#prng.pick(this.#streams)
    this.#put({ kind, offset: 0, stream, before: this.#prng.below(6) })
  }

  /** A record as no honest writer makes it. */
  #lie(): void {
    const prng = this.#prng
    const record = prng.pick(this.#recent(this.#drafts)?.records ?? [undefined])
    if (record === undefined) return
    const count = Math.max(1, record.count + prng.between(-1, 1))
    const lies: Partial<EventFacts>[] = [
      { stream: prng.pick(this.#streams) },
      { version: Math.max(1, record.version + prng.between(-1, 1)) },
      { count, index: Math.min(record.index, count - 1) },
      { index: prng.below(record.count) },
      { appendId: prng.pick(this.#drafts).records[0]?.appendId ?? '' },
    ]
    const lie = { ...record, ...prng.pick(lies) }
    this.#lied.add(`${lie.stream} ${lie.appendId}`)
    this.#put(lie)
  }
}
