import fc from 'fast-check'
import { expect, it } from 'vitest'
import { AppendLines } from '../../src/service/append-lines.ts'

it('whatever comes out of turn, each line keeps its order and nobody stays behind', async () => {
  const line = fc.constantFrom<string[]>('a', 'b', 'c', 'd')
  const append = fc.record({
    lines: fc.array(line, { minLength: 1, maxLength: 3 }).map(lines => new Set(lines)),
    /** When its verdict comes, relative to the others. */
    rank: fc.nat(1000),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(append, { maxLength: 30 }), async appends => {
      const lines = new AppendLines()
      const entered: number[] = []
      const verdicts = appends.map(() => Promise.withResolvers<number>())
      for (const [i, each] of appends.entries()) {
        void lines.add(each.lines, verdicts[i]?.promise ?? Promise.resolve(i), known => {
          expect(known).toBe(i)
          entered.push(i)
        })
      }
      const order = [...appends.keys()]
      order.sort((a, b) => (appends[a]?.rank ?? 0) - (appends[b]?.rank ?? 0))
      for (const i of order) {
        verdicts[i]?.resolve(i)
        await verdicts[i]?.promise
      }
      await lines.idle()
      expect(lines.isEmpty).toBe(true)
      expect(entered.toSorted((a, b) => a - b)).toEqual([...appends.keys()])
      for (const name of ['a', 'b', 'c', 'd']) {
        const own = entered.filter(i => appends[i]?.lines.has(name) === true)
        expect(own).toEqual(own.toSorted((a, b) => a - b))
      }
    }),
  )
})

it('who has a line of its own is not held up by another', async () => {
  const lines = new AppendLines()
  const entered: string[] = []
  const late = Promise.withResolvers<null>()
  void lines.add(new Set(['slow']), late.promise, () => void entered.push('slow'))
  expect(lines.holds(['quick'])).toBe(false)
  expect(lines.holds(['quick', 'slow'])).toBe(true)
  void lines.add(new Set(['quick']), Promise.resolve(null), () => void entered.push('quick'))
  void lines.add(new Set(['slow']), Promise.resolve(null), () => void entered.push('behind'))
  await Promise.resolve()
  expect(entered).toEqual(['quick'])
  late.resolve(null)
  await lines.idle()
  expect(entered).toEqual(['quick', 'slow', 'behind'])
})

it('what fails as it enters, or has no verdict, is told to its caller; the line goes on', async () => {
  const lines = new AppendLines()
  const line = new Set(['a'])
  const thrown = lines.add(line, Promise.resolve(1), () => {
    throw new Error('as it entered')
  })
  const unjudged = lines.add(line, Promise.reject(new Error('no verdict')), () => 'entered')
  const behind = lines.add(line, Promise.resolve(3), verdict => verdict)
  await expect(thrown).rejects.toThrow('as it entered')
  await expect(unjudged).rejects.toThrow('no verdict')
  expect(await behind).toBe(3)
  await lines.idle()
})
