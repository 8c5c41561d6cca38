// The real events of 13,087 loan applications (BPI Challenge 2012), and the figures that any reading
// of them must give. The file is data for acceptance and not part of the project: MILLRACE_LOANS
// names it, else it is looked for beside the checkout; without it the tests are skipped.
import { createReadStream, existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { checkout } from '../../scripts/peers/cache.ts'

/** Where the events are expected: NDJSON, gzipped. */
export const loansFile: string = resolve(
  process.env['MILLRACE_LOANS'] ??
    resolve(checkout, '..', 'shared', 'data', 'loan-applications.ndjson.gz'),
)

/** Whether the events are on this machine. */
export const hasLoans: boolean = existsSync(loansFile)

/** All events in all. */
export const loanEvents = 262_200

/** One event. */
export interface LoanEvent {
  readonly applicationId: string
  readonly seq: number
  readonly activity: string
  readonly transition: string
}

/** The lines of the file. */
export const loanLines = (): AsyncIterable<string> =>
  createInterface({
    input: createReadStream(loansFile).pipe(createGunzip()),
    crlfDelay: Number.POSITIVE_INFINITY,
  })

const expected = {
  events: loanEvents,
  applications: 13_087,
  pairs: 36,
  unfinished: 399,
  withGaps: 0,
  A_SUBMITTED: 13_087,
  A_PARTLYSUBMITTED: 13_087,
  A_DECLINED: 7_635,
  A_CANCELLED: 2_807,
  A_APPROVED: 2_246,
  A_REGISTERED: 2_246,
  A_ACTIVATED: 2_246,
  A_ACCEPTED: 5_113,
  A_FINALIZED: 5_015,
  O_SELECTED: 7_030,
  O_CREATED: 7_030,
  O_SENT: 7_030,
} as const

/** The figures of the data's description, by name. */
export const loanFigures: Readonly<Record<string, number>> = expected

const ends = new Set(['A_DECLINED', 'A_CANCELLED', 'A_APPROVED'])

/**
 * Takes events as they are read, the same one twice or more, and gives the figures. With `ordered`
 * it also holds each application's events to their order, as one reader of a partition sees them.
 */
export class LoanTally {
  readonly #seen = new Map<string, Set<number>>()
  readonly #activities = new Map<string, number>()
  readonly #pairs = new Set<string>()
  readonly #ended = new Set<string>()
  readonly #ordered: boolean
  #unique = 0
  /** Events that came again. */
  repeated = 0
  /** The first few breaks of order. */
  readonly disorder: string[] = []

  constructor(options: { readonly ordered: boolean }) {
    this.#ordered = options.ordered
  }

  /** Different events so far. */
  get unique(): number {
    return this.#unique
  }

  take(line: string): void {
    const event = JSON.parse(line) as LoanEvent
    const seen = this.#seen.get(event.applicationId) ?? new Set()
    this.#seen.set(event.applicationId, seen)
    if (seen.has(event.seq)) {
      this.repeated++
      return
    }
    if (this.#ordered && event.seq !== seen.size && this.disorder.length < 10) {
      this.disorder.push(`${event.applicationId}: ${event.seq} after ${seen.size - 1}`)
    }
    seen.add(event.seq)
    this.#unique++
    this.#pairs.add(`${event.activity} ${event.transition}`)
    this.#activities.set(event.activity, (this.#activities.get(event.activity) ?? 0) + 1)
    if (ends.has(event.activity)) this.#ended.add(event.applicationId)
  }

  /** The figures, to compare with {@link loanFigures}. */
  figures(): Readonly<Record<string, number>> {
    let withGaps = 0
    for (const seen of this.#seen.values()) {
      for (let seq = 0; seq < seen.size; seq++) {
        if (!seen.has(seq)) {
          withGaps++
          break
        }
      }
    }
    const counted: Record<string, number> = {
      events: this.#unique,
      applications: this.#seen.size,
      pairs: this.#pairs.size,
      unfinished: this.#seen.size - this.#ended.size,
      withGaps,
    }
    for (const name of Object.keys(expected)) counted[name] ??= this.#activities.get(name) ?? 0
    return counted
  }
}
