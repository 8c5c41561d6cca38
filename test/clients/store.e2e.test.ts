// The event store over a socket: a client of the Kafka protocol is its log, a store has a connection
// of its own, and the promises of its port are kept as on the embedded engine. MILLRACE_TEST_BROKER
// names an Apache Kafka to prove the same there.

import { type StorePlace, storeConformance } from '@millrace/conformance/store'
import { connectKafka } from '@millrace/kafka'
import type { Log } from '@millrace/log'
import { openStore } from '@millrace/store'
import { describe, test } from 'vitest'
import { useBroker } from '../support/broker.ts'

const broker = useBroker()

async function place(): Promise<StorePlace> {
  const logs: Log[] = []
  const connect = async (): Promise<Log> => {
    const log = await connectKafka({ bootstrap: broker.bootstrap })
    logs.push(log)
    return log
  }
  const own = await connect()
  return {
    open: async options => openStore({ ...options, log: await connect(), folder: null }),
    log: () => own,
    // What is in memory went with the store that was closed.
    discard: async () => {},
    end: async () => {
      for (const log of logs) await log.close()
    },
  }
}

const features = {
  onLog: true,
  restarts: false,
  discards: true,
  severalStores: true,
  ownLogs: false,
}

describe('the event store over a connection', () => {
  for (const { name, run } of storeConformance({ place, features })) test.concurrent(name, run)
})
