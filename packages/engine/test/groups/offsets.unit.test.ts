import { describe, expect, it } from 'vitest'
import { codeOf, DELAY_MS, GroupsBench } from './bench.ts'
import { settle, snapshotOf, subscription } from './virtual.ts'

const T0 = { topic: 't', partition: 0 }
const MINUTE = 60_000

describe('committing', () => {
  it('keeps offset, epoch and metadata, also over a restart, and answers when durable', async () => {
    const bench = new GroupsBench()
    bench.sink.latency = 5
    let answered = false
    void bench.commit().then(() => {
      answered = true
    })
    let fetched = false
    void bench.groups.fetchOffsets('g', [T0]).then(() => {
      fetched = true
    })
    await bench.time.run(4)
    expect([answered, fetched]).toEqual([false, false])
    await bench.time.run(2)
    expect([answered, fetched]).toEqual([true, true])
    const kept = { ...T0, offset: 5, leaderEpoch: 3, metadata: 'note' }
    expect(await bench.groups.fetchOffsets('g')).toEqual([kept])
    bench.restart()
    expect(await bench.groups.fetchOffsets('g', [T0, { topic: 't', partition: 1 }])).toEqual([
      kept,
      { topic: 't', partition: 1, offset: -1, leaderEpoch: -1, metadata: '' },
    ])
  })

  it('without membership is for empty groups only', async () => {
    const bench = new GroupsBench()
    expect(codeOf((await bench.commit())[0])).toBeUndefined()
    await bench.stable(1)
    expect(codeOf((await bench.commit())[0])).toBe('UNKNOWN_MEMBER_ID')
  })

  it('needs member and generation, and waits for the assignment', async () => {
    const bench = new GroupsBench()
    const [one] = await bench.joinedOnly(1)
    expect(codeOf((await bench.commit(one))[0])).toBe('REBALANCE_IN_PROGRESS')
    await bench.sync(one)
    expect(codeOf((await bench.commit(one))[0])).toBeUndefined()
    expect(codeOf((await bench.commit({ ...one, generationId: 0 }))[0])).toBe('ILLEGAL_GENERATION')
    expect(codeOf((await bench.commit({ ...one, memberId: 'x' }))[0])).toBe('UNKNOWN_MEMBER_ID')
    const elsewhere = await bench.commit({ ...one, groupId: 'none' })
    expect(codeOf(elsewhere[0])).toBe('ILLEGAL_GENERATION')
    void bench.join()
    await settle()
    expect(await bench.state()).toBe('PreparingRebalance')
    expect(codeOf((await bench.commit(one))[0])).toBeUndefined()
  })

  it('judges each partition by itself', async () => {
    const bench = new GroupsBench({ 'offset.metadata.max.bytes': 4, 'group.offsets.max': 2 })
    const entry = { leaderEpoch: -1, metadata: 'é' as string | null }
    const outcomes = await bench.commit({
      offsets: [
        { ...entry, topic: 't', partition: 0, offset: 1 },
        { ...entry, topic: 't', partition: 1, offset: 1, metadata: 'ééé' },
        { ...entry, topic: 'none', partition: 0, offset: 1 },
        { ...entry, topic: 't', partition: 99, offset: 1 },
        { ...entry, topic: 't', partition: 2, offset: 2 ** 53 },
        { ...entry, topic: 't', partition: 3, offset: 1, metadata: null },
        { ...entry, topic: 't', partition: 4, offset: 1 },
      ],
    })
    expect(outcomes.map(codeOf)).toEqual([
      undefined,
      'OFFSET_METADATA_TOO_LARGE',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'INVALID_REQUEST',
      undefined,
      'INVALID_COMMIT_OFFSET_SIZE',
    ])
  })

  it('is taken for the empty group id, which is a group to all but members, as in Kafka', async () => {
    const bench = new GroupsBench()
    expect(codeOf((await bench.commit({ groupId: '' }))[0])).toBeUndefined()
    expect(await bench.groups.fetchOffsets('', [T0])).toMatchObject([{ offset: 5 }])
    expect(await bench.groups.describe([''])).toMatchObject([{ state: 'Empty' }])
    await expect(bench.groups.deleteOffsets('', [T0])).rejects.toMatchObject({
      code: 'INVALID_GROUP_ID',
    })
    expect((await bench.groups.delete([''])).map(codeOf)).toEqual([undefined])
    expect(await bench.groups.fetchOffsets('', [T0])).toMatchObject([{ offset: -1 }])
    const long = 'x'.repeat(32_768)
    expect(codeOf((await bench.commit({ groupId: long }))[0])).toBe('INVALID_GROUP_ID')
  })

  it('is refused, retriably, when the disk takes nothing, and changes nothing', async () => {
    const bench = new GroupsBench()
    bench.sink.refuse = true
    expect(codeOf((await bench.commit())[0])).toBe('COORDINATOR_NOT_AVAILABLE')
    bench.sink.refuse = false
    expect(await bench.groups.fetchOffsets('g')).toEqual([])
    bench.sink.fenced = true
    expect(codeOf((await bench.commit())[0])).toBe('COORDINATOR_NOT_AVAILABLE')
    await expect(bench.groups.fetchOffsets('g')).rejects.toMatchObject({
      code: 'COORDINATOR_NOT_AVAILABLE',
    })
  })
})

describe('deleting', () => {
  it('takes away offsets of topics that nobody reads, and keeps those that a member does', async () => {
    const bench = new GroupsBench()
    const [one] = await bench.stable(1)
    const offsets = ['t', 'u'].map(topic => ({
      topic,
      partition: 0,
      offset: 1,
      leaderEpoch: -1,
      metadata: null,
    }))
    await bench.commit({ ...one, offsets })
    const all = [T0, { topic: 'u', partition: 0 }, { topic: 'none', partition: 0 }]
    const outcomes = await bench.groups.deleteOffsets('g', all)
    expect(outcomes.map(codeOf)).toEqual([
      'GROUP_SUBSCRIBED_TO_TOPIC',
      undefined,
      'UNKNOWN_TOPIC_OR_PARTITION',
    ])
    expect((await bench.groups.fetchOffsets('g')).map(({ topic }) => topic)).toEqual(['t'])
    await expect(bench.groups.deleteOffsets('none', all)).rejects.toMatchObject({
      code: 'GROUP_ID_NOT_FOUND',
    })
    const other = new GroupsBench()
    await other.stable(1, [{ protocolType: 'connect' }])
    await expect(other.groups.deleteOffsets('g', all)).rejects.toMatchObject({
      code: 'NON_EMPTY_GROUP',
    })
  })

  it('takes unreadable metadata of a consumer for a subscription to everything', async () => {
    const bench = new GroupsBench()
    const protocols = [{ name: 'range', metadata: Buffer.from('opaque') }]
    await bench.stable(1, [{ protocols }])
    const [outcome] = await bench.groups.deleteOffsets('g', [T0])
    expect(codeOf(outcome)).toBe('GROUP_SUBSCRIBED_TO_TOPIC')
  })

  it('removes an empty group with all it has, for good', async () => {
    const bench = new GroupsBench()
    const [one] = await bench.stable(1)
    await bench.commit(one)
    expect((await bench.groups.delete(['g', 'none'])).map(codeOf)).toEqual([
      'NON_EMPTY_GROUP',
      'GROUP_ID_NOT_FOUND',
    ])
    await bench.time.run(11_000)
    expect(await bench.state()).toBe('Empty')
    expect((await bench.groups.delete(['g'])).map(codeOf)).toEqual([undefined])
    expect(await bench.state()).toBe('Dead')
    bench.restart()
    expect(await bench.state()).toBe('Dead')
    expect(await bench.groups.fetchOffsets('g')).toEqual([])
    expect(snapshotOf(bench.groups.machines)).toEqual([])
  })

  it('forgets the offsets of a deleted topic', async () => {
    const bench = new GroupsBench()
    await bench.commit()
    await bench.groups.onTopicDeleted('u')
    expect(await bench.groups.fetchOffsets('g')).toHaveLength(1)
    await bench.groups.onTopicDeleted('t')
    bench.restart()
    expect(await bench.groups.fetchOffsets('g')).toEqual([])
  })

  it('keeps a group whose last offset went until the next look for expired ones, over restarts', async () => {
    const ways: ((bench: GroupsBench) => Promise<unknown>)[] = [
      bench => bench.groups.onTopicDeleted('t'),
      bench => bench.groups.deleteOffsets('g', [T0, T0]),
    ]
    for (const empty of ways) {
      const bench = new GroupsBench({ 'offsets.retention.check.interval.ms': MINUTE })
      await bench.commit()
      await empty(bench)
      expect(await bench.groups.list()).toEqual([
        { groupId: 'g', protocolType: '', state: 'Empty' },
      ])
      bench.restart()
      expect(await bench.state()).toBe('Empty')
      await bench.time.run(MINUTE + 10)
      expect(await bench.groups.list()).toEqual([])
      expect(snapshotOf(bench.groups.machines)).toEqual([])
    }
  })

  it('finds offsets of a topic whose deletion was cut off by a crash, at the next start', async () => {
    const bench = new GroupsBench()
    await bench.commit()
    bench.topics.delete('t')
    bench.restart()
    await bench.groups.purged('t')
    expect(await bench.groups.fetchOffsets('g')).toEqual([])
  })

  it('tells that offsets of a deleted topic could not be removed, and no topic of that name meets them', async () => {
    const bench = new GroupsBench({ 'offsets.retention.check.interval.ms': MINUTE })
    await bench.commit()
    bench.topics.delete('t')
    bench.sink.refuse = true
    await expect(bench.groups.onTopicDeleted('t')).rejects.toThrow('no room')
    await expect(bench.groups.purged('t')).rejects.toThrow('no room')
    expect(bench.warnings).toHaveLength(1)
    expect(bench.warnings[0]).toContain('topic t could not be removed: no room')
    bench.sink.refuse = false
    await bench.groups.purged('t')
    expect(await bench.groups.fetchOffsets('g')).toEqual([])
    expect(bench.groups.purged('t')).toBeUndefined()
  })

  it('removes offsets of a deleted topic at the next look where their removal had failed', async () => {
    const bench = new GroupsBench({ 'offsets.retention.check.interval.ms': MINUTE })
    await bench.commit()
    bench.topics.delete('t')
    bench.sink.refuse = true
    await expect(bench.groups.onTopicDeleted('t')).rejects.toThrow('no room')
    await bench.time.run(MINUTE + 10)
    expect(bench.warnings).toHaveLength(1)
    bench.sink.refuse = false
    await bench.time.run(MINUTE + 10)
    expect(await bench.groups.fetchOffsets('g')).toEqual([])
  })

  it('takes as many commit groups as a large group needs, and others have room in between', async () => {
    const bench = new GroupsBench()
    const groupId = await largeGroup(bench)
    bench.sink.largest = 0
    bench.sink.latency = 5
    const deleting = bench.groups.delete([groupId])
    const joined = await bench.join({ groupId })
    expect(codeOf(joined)).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(codeOf((await bench.commit({ groupId }))[0])).toBe('COORDINATOR_NOT_AVAILABLE')
    await bench.time.run(1000)
    expect((await deleting).map(codeOf)).toEqual([undefined])
    expect(bench.sink.largest).toBeLessThanOrEqual(bench.sink.sliceBytes)
    bench.restart()
    expect(await bench.groups.describe([groupId])).toMatchObject([{ state: 'Dead' }])
    expect(await bench.groups.fetchOffsets(groupId)).toEqual([])
  })

  it('ends between two slices when the coordinator is closed', async () => {
    const bench = new GroupsBench()
    const groupId = await largeGroup(bench)
    bench.sink.latency = 5
    const deleting = bench.groups.delete([groupId])
    await bench.time.run(7)
    bench.groups.close()
    const { length } = bench.sink.entered
    await bench.time.run(1000)
    expect((await deleting).map(codeOf)).toEqual(['COORDINATOR_NOT_AVAILABLE'])
    expect(bench.sink.entered).toHaveLength(length)
    // What is left of it is there.
    bench.restart()
    expect((await bench.groups.fetchOffsets(groupId)).length).toBeGreaterThan(0)
  })
})

describe('expiry', () => {
  const short = { 'offsets.retention.minutes': 10, 'offsets.retention.check.interval.ms': MINUTE }

  it('removes an empty group so long after it became empty, not while it has members', async () => {
    const bench = new GroupsBench(short)
    const [one] = await bench.stable(1, [{ sessionTimeoutMs: 30 * MINUTE }])
    await bench.commit(one)
    await bench.time.run(25 * MINUTE)
    expect(await bench.groups.fetchOffsets('g')).toHaveLength(1)
    const members = [{ memberId: one?.memberId ?? '', groupInstanceId: null }]
    await bench.groups.leave({ groupId: 'g', members })
    await bench.time.run(9 * MINUTE)
    bench.restart()
    expect(await bench.groups.fetchOffsets('g')).toHaveLength(1)
    await bench.time.run(3 * MINUTE)
    expect(await bench.groups.fetchOffsets('g')).toEqual([])
    expect(bench.groups.size).toBe(0)
  })

  it('removes offsets of topics that a live group no longer reads, and of no others', async () => {
    const bench = new GroupsBench(short)
    const [one] = await bench.stable(1, [{ sessionTimeoutMs: 30 * MINUTE }])
    const offsets = ['t', 'u'].map(topic => ({
      topic,
      partition: 0,
      offset: 1,
      leaderEpoch: -1,
      metadata: null,
    }))
    await bench.commit({ ...one, offsets })
    await bench.time.run(9 * MINUTE)
    expect(await bench.groups.fetchOffsets('g')).toHaveLength(2)
    await bench.time.run(3 * MINUTE)
    expect((await bench.groups.fetchOffsets('g')).map(({ topic }) => topic)).toEqual(['t'])
  })

  it('goes on behind a group that is too large for one commit group', async () => {
    const bench = new GroupsBench(short)
    const groupId = `a-${'x'.repeat(700)}`
    for (const partition of [0, 1, 2, 3]) {
      await bench.commit({
        groupId,
        offsets: [{ topic: 't', partition, offset: 1, leaderEpoch: -1, metadata: null }],
      })
    }
    await bench.commit({ groupId: 'behind' })
    await bench.time.run(12 * MINUTE)
    expect(await bench.groups.list()).toEqual([])
  })

  it('removes standalone offsets so long after their commit', async () => {
    const bench = new GroupsBench(short)
    await bench.commit()
    await bench.time.run(8 * MINUTE)
    const offsets = [{ topic: 'u', partition: 0, offset: 1, leaderEpoch: -1, metadata: '' }]
    await bench.commit({ offsets })
    await bench.time.run(4 * MINUTE)
    expect((await bench.groups.fetchOffsets('g')).map(({ topic }) => topic)).toEqual(['u'])
  })
})

describe('describing and listing', () => {
  it('shows members of stable groups, and unknown groups as Dead', async () => {
    const bench = new GroupsBench()
    const [one] = await bench.stable(1)
    await bench.commit({ groupId: 'simple' })
    const [group, unknown] = await bench.groups.describe(['g', 'none'])
    expect(group).toMatchObject({
      state: 'Stable',
      protocolType: 'consumer',
      protocolName: 'range',
    })
    expect(group?.members[0]).toMatchObject({
      memberId: one?.memberId,
      clientId: 'client',
      clientHost: '/127.0.0.1',
      metadata: subscription(['t']),
      assignment: Buffer.from(`for ${one?.memberId}`),
    })
    expect(unknown).toMatchObject({ state: 'Dead', members: [] })
    expect(await bench.groups.list()).toHaveLength(2)
    expect(await bench.groups.list({ states: ['empty'] })).toEqual([
      { groupId: 'simple', protocolType: '', state: 'Empty' },
    ])
  })
})

describe('restart and close', () => {
  it('lets members of a stable group go on, each with a whole session', async () => {
    const bench = new GroupsBench()
    const joined = await bench.stable(2)
    await bench.time.run(9000)
    bench.restart()
    await bench.time.run(9000)
    for (const one of joined) expect(codeOf(await bench.heartbeat(one))).toBeUndefined()
    const part = await bench.sync({ ...(joined[1] ?? raise()) })
    expect(part.assignment.toString()).toBe(`for ${joined[1]?.memberId}`)
    await bench.time.run(10_001)
    expect(await bench.state()).toBe('Empty')
  })

  it('rebuilds the same state from its snapshot', async () => {
    const bench = new GroupsBench()
    const [one] = await bench.stable(2)
    await bench.commit(one)
    const snapshot = snapshotOf(bench.groups.machines)
    const before = await bench.groups.describe(['g'])
    const other = new GroupsBench()
    other.sink.entered.push(...snapshot)
    other.restart()
    expect(await other.groups.describe(['g'])).toEqual(before)
    expect(snapshotOf(other.groups.machines)).toEqual(snapshot)
  })

  it('answers all that wait when closed, and leaves no timer', async () => {
    const bench = new GroupsBench()
    const joining = bench.join({ groupId: 'h' })
    const [, follower] = await bench.joinedOnly(2)
    const waiting = bench.sync(follower)
    const other = bench.join({ groupId: 'i' })
    bench.groups.close()
    expect(codeOf(await waiting)).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(codeOf(await other)).toBe('COORDINATOR_NOT_AVAILABLE')
    expect((await joining).generationId).toBe(1)
    expect(bench.wheel.size).toBe(0)
    expect(codeOf(await bench.join())).toBe('COORDINATOR_NOT_AVAILABLE')
    expect(codeOf(await bench.heartbeat(follower))).toBe('COORDINATOR_NOT_AVAILABLE')
    await expect(bench.groups.list()).rejects.toMatchObject({ code: 'COORDINATOR_NOT_AVAILABLE' })
    await bench.time.run(DELAY_MS)
  })
})

function raise(): never {
  throw new Error('nobody')
}

/** A group whose offsets take several slices. */
async function largeGroup(bench: GroupsBench): Promise<string> {
  const groupId = `large-${'x'.repeat(400)}`
  for (const topic of ['t', 'u']) {
    const offsets = [0, 1, 2, 3, 4, 5, 6, 7].map(partition => ({
      topic,
      partition,
      offset: 1,
      leaderEpoch: -1,
      metadata: null,
    }))
    await bench.commit({ groupId, offsets })
  }
  return groupId
}
