/** The users application: `npx millrace start --app users --demo`. */
import { defineApplication, projection, type } from 'millrace'
import { erasure, forget } from './erasure.ts'
import { ownKeys } from './keys.ts'
import { user } from './user.ts'

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
  sagas: { erasure },
  effects: { forget },
  keys: ownKeys(process.env['USERS_KEYS'] ?? 'users.keys'),
  figures: async ({ newsletter: { db } }) => {
    const count = async (table: 'users' | 'newsletter'): Promise<number> => {
      const { rows } = await db
        .selectFrom(table)
        .select(({ fn }) => fn.countAll<number>().as('rows'))
        .executeTakeFirstOrThrow()
      return Number(rows)
    }
    return { users: await count('users'), 'get the newsletter': await count('newsletter') }
  },
  demo: async (service, { signal, random, pause }) => {
    while (!signal.aborted) {
      const id = Math.floor(random() * 2 ** 40).toString(36)
      const user = service.user(id)
      await user.register({ name: `User ${id}`, email: `${id}@example.org` })
      if (random() < 0.5) await user.giveConsent({ purpose: 'newsletter' })
      await pause(200 * random())
      const fate = random()
      if (fate < 0.2) await user.leave({})
      else if (fate < 0.4) await user.erase({ because: 'asked' })
    }
  },
})
