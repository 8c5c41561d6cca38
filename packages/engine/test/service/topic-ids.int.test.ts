// What is asked for by a topic's id never reaches another topic that has its name by then.
import { expect, test } from 'vitest'
import type { Engine } from '../../src/index.ts'
import { batchWith, createTopic, open } from '../engine/support.ts'

const IDENTITY = { memberId: '', groupInstanceId: null, generationId: -1 }

/** An engine with a topic that had been deleted and made again, and the first one's id. */
async function madeAgain(): Promise<{ engine: Engine; topicId: string }> {
  const engine = await open()
  await createTopic(engine, 't')
  const topicId = engine.topic('t')?.topicId ?? ''
  await engine.deleteTopics(['t'])
  await createTopic(engine, 't')
  return { engine, topicId }
}

const offset = { offset: 1, leaderEpoch: -1, metadata: null }
const position = { topic: 't', partition: 0, offset: 0, maxBytes: 1_000 }
const waiting = { minBytes: 1, maxBytes: 1_000, isolation: 'read_uncommitted' } as const

test('a batch for the id of a deleted topic is not stored in one of the same name', async () => {
  const { engine, topicId } = await madeAgain()
  const batch = batchWith(['a'])
  const [refused] = await engine.append([{ topic: 't', topicId, partition: 0, batch }])
  expect(refused?.error?.code).toBe('UNKNOWN_TOPIC_ID')
  const now = engine.topic('t')?.topicId ?? ''
  const [stored] = await engine.append([{ topic: 't', topicId: now, partition: 0, batch }])
  expect(stored).toMatchObject({ baseOffset: 0 })
})

test('a fetch by id that waits is not answered from the next topic of the name', async () => {
  const engine = await open()
  await createTopic(engine, 't')
  const topicId = engine.topic('t')?.topicId ?? ''
  const fetched = engine.fetch({
    ...waiting,
    maxWaitMs: 30_000,
    positions: [{ ...position, topicId }],
  })
  await engine.deleteTopics(['t'])
  expect((await fetched)[0]?.error?.code).toBe('UNKNOWN_TOPIC_ID')
  await createTopic(engine, 't')
  await engine.append([{ topic: 't', partition: 0, batch: batchWith(['a']) }])
  const [later] = await engine.fetch({
    ...waiting,
    maxWaitMs: 0,
    positions: [{ ...position, topicId }],
  })
  expect(later?.error?.code).toBe('UNKNOWN_TOPIC_ID')
  expect(later?.records.length).toBe(0)
})

test('offsets of a deleted topic are neither committed to nor fetched from the next of its name', async () => {
  const { engine, topicId } = await madeAgain()
  const asked = { topic: 't', topicId, partition: 0 }
  const { groups } = engine
  const refused = await groups.commit({
    ...IDENTITY,
    groupId: 'g',
    offsets: [{ ...asked, ...offset }],
  })
  expect(refused[0]?.error?.code).toBe('UNKNOWN_TOPIC_ID')
  await groups.commit({
    ...IDENTITY,
    groupId: 'g',
    offsets: [{ topic: 't', partition: 0, ...offset }],
  })
  const [fetched] = await groups.fetchOffsets('g', [asked])
  expect(fetched).toMatchObject({ offset: -1 })
  expect(fetched?.error?.code).toBe('UNKNOWN_TOPIC_ID')
})

test('a deletion by id leaves the next topic of the name alone', async () => {
  const { engine, topicId } = await madeAgain()
  const [outcome] = await engine.deleteTopics(['t'], { topicIds: new Map([['t', topicId]]) })
  expect(outcome?.error?.code).toBe('UNKNOWN_TOPIC_ID')
  expect(engine.topic('t')).toBeDefined()
})
