// Live views: a state in memory, folded from all events, on every node.
import { systemOutside } from '@millrace/base'
import type { EventPage, ReadAllOptions } from '@millrace/store'
import { describe, expect, it } from 'vitest'
import type { ModelEvent } from '../../src/context.ts'
import { LiveViewProcessor, liveView } from '../../src/views/index.ts'
import { account, accountEvents, MemoryEvents, until } from '../projections/support/accounts.ts'

type Sums = Readonly<Record<string, number>>

const sums = (trap: (id: string) => void = () => undefined) =>
  liveView('sums', {
    from: [account],
    initial: (): Sums => ({}),
    on: {
      'account.Deposited': (state, { stream, data }) => {
        trap(`${stream}/${data.amount}`)
        return { ...state, [stream]: (state[stream] ?? 0) + data.amount }
      },
    },
  })

const SETTINGS = { 'view.restart.first.ms': 1, 'view.restart.longest.ms': 2 }

function run(view = sums(), store = new MemoryEvents(), settings = {}) {
  const told: ModelEvent[] = []
  const context = {
    ...{ store, outside: systemOutside() },
    onEvent: (event: ModelEvent) => told.push(event),
  }
  const processor = new LiveViewProcessor(view, context, { settings: { ...SETTINGS, ...settings } })
  return { processor, store, told }
}

const deposit = (stream: string, amount: number) => ({
  ...{ type: 'account.Deposited', stream, data: { amount } },
})

describe('a live view', () => {
  it('has folded all events when it has started, and follows', async () => {
    const { processor, store } = run()
    store.append(...accountEvents(3, 2))
    await processor.start()
    expect(processor.state).toEqual({ 'a-0': 300, 'a-1': 302, 'a-2': 304 })
    expect(processor.status()).toMatchObject({ state: 'running', handled: 6, lag: 0, parked: 0 })
    await processor.reached(store.append(deposit('a-1', 8)))
    expect(processor.state['a-1']).toBe(310)
    await processor.stop()
  })

  it('gives every event to every node', async () => {
    const store = new MemoryEvents()
    const nodes = [run(sums(), store), run(sums(), store), run(sums(), store)]
    await Promise.all(nodes.map(({ processor }) => processor.start()))
    const end = store.append(...accountEvents(5, 4))
    await Promise.all(nodes.map(({ processor }) => processor.reached(end)))
    const [first, ...others] = nodes.map(({ processor }) => processor.state)
    for (const other of others) expect(other).toEqual(first)
    await Promise.all(nodes.map(({ processor }) => processor.stop()))
  })

  it('is made anew when it is started again', async () => {
    const { processor, store } = run()
    store.append(deposit('a', 1))
    await processor.start()
    await processor.stop()
    store.append(deposit('a', 2))
    await processor.start()
    expect(processor.state).toEqual({ a: 3 })
    expect(processor.status().handled).toBe(2)
    await processor.stop()
  })

  it('passes over a stream that it cannot fold, and shows it', async () => {
    const view = sums(id => {
      if (id === 'b/2') throw new Error('no')
    })
    const { processor, store, told } = run(view)
    store.append(
      deposit('a', 1),
      deposit('b', 1),
      deposit('b', 2),
      deposit('b', 3),
      deposit('a', 4),
    )
    await processor.start()
    expect(processor.state).toEqual({ a: 5, b: 1 })
    expect(processor.passedOver).toEqual([
      { stream: { tenant: '', category: 'account', id: 'b' }, version: 2, reason: 'no' },
    ])
    expect(processor.status().parked).toBe(1)
    expect(told).toContainEqual({
      ...{ kind: 'stream-parked', processor: 'sums', stream: 'b', version: 2, reason: 'no' },
    })
    await processor.stop()
  })

  it('stops at one more stream than it may pass over, and says why', async () => {
    const view = sums(id => {
      throw new Error(`no ${id}`)
    })
    const { processor, store } = run(view, new MemoryEvents(1), { 'view.parked.max': 2 })
    store.append(deposit('a', 1), deposit('b', 1))
    await processor.start()
    expect(processor.status()).toMatchObject({ state: 'running', parked: 2 })
    store.append(deposit('c', 1))
    await until(() => processor.status().state === 'stopped')
    expect(processor.status().reason).toMatch(/^PARKED_EXCEEDED: more than 2 streams/)
    await expect(processor.reached(store.append())).rejects.toMatchObject({
      code: 'PROCESSOR_STOPPED',
    })
  })

  it('goes on where it was when the store was away', async () => {
    const state = { isDown: false }
    class Flaky extends MemoryEvents {
      override async *readAll(
        of: readonly string[],
        options?: ReadAllOptions,
      ): AsyncGenerator<EventPage> {
        for await (const page of super.readAll(of, options)) {
          if (state.isDown) throw new Error('the store is away')
          yield page
        }
      }
    }
    const { processor, store, told } = run(sums(), new Flaky())
    store.append(deposit('a', 1))
    await processor.start()
    state.isDown = true
    const end = store.append(deposit('a', 2))
    await until(() => told.length >= 2)
    expect(processor.status()).toMatchObject({ state: 'restarting', reason: 'the store is away' })
    expect(processor.state).toEqual({ a: 1 })
    state.isDown = false
    await processor.reached(end)
    expect(processor.state).toEqual({ a: 3 })
    expect(processor.status().reason).toBeUndefined()
    await processor.stop()
  })
})
