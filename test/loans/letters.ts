// How many letters the reminder must write: a naive loop over the events, bucket by bucket in the
// order of the log, with a clock that is the highest time so far. And how many it writes.
import { join } from 'node:path'
import { openEmbedded, startApplication } from 'millrace'
import definition from '../../examples/loans/application.ts'
import { letters } from '../../examples/loans/reminder.ts'
import { until } from '../support/wait.ts'
import type { SeenEvent } from './state.ts'

const answerMs = 14 * 86_400_000
const answers = new Set(['OfferSentBack', 'OfferAccepted', 'OfferDeclined', 'OfferCancelled'])
const ends = new Set(['Declined', 'Cancelled'])

/** The applications that get a letter; one that gets two is there twice. */
export function naiveLetters(events: readonly SeenEvent[]): readonly string[] {
  const found: string[] = []
  const clocks = new Map<number, number>()
  const due = new Map<number, Map<string, number>>()
  const begun = new Set<string>()
  const over = new Set<string>()
  for (const { bucket, stream, type, time } of events) {
    const timers = due.get(bucket) ?? new Map<string, number>()
    due.set(bucket, timers)
    const clock = Math.max(clocks.get(bucket) ?? 0, time)
    clocks.set(bucket, clock)
    for (const [waiting, at] of timers) {
      if (at > clock) continue
      found.push(waiting)
      timers.delete(waiting)
    }
    if (over.has(stream)) continue
    if (type === 'OfferSent') {
      begun.add(stream)
      timers.set(stream, time + answerMs)
    }
    if (answers.has(type)) timers.delete(stream)
    // An application that was never sent an offer has no saga that could end.
    if (ends.has(type) && begun.has(stream)) {
      timers.delete(stream)
      over.add(stream)
    }
  }
  return found.toSorted()
}

/** The letters that the application writes when it runs on a folder for the first time. */
export async function writtenLetters(data: string, expected: number): Promise<readonly string[]> {
  letters.clear()
  const { aggregates, sagas = {}, effects = {} } = definition
  await using log = await openEmbedded({ data })
  await using bank = await startApplication({
    ...{ name: 'loans', log, folder: join(data, 'letters'), aggregates, sagas, effects },
  })
  await bank.sagas['reminder']?.reached(await bank.store.now(['loan']))
  await until('the letters are written', () => letters.size >= expected)
  return [...letters.values()].toSorted()
}
