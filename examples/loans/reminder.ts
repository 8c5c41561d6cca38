/**
 * Reminds of offers: a customer who has not answered two weeks after an offer was sent gets a letter.
 *
 * Its clock is that of the replay: a timer falls due by the times of the events, so an import of
 * events from 2011 writes the letters that would have been written then, and a second import none.
 */
import { after, cancel, effect, end, saga, send } from 'millrace'
import { z } from 'zod'
import { loan } from './loan.ts'

/** Days that a customer has. */
export const ANSWER_DAYS = 14

/** Writes a letter: at least once, always with the same id. `letters` stands for the post here. */
export const letters = new Map<string, string>()
export const letter = effect('letter', z.object({ loan: z.string() }), async (data, { id }) => {
  letters.set(id, data.loan)
})

const answered = () => [cancel('no-answer')]

export const reminder = saga('reminder', {
  from: [loan],
  starts: ['loan.OfferSent'],
  key: event => event.stream,
  clock: 'replay',
  initial: () => ({}),
  on: {
    'loan.OfferSent': () => [after('no-answer', { days: ANSWER_DAYS })],
    'loan.OfferSentBack': answered,
    'loan.OfferAccepted': answered,
    'loan.OfferDeclined': answered,
    'loan.OfferCancelled': answered,
    'loan.Declined': () => [end()],
    'loan.Cancelled': () => [end()],
  },
  timers: { 'no-answer': (_, { id }) => [send(letter, { loan: id })] },
})
