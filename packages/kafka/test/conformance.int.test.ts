// The port's promises, kept across a socket: client, listener, handlers and engine together answer
// as the engine alone does.

import { logConformance } from '@millrace/conformance/log'
import type { Log } from '@millrace/log'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type EngineNode, startEngineNode } from '../../broker/test/support/engine-node.ts'
import { connectKafka } from '../src/index.ts'

const SESSION_TIMEOUT_MS_MIN = 1_000

let node: EngineNode

beforeAll(async () => {
  node = await startEngineNode({
    engine: {
      settings: { 'log.cleaner.backoff.ms': 100 },
      groupSettings: { 'group.min.session.timeout.ms': SESSION_TIMEOUT_MS_MIN },
    },
  })
})

afterAll(() => node.stop())

const open = (): Promise<Log> => connectKafka({ bootstrap: node.bootstrap })

const cases = logConformance({
  open,
  // The node keeps the data: another connection sees the same log.
  reopen: async log => {
    await log.close()
    return open()
  },
  features: {
    compactedTopics: true,
    cleansSoon: true,
    singleNode: true,
    durability: true,
    refusesTransactions: true,
    batchesSurviveRestart: true,
    closes: true,
    sessionTimeoutMsMin: SESSION_TIMEOUT_MS_MIN,
  },
})

describe('the client over a node of ours', () => {
  for (const { name, run } of cases) it.concurrent(name, run)
})
