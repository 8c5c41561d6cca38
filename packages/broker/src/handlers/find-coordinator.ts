/**
 * FindCoordinator: this node coordinates every group.
 *
 * Transactions are not served: UNSUPPORTED_VERSION with a message, which the Java client takes for
 * final and shows, where a retriable code would have it ask until its timeout.
 */
import {
  COORDINATOR_TYPE,
  ERROR_CODES,
  type FindCoordinatorRequest,
  type FindCoordinatorResponse,
  type FindCoordinatorResult,
  findCoordinator,
} from '@millrace/protocol'
import type { Handler } from './handler.ts'

/** First version that asks for several keys at once (KIP-699). */
const BATCH_VERSION_MIN = 4

/** The handler of FindCoordinator. */
export const findCoordinatorHandler: Handler<FindCoordinatorRequest, FindCoordinatorResponse> = {
  api: findCoordinator,

  handle: (request, { version, endpoint }, { engine }) => {
    const { keyType } = request
    const [errorCode, errorMessage] = refusalOf(keyType)
    const served = errorCode === ERROR_CODES.NONE
    const place = {
      nodeId: served ? engine.nodeId : -1,
      host: served ? endpoint.host : '',
      port: served ? endpoint.port : -1,
      errorCode,
      errorMessage,
    }
    return shape(request, version, place)
  },

  failure: (request, { code: errorCode, message: errorMessage }, { version }) =>
    shape(request, version, { nodeId: -1, host: '', port: -1, errorCode, errorMessage }),
}

function shape(
  request: { readonly coordinatorKeys: readonly string[] },
  version: number,
  place: Omit<FindCoordinatorResult, 'key'>,
): FindCoordinatorResponse {
  if (version < BATCH_VERSION_MIN) return place
  return { coordinators: request.coordinatorKeys.map(key => ({ key, ...place })) }
}

function refusalOf(keyType: number): readonly [code: number, message: string | null] {
  switch (keyType) {
    case COORDINATOR_TYPE.group:
      return [ERROR_CODES.NONE, null]
    case COORDINATOR_TYPE.transaction:
      return [ERROR_CODES.UNSUPPORTED_VERSION, 'transactions are not served by this node']
    default:
      return [ERROR_CODES.INVALID_REQUEST, `no coordinator of type ${keyType} here`]
  }
}
