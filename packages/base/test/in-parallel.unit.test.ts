// So many at once, all of them, in order; and a failure leaves nothing under way.
import { expect, test } from 'vitest'
import { inParallel } from '../src/in-parallel.ts'

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('works on all items in their order, never on more at once than it may', async () => {
  const begun: number[] = []
  let underWay = 0
  let most = 0
  await inParallel([1, 2, 3, 4, 5, 6, 7], 3, async item => {
    begun.push(item)
    underWay += 1
    most = Math.max(most, underWay)
    for (let turns = item % 3; turns >= 0; turns -= 1) await turn()
    underWay -= 1
  })
  expect({ begun, most, underWay }).toEqual({ begun: [1, 2, 3, 4, 5, 6, 7], most: 3, underWay: 0 })
})

test('after a failure begins no further item, and throws it when those under way are done', async () => {
  const ended: number[] = []
  const work = inParallel([1, 2, 3, 4], 2, async item => {
    if (item === 1) throw new Error('the first')
    await turn()
    ended.push(item)
  })
  await expect(work).rejects.toThrow('the first')
  expect(ended).toEqual([2])
})

test('has nothing to do with nothing', async () => {
  await inParallel([], 4, async () => expect.unreachable())
})
