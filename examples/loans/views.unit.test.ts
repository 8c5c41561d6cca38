// The read models: given these events, then these rows. The scenario runs them more than once, with
// restarts, broken transactions and a rebuild, and all must come to the same.
import { projectionScenario } from 'millrace/testing'
import { describe, it } from 'vitest'
import { applications, counts, months, workList } from './views.ts'

const october = Date.parse('2011-10-03T09:00:00Z')
const november = Date.parse('2011-11-03T09:00:00Z')
const submitted = (stream: string, amount: number, time = october) =>
  ({ type: 'loan.Submitted', stream, data: { amount }, time }) as const

describe('the read models', () => {
  it('show each application with its state', async () => {
    await projectionScenario(applications)
      .given([
        submitted('1', 20_000),
        submitted('2', 5_000),
        { type: 'loan.PartlySubmitted', stream: '1', data: {} },
        { type: 'loan.Declined', stream: '1', data: {} },
      ])
      .expectRows('applications', [
        { id: '1', amount: 20_000, state: 'declined' },
        { id: '2', amount: 5_000, state: 'submitted' },
      ])
  })

  it('list what each employee works on, until it is done', async () => {
    await projectionScenario(workList)
      .given([
        {
          type: 'loan.WorkStarted',
          stream: '1',
          data: { item: 'check', by: '112' },
          time: october,
        },
        { type: 'loan.WorkStarted', stream: '1', data: { item: 'call' }, time: november },
        { type: 'loan.WorkCompleted', stream: '1', data: { item: 'check', by: '112' } },
      ])
      .expectRows('work', [{ loan: '1', item: 'call', employee: 'nobody', since: november }])
  })

  it('sum the amounts of each month', async () => {
    await projectionScenario(months)
      .given([submitted('1', 20_000), submitted('2', 5_000), submitted('3', 7_000, november)])
      .expectRows('months', [
        { month: '2011-10', submitted: 2, amount: 25_000 },
        { month: '2011-11', submitted: 1, amount: 7_000 },
      ])
  })

  it('count events by type and by application', async () => {
    await projectionScenario(counts)
      .given([submitted('1', 20_000), { type: 'loan.Declined', stream: '1', data: {} }])
      .expectRows('counts', [
        { kind: 'type', name: 'loan.Submitted', events: 1 },
        { kind: 'type', name: 'loan.Declined', events: 1 },
        { kind: 'loan', name: '1', events: 2 },
      ])
  })
})
