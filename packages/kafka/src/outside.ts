/**
 * The outside of the client: clock, timers and randomness as for producers and consumers, and a way
 * to open a connection.
 */
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Address, type Outside, systemOutside } from '@millrace/base'

/** Where a broker listens. */
export type BrokerAddress = Address

/** What the client needs of the platform. */
export type KafkaClientOutside = Outside & {
  /** Begins to connect; the stream emits `connect`, or `error` and `close`. */
  readonly open: (address: BrokerAddress) => Duplex
}

/** The platform's own: TCP without Nagle's delay. */
export function systemKafkaClientOutside(): KafkaClientOutside {
  return {
    ...systemOutside(),
    open: ({ host, port }) => connect({ host, port, noDelay: true, keepAlive: true }),
  }
}

/** Reads `host:port` (or a list with commas). Throws RangeError with what is wrong. */
export function parseBootstrap(bootstrap: string | readonly string[]): readonly BrokerAddress[] {
  const texts = (typeof bootstrap === 'string' ? bootstrap.split(',') : bootstrap)
    .map(text => text.trim())
    .filter(text => text !== '')
  if (texts.length === 0) throw new RangeError('bootstrap names no broker: HOST:PORT is wanted')
  return texts.map(text => {
    const found = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
    const host = found?.[1] ?? found?.[2]
    const port = Number(found?.[3])
    if (host === undefined || !(port >= 1 && port <= 65_535)) {
      throw new RangeError(`bootstrap must be HOST:PORT, not ${JSON.stringify(text)}`)
    }
    return { host, port }
  })
}
