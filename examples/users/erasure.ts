/** Erases who asked for it at once, and who left when the time is over. */
import { after, cancel, effect, end, saga, send, tell } from 'millrace'
import { z } from 'zod'
import { user } from './user.ts'

/** How long a user who left is kept. */
export const RETENTION_DAYS = 30

/**
 * Destroys the key of a user: from then on name and address are unreadable wherever they were
 * written. To forget twice is to forget once, so it does no harm that an effect may run again.
 */
export const forget = effect('forget', z.object({ user: z.string() }), async (data, context) => {
  await context.forget(data.user)
})

export const erasure = saga('erasure', {
  from: [user],
  starts: ['user.Registered'],
  key: event => event.stream,
  initial: () => ({}),
  on: {
    'user.Left': () => [after('kept', { days: RETENTION_DAYS })],
    'user.Erased': (_, { stream }) => [cancel('kept'), send(forget, { user: stream }), end()],
  },
  timers: { kept: (_, { id }) => [tell(user, id, 'erase', { because: 'retention' })] },
})
