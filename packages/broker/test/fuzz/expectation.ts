/**
 * What bytes on a connection must lead to, told by the codecs alone: which answers in which order,
 * and whether the connection must end for a reason that is logged.
 */
import { type AnyApi, APIS, decodeRequest, decodeRequestHeader } from '@millrace/protocol'

const SIZE_BYTES = 4
const API_VERSIONS_KEY = 18
const PRODUCE_KEY = 0
const JOIN_GROUP_KEY = 11
const SYNC_GROUP_KEY = 14

export type Expectation = {
  /** Correlation ids of the answers, in order. */
  readonly answers: readonly number[]
  /** Why the connection must be closed, if it must. */
  readonly malformed: string | undefined
  /** Whether the peer ends in the middle of a frame. */
  readonly truncated: boolean
  /** Whether an answer may be long in coming: a member waits for others. */
  readonly mayWait: boolean
  /** Whether something is asked for that wants no answer. */
  readonly silent: boolean
}

export function expectationOf(bytes: Buffer, frameBytesMax: number): Expectation {
  const answers: number[] = []
  const told = { answers, malformed: undefined, truncated: false, mayWait: false, silent: false }
  let { mayWait, silent } = told
  let at = 0
  while (at < bytes.length) {
    if (bytes.length - at < SIZE_BYTES) return { ...told, truncated: true, mayWait, silent }
    const size = bytes.readInt32BE(at)
    if (size < 0 || size > frameBytesMax) return { ...told, malformed: 'size', mayWait, silent }
    const end = at + SIZE_BYTES + size
    if (end > bytes.length) return { ...told, truncated: true, mayWait, silent }
    const seen = look(bytes.subarray(at + SIZE_BYTES, end))
    if (typeof seen === 'string') return { ...told, malformed: seen, mayWait, silent }
    if (seen.correlationId === undefined) silent = true
    else answers.push(seen.correlationId)
    mayWait ||= seen.mayWait
    at = end
  }
  return { ...told, mayWait, silent }
}

/** One frame: the answer it must have (undefined: none), or what is wrong with it. */
function look(
  payload: Buffer,
): { readonly correlationId: number | undefined; readonly mayWait: boolean } | string {
  try {
    const { api, apiKey, apiVersion, correlationId, supported, bodyAt } = decodeRequestHeader(
      payload,
      APIS,
    )
    if (api === undefined || !supported) {
      if (apiKey !== API_VERSIONS_KEY) return `API ${apiKey} version ${apiVersion}`
      return { correlationId, mayWait: false }
    }
    const request = decodeRequest(api as AnyApi, apiVersion, payload, bodyAt)
    const silent = apiKey === PRODUCE_KEY && (request as { acks?: number }).acks === 0
    const mayWait = apiKey === JOIN_GROUP_KEY || apiKey === SYNC_GROUP_KEY
    return { correlationId: silent ? undefined : correlationId, mayWait }
  } catch (error) {
    return (error as Error).message
  }
}

/** Correlation ids of the answers in what a server has written. Throws when it is not whole frames. */
export function correlationIdsIn(received: readonly Buffer[]): readonly number[] {
  const bytes = Buffer.concat(received)
  const ids: number[] = []
  let at = 0
  while (at < bytes.length) {
    const size = bytes.readInt32BE(at)
    ids.push(bytes.readInt32BE(at + SIZE_BYTES))
    at += SIZE_BYTES + size
  }
  if (at !== bytes.length) throw new Error(`an answer is cut short: ${bytes.length} of ${at} bytes`)
  return ids
}
