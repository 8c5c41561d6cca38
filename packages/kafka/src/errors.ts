/**
 * Numbers of the protocol back to errors of the log.
 *
 * Most names are the same on both sides. Those that only a cluster of several brokers knows stand
 * for the nearest code of the closed list; what is left is UNKNOWN_SERVER_ERROR with its name.
 */
import { LOG_ERRORS, LogError, type LogErrorCode } from '@millrace/log'
import { errorName } from '@millrace/protocol'

const NONE = 0

/** Codes without a name of their own in the log. */
const STANDS_FOR: Readonly<Record<string, LogErrorCode>> = {
  BROKER_NOT_AVAILABLE: 'NOT_LEADER_OR_FOLLOWER',
  FENCED_MEMBER_EPOCH: 'UNKNOWN_MEMBER_ID',
  LEADER_NOT_AVAILABLE: 'NOT_LEADER_OR_FOLLOWER',
  LISTENER_NOT_FOUND: 'NOT_LEADER_OR_FOLLOWER',
  // Refused before it was stored, but an operator has to look at the replicas.
  NOT_ENOUGH_REPLICAS: 'REQUEST_TIMED_OUT',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'REQUEST_TIMED_OUT',
  RECORD_LIST_TOO_LARGE: 'MESSAGE_TOO_LARGE',
  REPLICA_NOT_AVAILABLE: 'NOT_LEADER_OR_FOLLOWER',
  STALE_MEMBER_EPOCH: 'ILLEGAL_GENERATION',
}

const isLogErrorCode = (name: string): name is LogErrorCode => Object.hasOwn(LOG_ERRORS, name)

/** The error behind a number; undefined for none. `message` is what the broker says of it. */
export function errorOf(code: number, message?: string | null): LogError | undefined {
  if (code === NONE) return undefined
  const name = errorName(code)
  if (name !== 'UNKNOWN_SERVER_ERROR' && isLogErrorCode(name)) {
    return new LogError(name, detailOf(name, message))
  }
  const word = name === 'UNKNOWN_SERVER_ERROR' && code !== -1 ? `error ${code}` : name
  const told = message ? `${word}: ${message}` : word
  return new LogError(STANDS_FOR[name] ?? 'UNKNOWN_SERVER_ERROR', told)
}

/** What the broker says beyond what the code itself says. */
function detailOf(code: LogErrorCode, message: string | null | undefined): string | undefined {
  if (!message) return undefined
  const own = LOG_ERRORS[code].message
  if (message === own) return undefined
  return message.startsWith(`${own}: `) ? message.slice(own.length + 2) : message
}

/** An outcome with its error, where there is one; `error` is absent, not undefined. */
export function failure(error: LogError | undefined): { readonly error?: LogError } {
  return error === undefined ? {} : { error }
}

/** The connection ended, or never came about. */
export class ConnectionLost extends LogError {
  /** Whether the broker may have seen the request; when not, it can be sent elsewhere. */
  readonly sent: boolean

  constructor(detail: string, sent: boolean, cause?: unknown) {
    super('NETWORK_EXCEPTION', detail, cause)
    this.sent = sent
  }
}

/** Whether another broker now leads the partition, or none does for a moment. */
export const leaderMoved = (error: LogError): boolean => error.code === 'NOT_LEADER_OR_FOLLOWER'

/** Whether another broker now coordinates the group, or none does for a moment. */
export const coordinatorMoved = (error: LogError): boolean =>
  error.code === 'NOT_COORDINATOR' ||
  error.code === 'COORDINATOR_NOT_AVAILABLE' ||
  error.code === 'COORDINATOR_LOAD_IN_PROGRESS'

/** What every call of a closed log throws. */
export const closedError = (): LogError => new LogError('LOG_CLOSED')
