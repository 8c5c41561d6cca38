// Tests the tests: a rule that is broken by hand must be found within a bounded number of logs.
import { expect, test } from 'vitest'
import {
  CANCELS_MAX,
  COMMANDS_MAX,
  decidedOffset,
  type Facts,
  foldRecord,
  type StreamFold,
  type StreamStates,
} from '../../src/rules.ts'
import { checkSeed, Disagreement, type FoldState, SUBJECT, type Subject } from './check-log.ts'

/** Seeds among which one must fail. */
const SEEDS = 2000

/** The rule, but it sees records otherwise. */
const seeing = (other: (facts: Facts) => Facts): Partial<Subject> => ({
  fold: (bucket, streams, facts, verdicts) => foldRecord(bucket, streams, other(facts), verdicts),
})

/** The rule, but what it keeps of a stream is kept otherwise. */
const keeping = (
  other: (state: StreamFold, before: StreamFold) => StreamFold,
): Partial<Subject> => ({
  fold: (bucket, streams, facts, verdicts) => {
    const states: StreamStates = {
      get: stream => streams.get(stream),
      set: (stream, state) => streams.set(stream, other(state, streams.get(stream))),
    }
    foldRecord(bucket, states, facts, verdicts)
  },
})

/** The rule, but a restart brings something else back. */
const restarting = (other: (state: FoldState) => FoldState): Partial<Subject> => ({
  restart: state => other(SUBJECT.restart(state)),
})

const BROKEN: Readonly<Record<string, Partial<Subject>>> = {
  'settle records are not read': seeing(facts =>
    facts.kind === 'settle' ? { kind: 'foreign', offset: facts.offset } : facts,
  ),
  'only what is settled is cancelled': {
    fold: (bucket, streams, facts, verdicts) => {
      const states: StreamStates = {
        get: stream => streams.get(stream),
        set: (stream, state) => {
          const { cancels } = streams.get(stream)
          streams.set(stream, facts.kind === 'settle' ? state : { ...state, cancels })
        },
      }
      foldRecord(bucket, states, facts, verdicts)
    },
  },
  'a cancelled append is forgotten one version early': keeping(state => ({
    ...state,
    cancels: state.cancels.filter(cancel => cancel.claim > state.version + 1),
  })),
  'the oldest cancelled append is pushed out': keeping((state, before) =>
    state.cancels.length < CANCELS_MAX || before.cancels.length < CANCELS_MAX
      ? state
      : { ...state, cancels: [...before.cancels.slice(1), ...state.cancels.slice(-1)] },
  ),
  'one command id too few is remembered': keeping(state => ({
    ...state,
    commands: state.commands.slice(1 - COMMANDS_MAX),
  })),
  'checks are not read': seeing(facts =>
    facts.kind === 'event' ? { ...facts, checks: undefined } : facts,
  ),
  'a condition passes over the first event that came since': seeing(facts => {
    if (facts.kind !== 'event' || facts.condition === undefined) return facts
    const { after, failIfMatch } = facts.condition
    return { ...facts, condition: { after: after + 1, failIfMatch } }
  }),
  'an open append does not hold the decided offset back': {
    decided: bucket => bucket.position,
  },
  'the decided offset passes the first record of an open append': {
    decided: bucket => (bucket.open.size === 0 ? decidedOffset(bucket) : decidedOffset(bucket) + 1),
  },
  'a restart forgets open appends': restarting(({ bucket, streams }) => ({
    bucket: { ...bucket, open: new Map() },
    streams,
  })),
  'a restart forgets command ids': restarting(({ bucket, streams }) => ({
    bucket,
    streams: new Map([...streams].map(([stream, state]) => [stream, { ...state, commands: [] }])),
  })),
  'a restart forgets tagged events': restarting(({ bucket, streams }) => ({
    bucket: { ...bucket, tagged: [] },
    streams,
  })),
}

test.each(Object.entries(BROKEN))('%s: it is found', (_, broken) => {
  let found = 0
  for (let seed = 1; seed <= SEEDS && found === 0; seed += 1) {
    try {
      checkSeed(seed, { ...SUBJECT, ...broken })
    } catch (cause) {
      if (!(cause instanceof Disagreement)) throw cause
      found = seed
    }
  }
  expect(found).toBeGreaterThan(0)
})
