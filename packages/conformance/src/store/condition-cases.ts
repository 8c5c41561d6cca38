/**
 * Appends that rest on what was read by tags (dynamic consistency boundary), within a bucket:
 * streams of the category `course` whose ids begin alike.
 */
import assert from 'node:assert/strict'
import type { AppendCondition, Checkpoint, EventQuery, EventStore } from '@millrace/store'
import type { CaseSpec } from './case-spec.ts'
import type { StoreScene } from './scene.ts'
import { allPages, append, course, lost, range, refuses, tagged, works } from './words.ts'

/** What was read of a query, and where the reading ended. */
async function readBy(
  store: EventStore,
  query: EventQuery,
): Promise<{ readonly count: number; readonly after: Checkpoint }> {
  const read = await allPages(store.readAll(['course'], { filter: query }))
  return { count: read.events.length, after: read.checkpoint }
}

/** Appends under a condition and tells whether it was accepted. */
async function conditional(
  store: EventStore,
  id: string,
  condition: AppendCondition,
): Promise<boolean> {
  const result = await store.append(course(id), [tagged('Done')], { condition })
  if (!result.ok) assert.equal(result.conflict, 'condition')
  return result.ok
}

/** Whether an event of a bucket stands in the way of a query, without and with a reading before. */
const inTheWay = (
  name: string,
  event: { readonly type: string; readonly tags: readonly string[] },
  query: EventQuery,
  conflicts: boolean,
): CaseSpec => ({
  name,
  run: async (scene: StoreScene) => {
    const store = await scene.open()
    const before = await readBy(store, query)
    await append(store, course('x/1'), [tagged(event.type, ...event.tags)])
    const failIfMatch = [query]
    assert.equal(await conditional(store, 'x/2', { failIfMatch, after: before.after }), !conflicts)
    assert.equal(await conditional(store, 'x/3', { failIfMatch }), !conflicts)
    const now = await readBy(store, query)
    assert.equal(now.count, conflicts ? 1 : 0)
    assert.equal(await conditional(store, 'x/4', { failIfMatch, after: now.after }), true)
    assert.equal((await store.state(course('x/4'))).version, 1)
  },
})

export const conditionCases: readonly CaseSpec[] = [
  inTheWay(
    'an event with the tag of a condition stands in its way',
    { type: 'A', tags: ['c:1'] },
    { tags: ['c:1'] },
    true,
  ),
  inTheWay(
    'an event with more tags than a condition stands in its way',
    { type: 'A', tags: ['c:1', 's:7', 'x'] },
    { tags: ['c:1', 's:7'] },
    true,
  ),
  inTheWay(
    'an event with only some of the tags of a condition does not stand in its way',
    { type: 'A', tags: ['c:1'] },
    { tags: ['c:1', 's:7'] },
    false,
  ),
  inTheWay(
    'an event with an unrelated tag does not stand in the way of a condition',
    { type: 'A', tags: ['c:2'] },
    { tags: ['c:1'] },
    false,
  ),
  inTheWay(
    'an event without tags does not stand in the way of a condition by tags',
    { type: 'A', tags: [] },
    { tags: ['c:1'] },
    false,
  ),
  inTheWay(
    'an event of any of the types of a condition, with its tag, stands in its way',
    { type: 'B', tags: ['c:1'] },
    { types: ['A', 'B'], tags: ['c:1'] },
    true,
  ),
  inTheWay(
    'an event of another type does not stand in the way of a condition, whatever its tags',
    { type: 'C', tags: ['c:1'] },
    { types: ['A', 'B'], tags: ['c:1'] },
    false,
  ),
  inTheWay(
    'tags are compared whole and as they are written',
    { type: 'A', tags: ['c:1', 'C:10', 'c:100'] },
    { tags: ['c:10'] },
    false,
  ),
  inTheWay(
    'the tags of a condition stand in any order',
    { type: 'A', tags: ['s:7', 'c:1'] },
    { tags: ['c:1', 's:7'] },
    true,
  ),

  {
    name: 'the queries of a condition are alternatives',
    run: async scene => {
      const store = await scene.open()
      const failIfMatch = [{ tags: ['c:1'] }, { types: ['B'], tags: ['c:2'] }]
      await append(store, course('x/1'), [tagged('A', 'c:2')])
      assert.equal(await conditional(store, 'x/2', { failIfMatch }), true)
      await append(store, course('x/1'), [tagged('B', 'c:2')])
      assert.equal(await conditional(store, 'x/3', { failIfMatch }), false)
      const { after } = await readBy(store, {})
      await append(store, course('x/1'), [tagged('C', 'c:1')])
      assert.equal(await conditional(store, 'x/3', { failIfMatch, after }), false)
    },
  },
  {
    name: 'a condition after a reading that found nothing still guards',
    run: async scene => {
      const store = await scene.open()
      const failIfMatch = [{ tags: ['name:ada'] }]
      const first = await readBy(store, { tags: ['name:ada'] })
      const second = await readBy(store, { tags: ['name:ada'] })
      assert.deepEqual([first.count, second.count], [0, 0])
      const take = (id: string, after: Checkpoint) =>
        store.append(course(id), [tagged('Taken', 'name:ada')], {
          condition: { failIfMatch, after },
        })
      assert.equal((await take('x/1', first.after)).ok, true)
      lost(await take('x/2', second.after), 'condition')
      assert.equal((await store.state(course('x/2'))).version, 0)
    },
  },
  {
    name: 'a condition that lost has written none of its events, and brings what matched',
    run: async scene => {
      const store = await scene.open()
      const { after } = await readBy(store, { tags: ['c:1'] })
      await append(store, course('x/1'), [tagged('A', 'c:1'), tagged('B', 'c:2')])
      await append(store, course('x/2'), [tagged('C', 'c:1')])
      const condition = { failIfMatch: [{ tags: ['c:1'] }], after }
      const events = [tagged('D', 'c:1'), tagged('E')]
      const conflict = lost(await store.append(course('x/3'), events, { condition }), 'condition')
      assert.deepEqual(
        conflict.events.map(event => [event.type, event.stream]),
        [
          ['A', 'x/1'],
          ['C', 'x/2'],
        ],
      )
      assert.deepEqual([conflict.complete, conflict.version], [true, 0])
      assert.equal((await scene.all(store, 'course')).events.length, 3)
    },
  },
  {
    name: 'what a lost condition brings is enough to decide again and to be accepted',
    run: async scene => {
      const store = await scene.open()
      const { after } = await readBy(store, { tags: ['c:1'] })
      await append(store, course('x/1'), [tagged('A', 'c:1')])
      const failIfMatch = [{ tags: ['c:1'] }]
      const events = [tagged('B', 'c:1')]
      const conflict = lost(
        await store.append(course('x/2'), events, { condition: { failIfMatch, after } }),
        'condition',
      )
      const condition = { failIfMatch, after: conflict.checkpoint }
      await append(store, course('x/2'), events, { condition })
      assert.equal((await readBy(store, { tags: ['c:1'] })).count, 2)
    },
  },
  {
    name: 'a condition is judged by what was there before, not by the events of its own append',
    run: async scene => {
      const store = await scene.open()
      const condition = { failIfMatch: [{ tags: ['c:1'] }] }
      const events = [tagged('A', 'c:1'), tagged('B', 'c:1')]
      assert.equal((await append(store, course('x/1'), events, { condition })).version, 2)
      lost(await store.append(course('x/1'), events, { condition }), 'condition')
    },
  },
  {
    name: 'an append without a condition stands in the way of later ones with one',
    run: async scene => {
      const store = await scene.open()
      const { after } = await readBy(store, { tags: ['c:1'] })
      await append(store, course('x/1'), [tagged('A', 'c:1')])
      const condition = { failIfMatch: [{ tags: ['c:1'] }], after }
      lost(await store.append(course('x/2'), [tagged('B')], { condition }), 'condition')
    },
  },
  {
    name: 'an append that lost does not stand in the way of a condition',
    run: async scene => {
      const store = await scene.open()
      await append(store, course('x/1'), [tagged('A')])
      lost(await store.append(course('x/1'), [tagged('B', 'c:1')], { expectedVersion: 0 }))
      assert.equal(await conditional(store, 'x/2', { failIfMatch: [{ tags: ['c:1'] }] }), true)
      await append(store, course('x/3'), [tagged('C', 'c:1')])
      assert.equal(await conditional(store, 'x/2', { failIfMatch: [{ tags: ['c:1'] }] }), false)
    },
  },
  {
    name: 'conditions do not look into the data of events',
    run: async scene => {
      const store = await scene.open()
      const data = { tags: ['c:1'], type: 'A', c: 1 }
      await append(store, course('x/1'), [{ type: 'A', data, tags: ['other'] }])
      assert.equal(await conditional(store, 'x/2', { failIfMatch: [{ tags: ['c:1'] }] }), true)
      assert.equal(await conditional(store, 'x/3', { failIfMatch: [{ tags: ['other'] }] }), false)
    },
  },
  {
    name: 'conditions see the events of every stream of their bucket',
    run: async scene => {
      const store = await scene.open()
      for (const n of range(1, 20)) await append(store, course(`x/${n}`), [tagged('A', `c:${n}`)])
      for (const n of range(1, 20)) {
        const failIfMatch = [{ tags: [`c:${n}`] }]
        assert.equal(await conditional(store, 'x/new', { failIfMatch }), false)
      }
      assert.equal(await conditional(store, 'x/new', { failIfMatch: [{ tags: ['c:0'] }] }), true)
    },
  },
  {
    name: 'a condition after the checkpoint of an append guards what comes behind it',
    run: async scene => {
      const store = await scene.open()
      const { checkpoint } = await append(store, course('x/1'), [tagged('A', 'c:1')])
      const condition = { failIfMatch: [{ tags: ['c:1'] }], after: checkpoint }
      await append(store, course('x/2'), [tagged('B', 'c:1')], { condition })
      lost(await store.append(course('x/3'), [tagged('C', 'c:1')], { condition }), 'condition')
    },
  },
  {
    name: 'a condition and an expected version must both hold',
    run: async scene => {
      const store = await scene.open()
      await append(store, course('x/1'), [tagged('A', 'c:1')])
      const free = { failIfMatch: [{ tags: ['c:2'] }] }
      const taken = { failIfMatch: [{ tags: ['c:1'] }] }
      const run = (condition: AppendCondition, expectedVersion: number) =>
        store.append(course('x/1'), [tagged('B')], { condition, expectedVersion })
      lost(await run(free, 0), 'version')
      lost(await run(taken, 1), 'condition')
      assert.equal((await run(free, 1)).ok, true)
    },
  },
  {
    name: 'an append of no events is judged by its condition',
    run: async scene => {
      const store = await scene.open()
      await append(store, course('x/1'), [tagged('A', 'c:1')])
      const judged = (tag: string) =>
        store.append(course('x/2'), [], { condition: { failIfMatch: [{ tags: [tag] }] } })
      lost(await judged('c:1'), 'condition')
      assert.equal((await judged('c:2')).ok, true)
    },
  },
  {
    name: 'a repeated command is answered with its first result, though its condition fails now',
    run: async scene => {
      const store = await scene.open()
      const options = { commandId: 'c1', condition: { failIfMatch: [{ tags: ['c:1'] }] } }
      await append(store, course('x/1'), [tagged('A', 'c:1')], options)
      const again = await append(store, course('x/1'), [tagged('A', 'c:1')], options)
      assert.deepEqual([again.duplicate, again.version], [true, 1])
    },
  },
  {
    name: 'a condition is right over thousands of tagged events',
    run: async scene => {
      const store = await scene.open()
      const start = await readBy(store, {})
      for (const n of range(0, 9)) {
        const events = range(1, 1000).map(i => tagged('A', `c:${1000 * n + i}`))
        await append(store, course(`x/${n}`), events)
      }
      const run = (tag: string, after?: Checkpoint) =>
        conditional(store, 'x/new', {
          failIfMatch: [{ tags: [tag] }],
          ...(after === undefined ? {} : { after }),
        })
      assert.equal(await run('c:1'), false)
      assert.equal(await run('c:9999'), false)
      assert.equal(await run('c:1', start.after), false)
      assert.equal(await run('c:0'), true)
      assert.equal(await run('c:0', start.after), true)
      const now = await readBy(store, { tags: ['c:5000'] })
      assert.equal(now.count, 1)
      assert.equal(await run('c:5000', now.after), true)
    },
  },
  {
    name: 'a condition has queries, and each names a tag',
    run: async scene => {
      const store = await scene.open()
      const queries: (readonly EventQuery[])[] = [[], [{}], [{ tags: [] }], [{ types: ['A'] }]]
      for (const failIfMatch of queries) {
        const run = () => conditional(store, 'x/1', { failIfMatch })
        await refuses(run, 'BAD_ARGUMENT', 'failIfMatch')
      }
      await works(store, 'course')
    },
  },
]
