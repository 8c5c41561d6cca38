import { expect, test } from 'vitest'
import { inTime, NoAnswer } from '../../src/storage/in-time.ts'
import { HandTime } from './support.ts'

/** The outcome of a wait of 30 s for a call that answers when the test says so. */
function waiting(time: HandTime): { readonly answer: () => void; readonly outcome: string[] } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const outcome: string[] = []
  inTime(time.timers, 30_000, promise).then(
    () => outcome.push('answered'),
    (cause: unknown) => outcome.push(cause instanceof NoAnswer ? 'no answer' : String(cause)),
  )
  return { answer: resolve, outcome }
}

test('an answer that came while the process stood still counts, also behind the timers', async () => {
  const time = new HandTime()
  const { answer, outcome } = waiting(time)
  await time.pass(100)
  time.stand(600_000)
  // The event loop runs what is due before it hears of answers.
  await time.pass(0)
  answer()
  await time.pass(0)
  expect(outcome).toEqual(['answered'])
})

test('a call without an answer is given up after its time, and not before', async () => {
  const time = new HandTime()
  const { outcome } = waiting(time)
  await time.pass(29_900)
  expect(outcome).toEqual([])
  await time.pass(200)
  expect(outcome).toEqual(['no answer'])
})
