import { expect, test } from 'vitest'
import { Closing } from '../../src/runtime/closing.ts'

test('what was opened last is closed first, once, and nothing is left open by a failure', async () => {
  const closed: string[] = []
  const closing = new Closing()
  const add = (name: string, failure?: Error): void =>
    closing.add(async () => {
      closed.push(name)
      if (failure !== undefined) throw failure
    })
  add('store')
  add('database', new Error('first'))
  add('processors')
  add('gate', new Error('busy'))
  const both = [closing.close(), closing.close()]
  for (const one of both) await expect(one).rejects.toThrow('busy')
  expect(closed).toEqual(['gate', 'processors', 'database', 'store'])
})
