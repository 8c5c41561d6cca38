// Requests taken apart and put together: nothing is lost, nothing answered twice, order is kept.
import { LogError } from '@millrace/log'
import { expect, test } from 'vitest'
import type { AnyHandler, Call, HandlerNode } from '../../src/handlers/handler.ts'
import { eitherParts, listParts, topicParts } from '../../src/handlers/parts.ts'
import { handleSpread } from '../../src/listener/spread.ts'

type Fields = Record<string, unknown>

const byName = listParts({
  ...{ list: 'names', answers: 'results', size: 3, repeats: 'last' },
  key: ({ name }: { name: string }) => name,
})
const twoByName = listParts({
  ...{ list: 'names', answers: 'results', size: 3, repeats: 'two' },
  key: ({ name }: { name: string }) => name,
})
const byPartition = topicParts({
  ...{ list: 'topics', topic: 'name', partitions: 'partitions' },
  ...{ answers: 'topics', partitionAnswers: 'partitions', size: 4, repeats: 'last' },
  partitionKey: ({ index }: { index: number }) => index,
})

const named = (names: string): { name: string; at: number }[] =>
  [...names].map((name, at) => ({ name, at }))
const topic = (name: string, indexes: readonly number[], mark = 0): Fields => ({
  name,
  partitions: indexes.map(index => ({ index, mark })),
})

test('a list is cut into parts in its order, and what else the request says is in each', () => {
  const parts = byName.split({ names: named('abcdefg'), validateOnly: true })
  expect(parts.map(({ names }) => (names as { name: string }[]).map(({ name }) => name))).toEqual([
    ['a', 'b', 'c'],
    ['d', 'e', 'f'],
    ['g'],
  ])
  expect(parts.every(({ validateOnly }) => validateOnly === true)).toBe(true)
})

test('of what is repeated the last stays, at the first place; or two, and in the same part', () => {
  expect(byName.split({ names: named('abcaab') })).toEqual([
    {
      names: [
        { name: 'a', at: 4 },
        { name: 'b', at: 5 },
        { name: 'c', at: 2 },
      ],
    },
  ])
  const parts = twoByName.split({ names: named('abcxcccyx') })
  const names = parts.map(part => (part['names'] as { name: string }[]).map(n => n.name).join(''))
  expect(names).toEqual(['abcc', 'xxy'])
})

test('a request without a list, or with an empty one, is one part', () => {
  expect(byName.split({ names: [] })).toHaveLength(1)
  expect(byPartition.split({ topics: null })).toEqual([{ topics: null }])
  expect([byName.count({ names: null }), byPartition.count({ topics: [] })]).toEqual([0, 0])
})

test('a topic with many partitions is in several parts, and answered as one', () => {
  const parts = byPartition.split({ topics: [topic('a', [0, 1, 2, 3, 4, 5, 6]), topic('b', [0])] })
  for (const part of parts) {
    const topics = part['topics'] as { partitions: unknown[] }[]
    expect(topics.reduce((sum, each) => sum + 1 + each.partitions.length, 0)).toBeLessThan(7)
  }
  const answer = byPartition.join(parts as Fields[], {})
  expect(answer['topics']).toEqual([topic('a', [0, 1, 2, 3, 4, 5, 6]), topic('b', [0])])
})

test('a partition that is named under the same topic twice is asked for once', () => {
  const parts = byPartition.split({ topics: [topic('a', [0, 1], 1), topic('a', [1, 0, 0], 2)] })
  expect(parts).toEqual([{ topics: [topic('a', [0, 1], 2)] }])
})

test('an error of the whole in any part is that of the answer', () => {
  const joined = byName.join(
    [
      { errorCode: 0, results: [1] },
      { errorCode: 25, results: [2] },
    ],
    {},
  )
  expect(joined).toEqual({ errorCode: 25, results: [1, 2] })
})

test('the list that a version has is the one that is taken apart', () => {
  const either = eitherParts(byName, byPartition)
  expect(either.split({ names: [], topics: [topic('a', [0, 1, 2, 3, 4])] })).toHaveLength(2)
  expect(either.split({ names: named('abcd'), topics: [] })).toHaveLength(2)
  expect(either.join([{ topics: [topic('a', [0])] }], { names: [], topics: [1] })).toEqual({
    topics: [topic('a', [0])],
  })
})

test('parts have their turns; one that fails is answered as such, the others as they are', async () => {
  let turns = 0
  const next = async (): Promise<void> => {
    turns += 1
  }
  const handler = {
    parts: byName,
    handle: async ({ names }: { names: { name: string }[] }) => {
      if (names[0]?.name === 'd') throw new LogError('POLICY_VIOLATION', 'no')
      return { results: names.map(({ name }) => name) }
    },
    failure: ({ names }: { names: { name: string }[] }, { message }: { message: string }) => ({
      results: names.map(() => message.split(': ').at(-1)),
    }),
  }
  const begun = await handleSpread(
    {
      handler: handler as unknown as AnyHandler,
      request: { names: named('abcdefgh') },
      call: { gone: new AbortController().signal } as unknown as Call,
      node: {} as unknown as HandlerNode,
      turns: { spent: () => true, next } as never,
      isOver: () => false,
    },
    work => void work(),
  )
  expect(await begun()).toEqual({ results: ['a', 'b', 'c', 'no', 'no', 'no', 'g', 'h'] })
  expect(turns).toBe(4)
})
