// One connection to one broker: frames, correlation, versions, limits, time.
import { LogError } from '@millrace/log'
import { heartbeat, listOffsets, metadata, offsetCommit } from '@millrace/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ClientSettings, connectKafka } from '../src/index.ts'
import { FakeCluster } from './fake-broker.ts'

const QUICK: Partial<ClientSettings> = {
  'retry.backoff.ms': 1,
  'retry.backoff.max.ms': 5,
  'network.retries.max': 0,
}
const MEMBER = { groupId: 'group', generationId: 1, memberId: 'member', groupInstanceId: null }

let cluster: FakeCluster
beforeEach(async () => {
  cluster = await FakeCluster.start(1)
})
afterEach(() => cluster.stop())

const open = (settings: Partial<ClientSettings> = {}) =>
  connectKafka({ bootstrap: cluster.bootstrap, settings: { ...QUICK, ...settings } })

const codeOf = (error: unknown): string =>
  error instanceof LogError ? error.code : `no LogError but ${String(error)}`

const failing = async (call: Promise<unknown>): Promise<LogError> => {
  const error = await call.then(
    () => new Error('it succeeded'),
    thrown => thrown,
  )
  expect(error).toBeInstanceOf(LogError)
  return error as LogError
}

describe('a connection', () => {
  it('reads answers that come byte by byte', async () => {
    cluster.leaders.set('t', [0])
    cluster.broker(0).mangle = frame => Array.from(frame, (_, at) => frame.subarray(at, at + 1))
    await using log = await open()
    expect((await log.describeTopics()).map(({ name }) => name)).toEqual(['t'])
  })

  it('reads answers that come many in one piece', async () => {
    let held: Buffer[] = []
    cluster.on(heartbeat, () => ({ errorCode: 0 }))
    await using log = await open()
    await log.groups.heartbeat(MEMBER)
    cluster.broker(0).mangle = frame => {
      held.push(frame)
      if (held.length < 5) return []
      const all = Buffer.concat(held)
      held = []
      return [all]
    }
    const answers = await Promise.all(Array.from({ length: 5 }, () => log.groups.heartbeat(MEMBER)))
    expect(answers).toEqual(Array(5).fill({}))
  })

  it('sends many requests before the first answer, and gives each its own', async () => {
    const release: (() => void)[] = []
    cluster.on(heartbeat, async ({ generationId }) => {
      await new Promise<void>(resolve => release.push(resolve))
      return { errorCode: generationId }
    })
    await using log = await open()
    const codes = [22, 25, 27]
    const answers = codes.map(generationId => log.groups.heartbeat({ ...MEMBER, generationId }))
    await expect.poll(() => release.length).toBe(codes.length)
    for (const go of release.reverse()) go()
    const told = (await Promise.all(answers)).map(({ error }) => error?.code)
    expect(told).toEqual(['ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS'])
  })

  it('holds requests back at connections.in.flight.max and refuses past connections.queued.max', async () => {
    const release: (() => void)[] = []
    cluster.on(heartbeat, async () => {
      await new Promise<void>(resolve => release.push(resolve))
      return { errorCode: 0 }
    })
    await using log = await open({ 'connections.in.flight.max': 2, 'connections.queued.max': 1 })
    const first = log.groups.heartbeat(MEMBER)
    await expect.poll(() => release.length).toBe(1)
    const others = [log.groups.heartbeat(MEMBER), log.groups.heartbeat(MEMBER)]
    await expect.poll(() => release.length).toBe(2)
    const error = await failing(log.groups.heartbeat(MEMBER))
    expect(error.code).toBe('THROTTLING_QUOTA_EXCEEDED')
    expect(error.message).toContain('connections.queued.max')
    expect(release.length).toBe(2)
    for (const go of release.splice(0)) go()
    await expect.poll(() => release.length).toBe(1)
    release[0]?.()
    await Promise.all([first, ...others])
  })

  it('says REQUEST_TIMED_OUT of what is late, and serves again over a new connection', async () => {
    let silent = true
    cluster.on(heartbeat, () => (silent ? undefined : { errorCode: 0 }))
    await using log = await open({ 'request.timeout.ms': 100 })
    expect(codeOf(await failing(log.groups.heartbeat(MEMBER)))).toBe('REQUEST_TIMED_OUT')
    silent = false
    expect(await log.groups.heartbeat(MEMBER)).toEqual({})
  })

  it('says NETWORK_EXCEPTION of what was in flight when the connection ended', async () => {
    cluster.on(heartbeat, () => {
      cluster.broker(0).cut()
      return undefined
    })
    await using log = await open()
    const error = await failing(log.groups.heartbeat(MEMBER))
    expect([error.code, error.retriable]).toEqual(['NETWORK_EXCEPTION', true])
  })

  it('ends when an answer belongs to another request', async () => {
    cluster.on(heartbeat, () => ({ errorCode: 0 }))
    await using log = await open()
    await log.groups.heartbeat(MEMBER)
    cluster.broker(0).mangle = frame => {
      frame.writeInt32BE(12_345, 4)
      return [frame]
    }
    const error = await failing(log.groups.heartbeat(MEMBER))
    expect(error.message).toContain('12345')
    cluster.broker(0).mangle = frame => [frame]
    expect(await log.groups.heartbeat(MEMBER)).toEqual({})
  })

  it('ends when an answer is larger than response.max.bytes', async () => {
    cluster.on(heartbeat, () => ({ errorCode: 0 }))
    await using log = await open({ 'response.max.bytes': 64 * 1024 })
    await log.groups.heartbeat(MEMBER)
    cluster.broker(0).mangle = frame => {
      frame.writeInt32BE(64 * 1024 + 1, 0)
      return [frame]
    }
    const error = await failing(log.groups.heartbeat(MEMBER))
    expect(error.message).toContain('65537')
  })

  it('ends when an answer cannot be read', async () => {
    cluster.on(heartbeat, () => ({ errorCode: 0 }))
    await using log = await open()
    await log.groups.heartbeat(MEMBER)
    cluster.broker(0).mangle = frame => {
      frame.writeInt32BE(frame.length - 5, 0)
      return [frame.subarray(0, frame.length - 1)]
    }
    expect(codeOf(await failing(log.groups.heartbeat(MEMBER)))).toBe('UNKNOWN_SERVER_ERROR')
  })

  it('gives up a broker that accepts and says nothing', async () => {
    cluster.broker(0).mangle = () => []
    const error = await failing(open({ 'connections.setup.timeout.ms': 50 }))
    expect(error.code).toBe('NETWORK_EXCEPTION')
    expect(error.message).toContain('50 ms')
  })

  it('names the address that nobody listens at', async () => {
    const { bootstrap } = cluster
    await cluster.stop()
    const error = await failing(connectKafka({ bootstrap }))
    expect(error.code).toBe('NETWORK_EXCEPTION')
    expect(error.message).toContain(bootstrap)
  })

  it('tries every bootstrap address', async () => {
    const dead = cluster.bootstrap
    const other = await FakeCluster.start(1)
    await cluster.stop()
    try {
      await using log = await connectKafka({ bootstrap: `${dead},${other.bootstrap}` })
      expect(log.id).toBe('fake')
    } finally {
      await other.stop()
    }
  })

  it('refuses a bootstrap that is no address', async () => {
    for (const bootstrap of ['', 'host', 'host:0', 'host:70000', [], 'a:b:1']) {
      await expect(connectKafka({ bootstrap })).rejects.toThrow(RangeError)
    }
  })
})

describe('versions', () => {
  const only = (key: number, minVersion: number, maxVersion: number) =>
    cluster.versions.map(range =>
      range.apiKey === key ? { apiKey: key, minVersion, maxVersion } : range,
    )

  it('are the highest that both sides speak', async () => {
    cluster.versions = only(metadata.key, 2, 7)
    await using log = await open()
    await log.describeTopics([])
    expect(cluster.requests(metadata).map(({ version }) => version)).toEqual([7])
  })

  it('that do not meet are UNSUPPORTED_VERSION with the name of the API', async () => {
    cluster.on(heartbeat, () => ({ errorCode: 0 }))
    cluster.versions = only(heartbeat.key, 90, 99)
    await using log = await open()
    const error = await failing(log.groups.heartbeat(MEMBER))
    expect(error.code).toBe('UNSUPPORTED_VERSION')
    expect(error.message).toContain('Heartbeat')
    expect(error.message).toContain('90 to 99')
  })

  it('that a broker does not list at all are UNSUPPORTED_VERSION, too', async () => {
    cluster.versions = cluster.versions.filter(({ apiKey }) => apiKey !== heartbeat.key)
    await using log = await open()
    const error = await failing(log.groups.heartbeat(MEMBER))
    expect(error.message).toContain('does not know it')
  })

  it('too old to keep Metadata from creating topics are refused', async () => {
    cluster.versions = only(metadata.key, 0, 3)
    expect(codeOf(await failing(open()))).toBe('UNSUPPORTED_VERSION')
  })

  it('too old for what is asked are the error of that question alone', async () => {
    cluster.leaders.set('t', [0])
    cluster.versions = only(listOffsets.key, 1, 5)
    await using log = await open()
    const place = 'maxTimestamp'
    const [answer] = await log.listOffsets([{ topic: 't', partition: 0, place }])
    expect(answer?.error?.code).toBe('UNSUPPORTED_VERSION')
  })

  it('carry what can be sent, and what cannot is INVALID_REQUEST', async () => {
    cluster.on(offsetCommit, () => ({ topics: [] }))
    await using log = await open()
    const offset = Number.MAX_SAFE_INTEGER + 1
    const offsets = [{ topic: 't', partition: 0, offset, leaderEpoch: -1, metadata: null }]
    expect(codeOf(await failing(log.groups.commit({ ...MEMBER, offsets })))).toBe('INVALID_REQUEST')
  })
})
