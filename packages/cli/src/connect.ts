/**
 * The log behind `--bootstrap`: any Kafka, ours or not. An address that nobody answers at is told
 * as such, with what to do, and has an exit code of its own.
 */

import { parseAddress } from '@millrace/base'
import { type Log, LogError } from '@millrace/log'
import { CommandError, EXIT } from 'millrace/errors'

/** Where commands look for a node when nothing says otherwise. */
export const BOOTSTRAP_DEFAULT = '127.0.0.1:9092'
const CLIENT_ID = 'millrace'

/** Connects to `bootstrap` (HOST:PORT, several with commas). Throws a {@link CommandError}. */
export async function connect(bootstrap: string): Promise<Log> {
  for (const each of bootstrap.split(',')) {
    try {
      parseAddress(each.trim(), '--bootstrap')
    } catch (cause) {
      throw new CommandError((cause as Error).message, EXIT.usage, undefined, cause)
    }
  }
  const { connectKafka } = await import('@millrace/kafka')
  try {
    return await connectKafka({ bootstrap, clientId: CLIENT_ID })
  } catch (cause) {
    if (!isUnreachable(cause)) throw cause
    throw new CommandError(
      `no node can be reached at ${bootstrap}: ${cause.message}`,
      EXIT.unreachable,
      'Start one with "millrace start", or name another address with --bootstrap HOST:PORT.',
      cause,
    )
  }
}

function isUnreachable(error: unknown): error is Error {
  return (
    error instanceof LogError &&
    (error.code === 'NETWORK_EXCEPTION' || error.code === 'REQUEST_TIMED_OUT')
  )
}
