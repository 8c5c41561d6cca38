// Calls of the port, each of which a program may end with; some wait for time to pass.
import { encodeBatch, NO_GENERATION } from '@millrace/log'
import type { Engine } from '../../src/index.ts'

type Call = (log: Engine) => Promise<unknown>

const PARTITION = { topic: 't', partition: 0 }
const MEMBER = { memberId: '', groupInstanceId: null }
const create = (log: Engine): Promise<unknown> =>
  log.createTopics([
    {
      name: 't',
      partitions: 1,
      configs: { 'cleanup.policy': 'compact', 'segment.bytes': '65536' },
    },
  ])

async function append(log: Engine, key: string, bytes: number): Promise<void> {
  const batch = encodeBatch({ records: [{ key, value: 'x'.repeat(bytes) }], timestamp: Date.now() })
  const [result] = await log.append([{ ...PARTITION, batch }])
  if (result?.error !== undefined) throw result.error
}

/** Ends the program's own part of what comes before. */
const behind =
  (before: Call, call: Call): Call =>
  async log => {
    await before(log)
    await call(log)
  }

export const CALLS: Readonly<Record<string, Call>> = {
  createTopics: create,
  append: behind(create, log => append(log, 'k', 10)),
  'fetch that waits': behind(create, log =>
    log.fetch({
      positions: [{ ...PARTITION, offset: 0, maxBytes: 1000 }],
      minBytes: 1,
      maxBytes: 1000,
      maxWaitMs: 300,
      isolation: 'read_uncommitted',
    }),
  ),
  listOffsets: behind(create, log => log.listOffsets([{ ...PARTITION, place: 'latest' }])),
  deleteRecords: behind(create, log => log.deleteRecords([{ ...PARTITION, offset: 0 }])),
  deleteTopics: behind(create, log => log.deleteTopics(['t'])),
  createPartitions: behind(create, log => log.createPartitions([{ name: 't', partitions: 2 }])),
  alterConfig: behind(create, log =>
    log.alterConfig('t', [{ name: 'retention.ms', operation: 'set', value: '1' }]),
  ),
  initProducer: log => log.initProducer({ transactionalId: null }),
  compactNow: behind(
    create,
    behind(
      async log => {
        for (let i = 0; i < 4; i += 1) await append(log, `k${i % 2}`, 20_000)
      },
      log => log.compactNow('t'),
    ),
  ),
  join: log =>
    log.groups.join({
      ...MEMBER,
      groupId: 'g',
      clientId: 'c',
      clientHost: 'h',
      requireKnownMemberId: false,
      supportsSkippingAssignment: true,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    }),
  commit: behind(create, log =>
    log.groups.commit({
      ...MEMBER,
      groupId: 'g',
      generationId: NO_GENERATION,
      offsets: [{ ...PARTITION, offset: 1, leaderEpoch: -1, metadata: null }],
    }),
  ),
  close: behind(create, log => log.close()),
}
