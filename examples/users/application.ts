/** The users application: `npx millrace start --app users`. */
import { after, cancel, defineApplication, end, projection, saga, tell, type } from 'millrace'
import { user } from './user.ts'

/** How long a user who left is kept. */
export const RETENTION_DAYS = 30

/** Erases who asked for it at once, and who left when the time is over. */
export const retention = saga('retention', {
  from: [user],
  starts: ['user.Registered'],
  key: event => event.stream,
  initial: () => ({}),
  on: {
    'user.Left': () => [after('over', { days: RETENTION_DAYS })],
    'user.Erased': () => [cancel('over'), end()],
  },
  timers: { over: (_, { id }) => [tell(user, id, 'erase', { because: 'retention' })] },
})

/** Who may get the newsletter. A row goes with the consent, and with the user. */
export const newsletter = projection('newsletter', {
  version: 1,
  from: [user],
  tables: type<{
    users: { id: string; email: string }
    newsletter: { id: string }
  }>(),
  create: db => [
    db.schema
      .createTable('users')
      .addColumn('id', 'text', column => column.primaryKey())
      .addColumn('email', 'text', column => column.notNull()),
    db.schema.createTable('newsletter').addColumn('id', 'text', column => column.primaryKey()),
  ],
  on: {
    'user.Registered': (db, { stream, data }) =>
      db.insertInto('users').values({ id: stream, email: data.email }),
    'user.EmailChanged': (db, { stream, data }) =>
      db.updateTable('users').set({ email: data.email }).where('id', '=', stream),
    'user.ConsentGiven': (db, { stream, data }) =>
      data.purpose === 'newsletter' ? db.insertInto('newsletter').values({ id: stream }) : [],
    'user.ConsentWithdrawn': (db, { stream, data }) =>
      data.purpose === 'newsletter' ? db.deleteFrom('newsletter').where('id', '=', stream) : [],
    'user.Left': (db, { stream }) => db.deleteFrom('newsletter').where('id', '=', stream),
    'user.Erased': (db, { stream }) => [
      db.deleteFrom('newsletter').where('id', '=', stream),
      db.deleteFrom('users').where('id', '=', stream),
    ],
  },
})

export default defineApplication({
  name: 'users',
  aggregates: { user },
  projections: { newsletter },
  sagas: { retention },
})
