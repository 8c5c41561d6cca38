import { resolveSettings } from '@millrace/base'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { groupOwnership, type Ownership } from '../../src/subscriptions/index.ts'
import { FOLLOWER_SETTINGS } from '../../src/subscriptions/settings.ts'
import { loan, order } from '../sagas/support/bank.ts'
import { eventually, openScene, type Scene } from '../sagas/support/scene.ts'

let scene: Scene
beforeEach(async () => {
  scene = await openScene({ aggregates: [loan, order], categories: {}, buckets: 4 })
})
afterEach(() => scene.close())

const settings = resolveSettings(FOLLOWER_SETTINGS, {
  'follower.session.timeout.ms': 1000,
  'follower.heartbeat.interval.ms': 20,
})
const make = () => groupOwnership(scene.context, 'test.group', ['loan', 'order'], settings)
const positions = (at: number, other: number) =>
  new Map([
    ['loan', new Map([[1, at]])],
    ['order', new Map([[1, other]])],
  ])
/** Joins, and keeps what it owns. */
const join = async (ownership: Ownership) => {
  const owned = new Set<number>()
  await ownership.start({
    assigned: buckets => {
      for (const bucket of buckets) owned.add(bucket)
    },
    revoked: async buckets => {
      for (const bucket of buckets) owned.delete(bucket)
    },
    failed: () => {},
  })
  return owned
}

test('positions and notes of a bucket come back, to whoever asks', async () => {
  const ownership = make()
  const owned = await join(ownership)
  await eventually('all are owned', () => owned.size === 4)
  expect(await ownership.load([1])).toEqual(new Map())
  await ownership.commit(new Map([[1, { positions: positions(7, 9), note: '123' }]]))
  const expected = new Map([[1, { positions: positions(7, 9), note: '123' }]])
  expect(await ownership.load([0, 1])).toEqual(expected)
  await ownership.stop()
  expect(await make().load([1])).toEqual(expected)
})

test('every Kafka client sees how far it is in each topic, and can move it', async () => {
  const ownership = make()
  await ownership.commit(new Map([[1, { positions: positions(7, 9), note: '' }]]))
  const places = [
    { topic: 'loan', partition: 1 },
    { topic: 'order', partition: 1 },
  ]
  const fetched = await scene.engine.groups.fetchOffsets('test.group', places)
  expect(fetched.map(({ topic, offset }) => [topic, offset])).toEqual([
    ['loan', 7],
    ['order', 9],
  ])
  await scene.engine.groups.commit({
    ...{ groupId: 'test.group', generationId: -1, memberId: '', groupInstanceId: null },
    offsets: [{ topic: 'order', partition: 1, offset: 2, leaderEpoch: -1, metadata: null }],
  })
  expect((await ownership.load([1])).get(1)?.positions).toEqual(positions(7, 2))
})

test('while members run, nobody else moves their positions', async () => {
  const ownership = make()
  const owned = await join(ownership)
  await eventually('all are owned', () => owned.size === 4)
  const outsider = make()
  const moved = new Map([[1, { positions: positions(1, 1), note: '' }]])
  await expect(outsider.commit(moved)).rejects.toMatchObject({ code: 'UNKNOWN_MEMBER_ID' })
  await ownership.stop()
  await outsider.commit(moved)
})

test('categories with other numbers of buckets are refused by name', async () => {
  await scene.close()
  scene = await openScene({ aggregates: [loan], categories: { order: { buckets: 2 } }, buckets: 4 })
  await expect(join(make())).rejects.toMatchObject({
    ...{
      code: 'BAD_DEFINITION',
      message: expect.stringContaining('loan has 4 buckets and order 2'),
    },
  })
})
