/**
 * DescribeCluster: the cluster's id, controller and brokers (KIP-700).
 *
 * 1 asks brokers or controllers (KIP-919); a broker answers for brokers. 2 fenced brokers (KIP-1073).
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DescribeCluster, key 60. */
export const describeCluster: Api<DescribeClusterRequest, DescribeClusterResponse> = api({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 2],
  flexibleFrom: 0,
  request: `
    includeClusterAuthorizedOperations:bool endpointType:i8[1+]=1 includeFencedBrokers:bool[2]`,
  response: `
    throttleTimeMs:i32 errorCode:i16 errorMessage:str? endpointType:i8[1+]=1
    clusterId:str controllerId:i32=-1
    brokers:[]{ brokerId:i32 host:str port:i32 rack:str? isFenced:bool[2] }
    clusterAuthorizedOperations:i32=min`,
})

/** The request of DescribeCluster. */
export interface DescribeClusterRequest extends Tagged {
  readonly includeClusterAuthorizedOperations: boolean
  /** 1 brokers, 2 controllers. */
  readonly endpointType?: number
  readonly includeFencedBrokers?: boolean
}

/** The response of DescribeCluster. */
export interface DescribeClusterResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly endpointType?: number
  readonly clusterId: string
  readonly controllerId?: number
  readonly brokers: readonly DescribeClusterBroker[]
  readonly clusterAuthorizedOperations?: number
}

/** A broker and where clients reach it. */
export interface DescribeClusterBroker extends Tagged {
  readonly brokerId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
  readonly isFenced?: boolean
}
