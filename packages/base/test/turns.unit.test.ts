// Long work goes in slices: it takes no more of a turn than its budget, however many work at once.
import { describe, expect, test } from 'vitest'
import { Turns } from '../src/turns.ts'

const BUDGET_MS = 10

/** A clock that moves by hand, and turns of an event loop that begin by hand. */
function bench() {
  let now = 0
  let soon: (() => void)[] = []
  const turns = new Turns(
    { clock: { monotonic: () => now }, timers: { soon: callback => void soon.push(callback) } },
    BUDGET_MS,
  )
  return {
    turns,
    /** Work of so many ms. */
    work: (ms: number): void => {
      now += ms
    },
    /** The next turn begins, and what it lets go on goes on. */
    turn: async (): Promise<void> => {
      const due = soon
      soon = []
      for (const callback of due) callback()
      for (let i = 0; i < 20; i += 1) await Promise.resolve()
    },
  }
}

describe('the budget of a turn', () => {
  test('counts from the first look in the turn, not from the last turn', async () => {
    const { turns, work, turn } = bench()
    expect(turns.spent()).toBe(false)
    work(BUDGET_MS - 1)
    expect(turns.spent()).toBe(false)
    work(1)
    expect(turns.spent()).toBe(true)
    await turn()
    work(1_000) // others work, or nobody does
    expect(turns.spent()).toBe(false)
  })

  test('is one for all who work: they go on in the order in which they asked, as long as it lasts', async () => {
    const { turns, work, turn } = bench()
    turns.spent()
    work(BUDGET_MS)
    const wentOn: string[] = []
    const waits = ['a', 'b', 'c'].map(async name => {
      await turns.next()
      wentOn.push(name)
      work(6)
    })
    await turn()
    expect(wentOn).toEqual(['a', 'b'])
    await turn()
    expect(wentOn).toEqual(['a', 'b', 'c'])
    await Promise.all(waits)
  })

  test('who waits without having looked goes on in the next turn', async () => {
    const { turns, turn } = bench()
    let wentOn = false
    const wait = turns.next().then(() => {
      wentOn = true
    })
    await Promise.resolve()
    expect(wentOn).toBe(false)
    await turn()
    await wait
  })
})
