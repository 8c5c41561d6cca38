// A million pending timers, reduced to 50,000: what a saga's streams hold already when it starts.
import { expect, test } from 'vitest'
import type { RuntimeContext } from '../../src/context.ts'
import { after, end, saga } from '../../src/index.ts'
import { createSagaProcessor } from '../../src/sagas/index.ts'
import { soleOwnership } from '../../src/subscriptions/index.ts'
import { loan } from '../sagas/support/bank.ts'
import { EventLog, memoryStore } from '../sagas/support/memory-store.ts'
import { DAY, eventually, movedClock, running, START } from '../sagas/support/scene.ts'

const TIMERS = 50_000
const BUCKETS = 4

const reminder = saga('reminder', {
  from: [loan],
  starts: ['loan.OfferMade'],
  key: e => e.stream,
  initial: () => 0,
  on: { 'loan.OfferMade': () => [after('remind', { days: 7 })] },
  timers: { remind: () => [end()] },
})

test('50,000 pending timers take a handful of the platform’s, and each fires once when it is due', async () => {
  const moved = movedClock(START)
  let live = 0
  let most = 0
  const outside = {
    ...moved,
    timers: {
      soon: moved.timers.soon,
      after: (ms: number, callback: () => void) => {
        live += 1
        most = Math.max(most, live)
        let isLive = true
        const gone = (): void => {
          live -= isLive ? 1 : 0
          isLive = false
        }
        const timer = moved.timers.after(ms, () => {
          gone()
          callback()
        })
        return {
          cancel: () => {
            gone()
            timer.cancel()
          },
        }
      },
    },
  }
  const log = new EventLog(['loan', 'reminder'], BUCKETS, () => moved.clock.now())
  for (let n = 0; n < TIMERS; n += 1) {
    const id = `loan-${n}`
    const took = { kind: 'event', category: 'loan', stream: id, version: 1 }
    log.append({ category: 'reminder', id }, [
      { type: 'Started', data: { state: 0 } },
      { type: 'Took', data: { ...took, type: 'loan.OfferMade', bucket: 0, offset: n } },
      { type: 'TimerSet', data: { timer: 'remind', due: START + 7 * DAY + n } },
    ])
  }
  const context: RuntimeContext = {
    ...{ name: 'test', store: memoryStore(log), outside, onEvent: () => {} },
    ...{ log: undefined as never, commands: undefined as never },
  }
  const processor = createSagaProcessor(reminder, context, {
    ownership: soleOwnership(Array.from({ length: BUCKETS }, (_, bucket) => bucket)),
    settings: { 'saga.alarm.longest.ms': 20 },
  })
  const fired = () =>
    [...log.streams.values()].filter(events => events.some(({ type }) => type === 'Fired')).length
  await running(processor, async () => {
    await eventually('all timers are known', () => processor.status().timers === TIMERS)
    expect(most).toBeLessThan(10)
    moved.set(START + 7 * DAY + 999)
    await eventually('the first thousand have fired', () => fired() === 1000)
    moved.set(START + 8 * DAY)
    await eventually('all have fired', () => processor.status().timers === 0, 50_000)
    expect(most).toBeLessThan(10)
  })
  const ends = [...log.streams.values()].map(events => events.map(({ type }) => type).join(' '))
  expect(new Set(ends)).toEqual(new Set(['Started Took TimerSet Fired Ended']))
  expect(ends).toHaveLength(TIMERS)
})
