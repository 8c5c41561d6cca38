/** What the listener counts since its start; plain numbers that cost nothing to raise. */

/** Counters of a listener. */
export class Counters {
  connectionsAccepted = 0
  connectionsRefused = 0
  /** Idle ones, closed to make place for new ones. */
  connectionsEvicted = 0
  /** Closed by this side for a reason: malformed, idle, stalled. */
  connectionsClosedForCause = 0
  requestsMalformed = 0
  requestsFailed = 0
  bytesReceived = 0
  bytesSent = 0
  /** By API key. */
  readonly requests: number[] = []
}
