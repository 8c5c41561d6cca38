// A bucket for unit tests: records are appended by short words, and what they decided comes back as
// text, such as "accepted a 0,1" or "void b version 2".
import {
  type ConditionClaim,
  decidedOffset,
  EMPTY_STREAM,
  type EventFacts,
  emptyBucket,
  type Facts,
  foldRecord,
  type IdentityFacts,
  RULE_VERSION,
  type StreamFold,
  type Verdict,
} from '../../src/rules.ts'

/** A record of an append; what is not said is as a lone first event of stream `s` has it. */
export type Piece = Partial<Omit<EventFacts, 'kind' | 'offset' | 'version'>> & {
  /** Claim of the append's first record. */
  readonly claim?: number
}

type Spread<T> = T extends unknown ? Omit<T, 'offset'> : never

/** See the head of the file. */
export class TestBucket {
  readonly bucket = emptyBucket()
  readonly streams = new Map<string, StreamFold>()
  offset = 0

  /** Folds a record at the next offset. */
  put(facts: Spread<Facts>): string[] {
    const verdicts: Verdict[] = []
    const states = {
      get: (stream: string) => this.stream(stream),
      set: (stream: string, state: StreamFold) => void this.streams.set(stream, state),
      // A stream of another bucket ends with this mark.
      belongs: (stream: string) => !stream.endsWith('!'),
    }
    const placed = { ...facts, offset: this.offset } as Facts
    foldRecord(this.bucket, states, placed, verdicts)
    this.offset += 1
    return verdicts.map(verdict =>
      verdict.kind === 'accepted'
        ? `accepted ${verdict.records[0]?.appendId} ${verdict.records.map(r => r.offset)}`
        : `void ${verdict.appendId} ${verdict.reason} ${verdict.offsets}`,
    )
  }

  /** One record of an append. */
  piece(appendId: string, piece: Piece = {}): string[] {
    const { claim = 1, index = 0, count = 1, ...rest } = piece
    return this.put({
      kind: 'event',
      stream: 's',
      type: 'T',
      tags: [],
      time: 0,
      stamp: undefined,
      commandId: undefined,
      condition: undefined,
      checks: undefined,
      ...rest,
      appendId,
      index,
      count,
      version: claim + index,
    })
  }

  /** A whole append of one event at the end of its stream. */
  event(appendId: string, piece: Piece = {}): string[] {
    const stream = piece.stream ?? 's'
    return this.piece(appendId, { claim: this.stream(stream).version + 1, ...piece })
  }

  identity(is: Partial<Omit<IdentityFacts, 'kind' | 'offset'>> = {}): string[] {
    return this.put({
      ...{ kind: 'identity', id: 'i', buckets: 1, boundary: 'id', boundaryVersion: 1 },
      ...{ rule: RULE_VERSION, ...is },
    })
  }

  settle(appendId: string, claim: number, stream = 's'): string[] {
    return this.put({ kind: 'settle', stream, appendId, claim })
  }

  control(kind: 'truncate' | 'archive' | 'unarchive' | 'tombstone', before = 0): string[] {
    return this.put({ kind, stream: 's', before })
  }

  stream(stream = 's'): StreamFold {
    return this.streams.get(stream) ?? EMPTY_STREAM
  }

  get decided(): number {
    return decidedOffset(this.bucket)
  }
}

/** A condition: no event with this tag since. */
export const without = (tag: string, after: number): ConditionClaim => ({
  after,
  failIfMatch: [{ tags: [tag] }],
})
