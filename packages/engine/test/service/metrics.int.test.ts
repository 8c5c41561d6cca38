// What holds memory by the will of clients, and what refuses them, can be watched: used beside allowed.
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { append, createTopic, open, temporaryFolder } from '../engine/support.ts'

const COMMIT = {
  ...{ groupId: 'g', memberId: '', groupInstanceId: null, generationId: -1 },
  offsets: [{ topic: 't', partition: 0, offset: 1, leaderEpoch: -1, metadata: 'mine' }],
}

test('groups, offsets and producers are counted, each beside its bound', async () => {
  const engine = await open({
    settings: { 'producers.max': 70 },
    groupSettings: {
      'groups.max': 50,
      'groups.total.max.bytes': 2 << 20,
      'offsets.total.max.bytes': 1 << 20,
    },
  })
  await createTopic(engine, 't')
  const before = engine.metrics()
  expect(before).toMatchObject({ groups: 0, offsets: 0, offsets_bytes: 0, producers: 0 })
  await engine.groups.commit(COMMIT)
  const after = engine.metrics()
  expect(after).toMatchObject({ groups: 1, groups_max: 50, offsets: 1, producers_max: 70 })
  expect(after).toMatchObject({ groups_bytes_max: 2 << 20, offsets_bytes_max: 1 << 20 })
  expect(after['offsets_bytes']).toBeGreaterThan(0)
  expect(after['groups_bytes']).toBeGreaterThan(0)
})

test('partitions that refuse appends are counted', async () => {
  const folder = temporaryFolder()
  const engine = await open({ folder })
  await createTopic(engine, 't')
  await append(engine, 't', ['a'])
  expect(engine.metrics()).toMatchObject({ partitions_quarantined: 0, partitions_fenced: 0 })
  await engine.close()
  emptySegments(folder)
  const damaged = await open({ folder })
  expect(damaged.health().partitions).toHaveLength(1)
  expect(damaged.metrics()).toMatchObject({ partitions_quarantined: 1, partitions_fenced: 0 })
})

/** Takes the bytes of all segments of clients' partitions away. */
function emptySegments(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.log') && !/(^|\/)[0-2]\//.test(name)) writeFileSync(join(folder, name), '')
  }
}
