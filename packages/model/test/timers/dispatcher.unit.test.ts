import type { Outside } from '@millrace/base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Agenda, type AgendaItem } from '../../src/timers/agenda.ts'
import { Dispatcher } from '../../src/timers/dispatcher.ts'

/** Time stands until it is moved; callbacks run when they are due. */
class Steps {
  now = 0
  readonly timers = new Set<{ at: number; run: () => void }>()
  readonly outside: Outside = {
    clock: { now: () => this.now, monotonic: () => this.now },
    timers: {
      after: (ms, run) => {
        const timer = { at: this.now + ms, run }
        this.timers.add(timer)
        return { cancel: () => void this.timers.delete(timer) }
      },
      soon: run => void setImmediate(run),
    },
    random: { bytes: length => Buffer.alloc(length) },
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn += 1) await new Promise(resolve => setImmediate(resolve))
  }

  async advance(ms: number): Promise<void> {
    this.now += ms
    for (const timer of [...this.timers])
      if (timer.at <= this.now) {
        this.timers.delete(timer)
        timer.run()
      }
    await this.settle()
  }
}

const LANE = 0
let agenda: Agenda
let steps: Steps
beforeEach(() => {
  agenda = new Agenda(1024 * 1024)
  steps = new Steps()
})
afterEach(() => agenda.close())

const put = (id: string, due: number) =>
  agenda.put({
    ...{ lane: LANE, bucket: 0, due, tenant: '', id, name: 't', version: 1, offset: 0 },
  })

const dispatcherOf = (
  run: (item: AgendaItem) => Promise<void>,
  parallel = 2,
  until = (_bucket: number, now: number) => now,
) =>
  new Dispatcher(agenda, [{ lane: LANE, parallel, until, run }], {
    outside: steps.outside,
    longestMs: 1000,
  })

describe('the dispatcher', () => {
  test('has one timer of the platform, whatever waits, and looks at the clock again in between', async () => {
    const done: string[] = []
    for (let n = 0; n < 1000; n += 1) put(`${n}`, 5000 + n)
    const dispatcher = dispatcherOf(async item => {
      done.push(item.id)
      agenda.removeItem(item)
    })
    dispatcher.start([0], new AbortController().signal, () => {})
    await steps.settle()
    expect([...steps.timers].map(({ at }) => at)).toEqual([1000])
    // The wall clock jumps: what became due by it is done at the next look.
    steps.now = 5001
    await steps.advance(0)
    expect(done).toEqual(['0', '1'])
    expect([...steps.timers].map(({ at }) => at)).toEqual([5002])
    await dispatcher.stop()
    expect(steps.timers.size).toBe(0)
  })

  test('does so many at once, and the rest in the order of time', async () => {
    const begun: string[] = []
    const ends: (() => void)[] = []
    for (const id of ['c', 'a', 'b']) put(id, id.charCodeAt(0))
    const dispatcher = dispatcherOf(
      item =>
        new Promise(resolve => {
          begun.push(item.id)
          ends.push(() => {
            agenda.removeItem(item)
            resolve()
          })
        }),
    )
    steps.now = 1000
    dispatcher.start([0], new AbortController().signal, () => {})
    await steps.settle()
    expect(begun).toEqual(['a', 'b'])
    ends[0]?.()
    await steps.settle()
    expect(begun).toEqual(['a', 'b', 'c'])
    for (const end of ends) end()
    await dispatcher.stop()
  })

  test('does nothing while a lane may not go so far, or is paused', async () => {
    const done: string[] = []
    let isOpen = false
    put('a', 0)
    const dispatcher = dispatcherOf(
      async item => {
        done.push(item.id)
        agenda.removeItem(item)
      },
      1,
      (_bucket, now) => (isOpen ? now : -1),
    )
    dispatcher.start([0], new AbortController().signal, () => {})
    await steps.settle()
    expect(done).toEqual([])
    isOpen = true
    dispatcher.pause(LANE, 500)
    dispatcher.poke()
    await steps.settle()
    expect(done).toEqual([])
    await steps.advance(500)
    expect(done).toEqual(['a'])
    await dispatcher.stop()
  })

  test('tells of a failure and goes on with the others', async () => {
    const failures: unknown[] = []
    put('bad', 0)
    put('good', 1)
    const dispatcher = dispatcherOf(async item => {
      agenda.removeItem(item)
      if (item.id === 'bad') throw new Error('no')
    }, 1)
    steps.now = 1
    dispatcher.start([0], new AbortController().signal, error => failures.push(error))
    await steps.settle()
    expect(failures).toMatchObject([{ message: 'no' }])
    expect(agenda.count(LANE)).toBe(0)
    await dispatcher.stop()
  })
})
