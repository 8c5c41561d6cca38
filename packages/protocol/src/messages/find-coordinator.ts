/**
 * FindCoordinator: which broker coordinates a group or a transactional id.
 *
 * 1 transactions, 4 several keys at once (KIP-699): then `coordinatorKeys` and `coordinators` stand in
 * for the single fields. 5 knows TRANSACTION_ABORTABLE, 6 share groups.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API FindCoordinator, key 10. */
export const findCoordinator: Api<FindCoordinatorRequest, FindCoordinatorResponse> = api({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexibleFrom: 3,
  request: `
    key:str[0-3] keyType:i8[1+] coordinatorKeys:[]str[4+]`,
  response: `
    throttleTimeMs:i32[1+]
    errorCode:i16[0-3] errorMessage:str?[1-3] nodeId:i32[0-3] host:str[0-3] port:i32[0-3]
    coordinators:[]{
      key:str nodeId:i32 host:str port:i32 errorCode:i16 errorMessage:str?
    }[4+]`,
})

/** The request of FindCoordinator. */
export interface FindCoordinatorRequest extends Tagged {
  readonly key?: string
  /** One of `COORDINATOR_TYPE`. */
  readonly keyType?: number
  readonly coordinatorKeys?: readonly string[]
}

/** The response of FindCoordinator. */
export interface FindCoordinatorResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly errorCode?: number
  readonly errorMessage?: string | null
  readonly nodeId?: number
  readonly host?: string
  readonly port?: number
  readonly coordinators?: readonly FindCoordinatorResult[]
}

/** The coordinator of one key. */
export interface FindCoordinatorResult extends Tagged {
  readonly key: string
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly errorCode: number
  readonly errorMessage: string | null
}
