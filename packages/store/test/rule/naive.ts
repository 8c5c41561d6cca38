// The rule a second time, as plainly as it can be said: lists of all that ever happened, and every
// question answered by looking through them. Written from the rule's text, not from the fold.
import {
  CANCELS_MAX,
  COMMANDS_MAX,
  type EventFacts,
  type Facts,
  OPEN_MAX,
  TAGGED_MAX,
  type VoidReason,
} from '../../src/rules.ts'

/** What was said of some records of one append. */
export type Said = {
  readonly what: 'accepted' | VoidReason
  readonly records: readonly EventFacts[]
}

type Cancelled = { readonly stream: string; readonly appendId: string; claim: number }
type Append = [EventFacts, ...EventFacts[]]

/** In a random log these streams are of another bucket. */
export const belongsHere = (stream: string): boolean => !stream.endsWith('!')

/** Lost for good without being remembered: time only makes it truer. */
const HOPELESS = new Set(['copy', 'tombstoned', 'condition', 'stale', 'misplaced'])

export class Naive {
  readonly prefix: Facts[] = []
  /** Of streams of other buckets, behind what says so. */
  readonly misplaced: Facts[] = []
  readonly accepted: Append[] = []
  open: Append[] = []
  cancels: Cancelled[] = []
  /** Cancelled, and pushed out by more than CANCELS_MAX others. */
  readonly forgotten: Cancelled[] = []
  #said: Said[] = []

  next(f: Facts): readonly Said[] {
    this.#said = []
    const isNamed = this.identity() !== undefined
    this.prefix.push(f)
    if (f.kind === 'foreign' || f.kind === 'newer' || f.kind === 'identity') return this.#said
    if (isNamed && !belongsHere(f.stream)) {
      this.misplaced.push(f)
      if (f.kind === 'event') this.#lose([f], 'misplaced')
      return this.#said
    }
    const open = this.open.find(([first]) => first.stream === f.stream)
    if (f.kind === 'event') this.#event(f, open)
    if (f.kind === 'settle' && open?.[0].appendId === f.appendId) this.#lose(open, 'settled')
    if (f.kind === 'settle') this.#cancel(f.stream, f.appendId, f.claim)
    if (f.kind === 'archive' && open) this.#lose(open, 'archived')
    if (f.kind === 'tombstone' && open) this.#lose(open, 'tombstoned')
    return this.#said
  }

  identity = (): Facts | undefined => this.prefix.find(f => f.kind === 'identity')
  events = (): EventFacts[] => this.accepted.flat()
  version = (stream: string): number =>
    this.accepted.reduce((n, append) => n + (append[0].stream === stream ? append.length : 0), 0)
  position = (): number => (this.prefix.at(-1)?.offset ?? -1) + 1
  decided = (): number => Math.min(this.position(), ...this.open.map(([first]) => first.offset))
  commands = (stream: string): Append[] =>
    this.accepted
      .filter(([first]) => first.stream === stream && first.commandId !== undefined)
      .slice(-COMMANDS_MAX)
  living = (stream: string): Cancelled[] =>
    this.cancels.filter(c => c.stream === stream && c.claim > this.version(stream))
  last = (stream: string, ...kinds: Facts['kind'][]): Facts | undefined =>
    this.prefix.findLast(
      f =>
        'stream' in f &&
        f.stream === stream &&
        kinds.includes(f.kind) &&
        !this.misplaced.includes(f),
    )

  #event(f: EventFacts, open: Append | undefined): void {
    const mine = open !== undefined && open[0].appendId === f.appendId
    const refusal = f.index === 0 ? this.#refusal(f) : undefined
    if (mine && f.index < open.length) this.#lose([f], 'copy')
    else if (mine) this.#goOn(open, f)
    else if (f.index > 0) this.#lose([f], 'order')
    else if (refusal !== undefined) this.#lose([f], refusal)
    else {
      const crowd = f.count > 1 && this.open.length === OPEN_MAX ? this.open[0] : undefined
      if (open) this.#lose(open, 'replaced')
      else if (crowd) this.#lose(crowd, 'overflow')
      this.open.push([f])
    }
    const whole = this.open.find(append => append.length === append[0].count)
    if (whole !== undefined) this.#judge(whole)
  }

  #goOn(open: Append, f: EventFacts): void {
    open.push(f)
    const { version, count } = open[0]
    const fits = (e: EventFacts, i: number) =>
      e.index === i && e.count === count && e.version === version + i
    if (!open.every(fits)) this.#lose(open, 'order')
  }

  #judge(whole: Append): void {
    const reason = this.#broken(whole[0])
    if (reason !== undefined) {
      this.#lose(whole, reason)
      return
    }
    this.open = this.open.filter(other => other !== whole)
    this.accepted.push(whole)
    this.#said.push({ what: 'accepted', records: whole })
  }

  #refusal(f: EventFacts): VoidReason | undefined {
    if (this.last(f.stream, 'tombstone')) return 'tombstoned'
    if (this.last(f.stream, 'archive', 'unarchive')?.kind === 'archive') return 'archived'
    if (this.living(f.stream).some(c => c.appendId === f.appendId)) return 'cancelled'
    const known = this.commands(f.stream).map(([first]) => first.commandId)
    if (f.commandId !== undefined && known.includes(f.commandId)) return 'command'
    return f.version === this.version(f.stream) + 1 ? undefined : 'version'
  }

  #broken({ stream, checks, condition }: EventFacts): VoidReason | undefined {
    if (checks?.some(check => this.version(check.stream) !== check.version)) return 'check'
    if (condition === undefined) return undefined
    const tagged = this.events().filter(event => event.tags.length > 0)
    tagged.sort((a, b) => a.offset - b.offset)
    const forgotten = tagged.at(-TAGGED_MAX - 1)
    if (forgotten !== undefined && condition.after <= forgotten.offset) return 'stale'
    const tenant = (key: string) => key.split('\0')[0]
    const unseen = tagged.filter(
      event => event.offset >= condition.after && tenant(event.stream) === tenant(stream),
    )
    const hit = condition.failIfMatch.some(({ types, tags = [] }) => {
      if (tags.length === 0) return true
      return unseen.some(
        e => (!types || types.includes(e.type)) && tags.every(t => e.tags.includes(t)),
      )
    })
    return hit ? 'condition' : undefined
  }

  #lose(records: readonly EventFacts[], what: VoidReason): void {
    this.#said.push({ what, records })
    const first = records[0] as EventFacts
    if (what !== 'copy') this.open = this.open.filter(append => append !== records)
    if (!HOPELESS.has(what)) this.#cancel(first.stream, first.appendId, first.version - first.index)
  }

  #cancel(stream: string, appendId: string, claim: number): void {
    const known = this.living(stream).find(c => c.appendId === appendId)
    if (known !== undefined) known.claim = Math.max(known.claim, claim)
    else if (claim > this.version(stream)) this.cancels.push({ stream, appendId, claim })
    const living = this.living(stream)
    const farthest = Math.max(...living.map(c => c.claim))
    if (living.length <= CANCELS_MAX) return
    const leaving = living.find(c => c.claim === farthest) as Cancelled
    this.cancels = this.cancels.filter(c => c !== leaving)
    this.forgotten.push(leaving)
  }
}
