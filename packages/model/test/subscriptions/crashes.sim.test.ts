// Every run: a subscription whose handler fails now and then and always for some streams, on a node
// that dies at any of its steps and is started again. Every event of every stream must be handled
// at least once, none before the ones of its stream that precede it.
import { expect, test } from 'vitest'
import type { RuntimeContext } from '../../src/context.ts'
import {
  type BucketPosition,
  createSubscription,
  parkedCategory,
  soleOwnership,
  subscription,
} from '../../src/subscriptions/index.ts'
import { loan } from '../sagas/support/bank.ts'
import { Died, EventLog, memoryStore } from '../sagas/support/memory-store.ts'
import { random } from '../sagas/support/random.ts'
import { eventually, movedClock, START } from '../sagas/support/scene.ts'

const BUCKETS = 3
const STREAMS = 9
const EVENTS = 60
const SEED = Number(process.env['SEED'] ?? 20_261_121)
const RUNS = Number(process.env['RUNS'] ?? 60)

/** The next version that each stream's subscriber may see for the first time. */
class Seen {
  readonly next = new Map<string, number>()
  readonly gaps: string[] = []

  add(stream: string, version: number): void {
    const next = this.next.get(stream) ?? 1
    if (version > next) this.gaps.push(`${stream}:${version} before ${next}`)
    this.next.set(stream, Math.max(next, version + 1))
  }
}

async function play(seed: number): Promise<{ seen: Seen; log: EventLog; deaths: number }> {
  const next = random(seed)
  const outside = movedClock(START)
  const parked = parkedCategory('test')
  const log = new EventLog(['loan', parked.name], BUCKETS, () => outside.clock.now())
  for (let n = 0; n < EVENTS; n += 1) {
    const id = `s${Math.floor(next() * STREAMS)}`
    log.append({ category: 'loan', id }, [{ type: 'OfferMade', data: { offerId: `${n}` } }])
  }
  const seen = new Seen()
  const kept = new Map<number, BucketPosition>()
  let isMended = false
  let deaths = 0
  const audit = subscription('audit', {
    from: [loan],
    batch: events => {
      for (const { stream, version } of events) {
        const isBad = !isMended && (stream === 's1' || stream === 's2') && version >= 3
        if (isBad || next() < 0.02) throw new Error('no')
        seen.add(stream, version)
      }
    },
  })
  const lives = Array.from({ length: Math.floor(next() * 5) }, () => 1 + Math.floor(next() * 60))
  for (const steps of [...lives, Number.POSITIVE_INFINITY]) {
    let step = 0
    let isDead = false
    const die = (): void => {
      step += 1
      if (step >= steps && !isDead) {
        isDead = true
        deaths += 1
      }
      if (isDead) throw new Died('the node is dead')
    }
    const sole = soleOwnership([0, 1, 2], kept)
    const context: RuntimeContext = {
      ...{ name: 'test', store: memoryStore(log, die), outside, onEvent: () => {} },
      ...{ log: undefined as never, commands: undefined as never },
    }
    const processor = createSubscription(audit, context, {
      settings: {
        'follower.page.events': [1, 3, 1000][Math.floor(next() * 3)] as number,
        'follower.commit.interval.ms': 0,
        'follower.restart.first.ms': 600_000,
        'subscription.batch.events': 5,
      },
      policy: { 'retry.attempts.max': 2, 'retry.first.ms': 0 },
      ownership: {
        ...sole,
        commit: async positions => {
          die()
          await sole.commit(positions)
          die()
        },
      },
    })
    void processor.start().catch(() => {})
    const isCaughtUp = () => isDead || processor.status().state === 'running'
    await eventually('it has caught up or died', isCaughtUp)
    if (!isDead && steps === Number.POSITIVE_INFINITY) {
      isMended = true
      for (let tries = 0; processor.parked().length > 0 && tries < 50; tries += 1)
        for (const each of processor.parked()) await processor.redrive(each)
      expect(processor.parked()).toEqual([])
    }
    await processor.stop()
  }
  return { seen, log, deaths }
}

test('every event is handled at least once and in the order of its stream, whatever step it dies at', async () => {
  let deaths = 0
  for (let run = 0; run < RUNS; run += 1) {
    const { seen, log, ...rest } = await play(SEED + run)
    deaths += rest.deaths
    const replay = `SEED=${SEED + run} RUNS=1 npx vitest run --project sim packages/model/test/subscriptions`
    expect(seen.gaps, replay).toEqual([])
    for (const [name, events] of log.streams) {
      if (!name.startsWith('/loan/')) continue
      const id = name.slice('/loan/'.length)
      expect(seen.next.get(id), `${id}: ${replay}`).toBe(events.length + 1)
    }
  }
  expect(deaths).toBeGreaterThan(RUNS / 2)
})
