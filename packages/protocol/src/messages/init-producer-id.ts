/**
 * InitProducerId: an identity for a producer, so that repeated batches are recognised (KIP-98).
 *
 * 3 lets a producer go on with its id and the next epoch (KIP-360), 4 knows PRODUCER_FENCED, 5 TRANSACTION_ABORTABLE.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API InitProducerId, key 22. */
export const initProducerId: Api<InitProducerIdRequest, InitProducerIdResponse> = api({
  key: 22,
  name: 'InitProducerId',
  versions: [0, 5],
  flexibleFrom: 2,
  request: `
    transactionalId:str? transactionTimeoutMs:i32 producerId:i64[3+]=-1 producerEpoch:i16[3+]=-1`,
  response: `
    throttleTimeMs:i32 errorCode:i16 producerId:i64=-1 producerEpoch:i16`,
})

/** The request of InitProducerId. */
export interface InitProducerIdRequest extends Tagged {
  /** Null: idempotent only. */
  readonly transactionalId: string | null
  readonly transactionTimeoutMs: number
  readonly producerId?: number
  readonly producerEpoch?: number
}

/** The response of InitProducerId. */
export interface InitProducerIdResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly producerId?: number
  readonly producerEpoch: number
}
