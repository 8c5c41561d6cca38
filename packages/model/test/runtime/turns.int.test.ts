// What one process does for many projections leaves the others of that process their turns.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { openEngine } from '@millrace/engine'
import { expect, onTestFinished, test } from 'vitest'
import { aggregate } from '../../src/define/aggregate.ts'
import { projection } from '../../src/define/projection.ts'
import { type } from '../../src/define/schema.ts'
import { startApplication } from '../../src/runtime/start-application.ts'

const PROJECTIONS = 40

const thing = aggregate('thing', {
  events: { Made: type<{ n: number }>() },
  initial: () => ({}),
  evolve: { Made: state => state },
  commands: { make: type<{ n: number }>() },
  decide: { make: ({ n }, _, { Made }) => Made({ n }) },
})

const counts = (index: number) =>
  projection(`counts-${index}`, {
    version: 1,
    from: [thing],
    tables: type<Record<string, { n: number }>>(),
    create: db => db.schema.createTable(`made_${index}`).addColumn('n', 'integer'),
    on: { 'thing.Made': (db, { data }) => db.insertInto(`made_${index}`).values({ n: data.n }) },
  })

test('many projections that are woken by one event do not take one turn together', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-turns-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await using log = await openEngine({ folder: join(folder, 'data') })
  await using application = await startApplication({
    name: 'turns',
    log,
    folder: join(folder, 'read-models'),
    aggregates: { thing },
    projections: Object.fromEntries(
      Array.from({ length: PROJECTIONS }, (_, index) => [`p${index}`, counts(index)]),
    ),
    settings: { projections: { 'projection.turn.ms': 0 } },
  })
  const done = await application.thing('a').make({ n: 1 })
  if (!done.ok) throw new Error('the command was rejected')
  let turns = 0
  let isReached = false
  const others = (async () => {
    for (; !isReached; turns += 1) await turn()
  })()
  const all = Object.values(application.projections)
  await Promise.all(all.map(each => each.reached(done.checkpoint)))
  isReached = true
  await others
  expect(turns).toBeGreaterThan(PROJECTIONS / 2)
})
