/**
 * What a category is (its number of buckets, its boundary) is fixed when it is made, and said by the
 * first record of each bucket. Whoever can write to the topic can neither change it nor stop a bucket.
 */
import assert from 'node:assert/strict'
import type { NewRecord } from '@millrace/log'
import type { BucketDescription, CategoryOptions, EventStore, StoreEvent } from '@millrace/store'
import { nth } from '../frame/frame.ts'
import type { CaseSpec } from './case-spec.ts'
import { recordsOf, write } from './log-words.ts'
import type { StoreScene } from './scene.ts'
import { added, append, eventsOf, loan, numbers, range, refuses } from './words.ts'

const ONE: Readonly<Record<string, CategoryOptions>> = { loan: { buckets: 1 } }
const CHECK_MS = 20

/** An imitated event. */
const forged = (more: Readonly<Record<string, string>>, place = '1/0/1'): NewRecord => ({
  key: 'forged',
  value: '{"n":0}',
  headers: Object.entries({
    ...{ ce_type: 'Added', ce_append: 'x~y', ce_place: place, ce_rule: '1', ...more },
  }).map(([key, value]) => ({ key, value })),
})

const FORGED: Readonly<Record<string, NewRecord>> = {
  'of a later rule': forged({ ce_rule: '2' }),
  'of a much later rule': forged({ ce_rule: '999999999999' }),
  'that says anew what the category is': {
    ...forged({ ce_kind: 'identity', ce_boundary: '9/other' }, '77'),
    key: null,
  },
  'that says so of a later rule': {
    ...forged({ ce_kind: 'identity', ce_boundary: '9/other', ce_rule: '9' }, '77'),
    key: null,
  },
  'of a time that no date holds': { ...forged({}), timestamp: 8.9e15 },
  'without a key': { ...forged({}), key: null },
  'of a negative version': forged({}, '-1/0/1'),
  'of a tenant that none can be': forged({ ce_tenant: '*' }),
}

const firstBucket = async (store: EventStore): Promise<BucketDescription> =>
  nth((await store.describe())[0]?.buckets ?? [], 0)

async function raise(scene: StoreScene, partitions: number): Promise<void> {
  const log = await scene.log()
  const [outcome] = await log.createPartitions([{ name: scene.topic('loan'), partitions }])
  assert.equal(outcome?.error, undefined)
}

export const identityCases: readonly CaseSpec[] = [
  ...Object.entries(FORGED).map(
    ([what, record]): CaseSpec => ({
      name: `a forged record ${what} is void and stops nobody, nor an opening`,
      needs: 'onLog',
      run: async scene => {
        const store = await scene.open({ categories: ONE })
        await append(store, loan('a'), added(1))
        const before = await firstBucket(store)
        await write(await scene.log(), scene.topic('loan'), 0, [record])
        await append(store, loan('a'), added(1, 2))
        await append(store, loan('b'), added(1))
        await store.catchUp()
        const other = await scene.open({ index: 1, categories: ONE })
        for (const each of [store, other]) {
          assert.deepEqual(numbers(await eventsOf(each, loan('a'))), [1, 2])
          assert.equal((await scene.all(each)).events.length, 3)
          assert.equal((await each.state(loan('forged'))).version, 0)
          const { events, position } = await firstBucket(each)
          assert.deepEqual([events, position], [3, before.position + 3])
        }
      },
    }),
  ),
  {
    name: 'every bucket begins with what the category is, once, however many open it at once',
    needs: 'onLog',
    run: async scene => {
      await Promise.all(range(0, 3).map(index => scene.open({ index })))
      const log = await scene.log()
      const records = await recordsOf(log, scene.topic('loan'))
      const first = records.filter(({ offset }) => offset === 0)
      assert.equal(first.length, 3)
      for (const { headers } of first) {
        const text = new Map(headers?.map(({ key, value }) => [key, String(value)]))
        assert.equal(text.get('ce_kind'), 'identity')
        assert.equal(text.get('ce_place'), '3')
        assert.equal(text.get('ce_boundary'), '1/id')
      }
      const stores = await Promise.all(range(4, 6).map(index => scene.open({ index })))
      const after = await recordsOf(log, scene.topic('loan'))
      assert.equal(after.length, records.length)
      await append(nth(stores, 0), loan('a'), added(1))
      assert.equal((await append(nth(stores, 1), loan('a'), added(1))).version, 2)
    },
  },
  {
    name: 'more partitions than buckets are refused at the opening, and by a store that runs',
    needs: 'onLog',
    run: async scene => {
      const settings = { 'topic.check.ms': CHECK_MS }
      const told: StoreEvent[] = []
      const running = await scene.open({ settings, onEvent: event => told.push(event) })
      for (const n of range(1, 9)) await append(running, loan(`s${n}`), added(1))
      await raise(scene, 7)
      for (const index of [0, 1]) {
        if (index === 0) await scene.eventually(() => refusal(running))
        const opening = () => scene.open({ index: index + 1, categories: { loan: {} } })
        await refuses(opening, 'BUCKETS_DIFFER', 'loan', '3', '7', 'category rewrite')
      }
      assert.ok(told.some(event => event.kind === 'bucket-failed'))
      await refuses(() => running.append(loan('s1'), added(1)), 'BUCKETS_DIFFER', 'rewrite')
      await refuses(() => eventsOf(running, loan('s1')), 'BUCKETS_DIFFER')
    },
  },
  {
    name: 'another boundary is refused, also one without a name, and another version of one',
    needs: 'onLog',
    run: async scene => {
      const first = (id: string): string => id.slice(0, 1)
      const categories = (boundary: CategoryOptions['boundary']) => ({
        loan: { buckets: 3, ...(boundary === undefined ? {} : { boundary }) },
      })
      await scene.close(await scene.open({ categories: categories(first) }))
      const refused = (boundary: CategoryOptions['boundary']) =>
        refuses(
          () => scene.open({ index: 1, categories: categories(boundary) }),
          ...(['BOUNDARY_DIFFERS', 'loan', 'category rewrite'] as const),
        )
      await refused(undefined)
      await refused(id => id.slice(0, 2))
      await scene.close(await scene.open({ index: 1, categories: categories(id => id[0] ?? '') }))
      const named = { name: 'initial', of: first }
      await scene.close(await scene.open({ index: 2, categories: categories(named) }))

      const world = '-named'
      const open = (boundary: CategoryOptions['boundary'], index: number) =>
        scene.open({ world, index, categories: categories(boundary) })
      await scene.close(await open(named, 3))
      await refuses(() => open({ ...named, version: 2 }, 4), 'BOUNDARY_DIFFERS', 'version 2')
      await refuses(() => open(undefined, 5), 'BOUNDARY_DIFFERS', 'initial')
      await scene.close(await open({ ...named, version: 1 }, 6))
    },
  },
  {
    name: 'a record of a stream in the wrong bucket is void, counted and told',
    needs: 'onLog',
    run: async scene => {
      const told: StoreEvent[] = []
      const store = await scene.open({ onEvent: event => told.push(event) })
      const { bucket } = await append(store, loan('a'), added(1))
      const wrong = (bucket + 1) % 3
      const log = await scene.log()
      const record = { ...forged({}), key: 'a' }
      await write(log, scene.topic('loan'), wrong, [record])
      await store.catchUp()
      assert.deepEqual(numbers((await scene.all(store)).events), [1])
      const other = await scene.open({ index: 1 })
      for (const each of [store, other]) {
        const described = (await each.describe()).find(one => one.category === 'loan')
        const found = nth(described?.buckets ?? [], wrong)
        assert.deepEqual([found.misplaced, found.voided, found.events], [1, 1, 0])
        const ids: string[] = []
        for await (const { stream } of each.streams('loan')) ids.push(stream.id)
        assert.deepEqual(ids, ['a'])
      }
      const tells = told.filter(event => event.kind === 'misplaced-records')
      assert.deepEqual(
        tells.map(event => event.bucket),
        [wrong],
      )
    },
  },
  {
    name: 'a category of 0.1, which does not say what it is, is taken as it is and says so from then on',
    needs: 'onLog',
    run: async scene => {
      const store = await scene.open({ world: '-new' })
      for (const n of range(1, 9)) await append(store, loan(`s${n}`), added(2))
      const log = await scene.log()
      // As 0.1 left it: the same records, without those that say what the category is.
      const topic = scene.topic('loan', '-old')
      const created = await log.createTopics([
        { name: topic, partitions: 3, configs: await configsOf(scene) },
      ])
      assert.equal(nth(created, 0).error, undefined)
      for (const record of await recordsOf(log, scene.topic('loan', '-new'))) {
        if (record.key !== null) await write(log, topic, record.partition, [record])
      }
      const old = await scene.open({ world: '-old', index: 1, categories: { loan: {} } })
      for (const n of range(1, 9)) assert.equal((await old.state(loan(`s${n}`))).version, 2)
      await append(old, loan('s1'), added(1))
      const said = await recordsOf(log, topic)
      assert.equal(said.filter(({ key }) => key === null).length, 3)
      await scene.close(old)
      const [outcome] = await log.createPartitions([{ name: topic, partitions: 4 }])
      assert.equal(outcome?.error, undefined)
      const opening = () => scene.open({ world: '-old', index: 2, categories: { loan: {} } })
      await refuses(opening, 'BUCKETS_DIFFER')
    },
  },
]

async function refusal(store: EventStore): Promise<void> {
  await refuses(() => store.state(loan('s1')), 'BUCKETS_DIFFER')
}

/** What the topic of a category is configured with. */
async function configsOf(scene: StoreScene): Promise<Record<string, string>> {
  const configs: Record<string, string> = {}
  const log = await scene.log()
  for (const { name, value, source } of await log.describeConfig(scene.topic('loan', '-new'))) {
    if (source === 'topic' && value !== null) configs[name] = value
  }
  return configs
}
