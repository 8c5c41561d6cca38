// A request in parts: what a part that fails, and the end of the node or the connection, do to it.
import { expect, test } from 'vitest'
import type { AnyHandler, Call, HandlerNode } from '../../src/handlers/handler.ts'
import { handleSpread } from '../../src/listener/spread.ts'

const turns = { spent: () => true, next: () => new Promise<void>(setImmediate) }

/** Three parts, each of which is `handle` of its number. */
function begin(
  handle: (part: number) => object | Promise<object>,
  { gone = new AbortController().signal, isOver = (): boolean => false } = {},
): Promise<() => Promise<object>> {
  const handler = {
    parts: {
      ...{ size: 1, count: () => 3, split: () => [1, 2, 3] },
      join: (responses: readonly object[]) => ({ responses }),
    },
    handle,
    failure: () => ({}),
  }
  return handleSpread(
    {
      handler: handler as unknown as AnyHandler,
      request: {},
      call: { gone } as unknown as Call,
      node: {} as unknown as HandlerNode,
      turns: turns as never,
      isOver,
    },
    work => void work(),
  )
}

test('a part that fails unexpectedly fails the request once all have begun, and nothing else', async () => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  try {
    const begun: number[] = []
    const answer = await begin(part => {
      begun.push(part)
      if (part === 1) throw new TypeError('as the test asked')
      return {}
    })
    expect(begun).toEqual([1, 2, 3])
    await expect(answer()).rejects.toThrow('as the test asked')
    expect(unhandled).toEqual([])
  } finally {
    process.off('unhandledRejection', note)
  }
})

test('a node that stops answers all parts of what it has begun', async () => {
  const stop = new AbortController()
  const answer = await begin(
    part => {
      stop.abort()
      return { part }
    },
    { gone: stop.signal },
  )
  expect(await answer()).toEqual({ responses: [{ part: 1 }, { part: 2 }, { part: 3 }] })
})

test('nothing more is begun for a connection that is over', async () => {
  const begun: number[] = []
  await begin(
    part => {
      begun.push(part)
      return {}
    },
    { isOver: () => begun.length > 0 },
  )
  expect(begun).toEqual([1])
})
