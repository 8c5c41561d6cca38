/** DescribeCluster: this node is the whole cluster. */
import {
  type DescribeClusterRequest,
  type DescribeClusterResponse,
  describeCluster,
  ERROR_CODES,
} from '@millrace/protocol'
import { clusterOperations } from './authorized-operations.ts'
import type { Handler } from './handler.ts'

const BROKERS = 1
const CONTROLLERS = 2

/** The handler of DescribeCluster. */
export const describeClusterHandler: Handler<DescribeClusterRequest, DescribeClusterResponse> = {
  api: describeCluster,

  handle: (request, { endpoint }, { engine }) => {
    const { endpointType } = request
    if (endpointType !== BROKERS) {
      const controllers = endpointType === CONTROLLERS
      return refusal(
        controllers ? ERROR_CODES.MISMATCHED_ENDPOINT_TYPE : ERROR_CODES.UNSUPPORTED_ENDPOINT_TYPE,
        'this listener answers for brokers',
      )
    }
    const { nodeId, id } = engine
    return {
      throttleTimeMs: 0,
      errorCode: ERROR_CODES.NONE,
      errorMessage: null,
      clusterId: id,
      controllerId: nodeId,
      brokers: [{ brokerId: nodeId, host: endpoint.host, port: endpoint.port, rack: null }],
      clusterAuthorizedOperations: clusterOperations(request.includeClusterAuthorizedOperations),
    }
  },

  failure: (_request, { code, message }) => refusal(code, message),
}

function refusal(errorCode: number, errorMessage: string | null): DescribeClusterResponse {
  return { throttleTimeMs: 0, errorCode, errorMessage, clusterId: '', brokers: [] }
}
