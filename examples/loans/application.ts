/** The loans application: `npx millrace start --app loans --demo`. */
import { defineApplication } from 'millrace'
import { demo } from './demo.ts'
import { importLine } from './import.ts'
import { loan } from './loan.ts'
import { letter, reminder } from './reminder.ts'
import { applications, counts, months, workList } from './views.ts'

const ENDS = ['approved', 'declined', 'cancelled'] as const

export default defineApplication({
  name: 'loans',
  aggregates: { loan },
  projections: { applications, workList, months, counts },
  sagas: { reminder },
  effects: { letter },
  importLine,
  demo,
  figures: async views => {
    const states = await views.applications.db
      .selectFrom('applications')
      .select(({ fn }) => ['state', fn.countAll<number>().as('count')])
      .groupBy('state')
      .execute()
    const count = (state: string): number =>
      Number(states.find(row => row.state === state)?.count ?? 0)
    const all = states.reduce((sum, row) => sum + Number(row.count), 0)
    const ended = ENDS.reduce((sum, end) => sum + count(end), 0)
    const { euros } = await views.months.db
      .selectFrom('months')
      .select(({ fn }) => fn.sum<number>('amount').as('euros'))
      .executeTakeFirstOrThrow()
    const { longest } = await views.counts.db
      .selectFrom('counts')
      .select(({ fn }) => fn.max('events').as('longest'))
      .where('kind', '=', 'loan')
      .executeTakeFirstOrThrow()
    const { events } = await views.counts.db
      .selectFrom('counts')
      .select(({ fn }) => fn.sum<number>('events').as('events'))
      .where('kind', '=', 'type')
      .executeTakeFirstOrThrow()
    const { working } = await views.workList.db
      .selectFrom('work')
      .select(({ fn }) => fn.count<number>('employee').distinct().as('working'))
      .executeTakeFirstOrThrow()
    return {
      events: Number(events ?? 0),
      applications: all,
      open: all - ended,
      approved: count('approved'),
      declined: count('declined'),
      cancelled: count('cancelled'),
      euros: Number(euros ?? 0),
      'employees at work': Number(working),
      'most events of one': Number(longest ?? 0),
    }
  },
})
