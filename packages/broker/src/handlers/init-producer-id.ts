/** InitProducerId: an identity for an idempotent producer. */
import { LogError } from '@millrace/log'
import {
  ERROR_CODES,
  type InitProducerIdRequest,
  type InitProducerIdResponse,
  initProducerId,
} from '@millrace/protocol'
import type { Handler } from './handler.ts'

/** The handler of InitProducerId. */
export const initProducerIdHandler: Handler<InitProducerIdRequest, InitProducerIdResponse> = {
  api: initProducerId,

  handle: async (request, _call, { engine }) => {
    const { transactionalId, transactionTimeoutMs, producerId, producerEpoch } = request
    if (transactionalId === '') throw new LogError('INVALID_REQUEST', 'empty transactional id')
    if (producerId >= 0 !== producerEpoch >= 0) {
      throw new LogError('INVALID_REQUEST', 'producer id and epoch go together')
    }
    const identity = await engine.initProducer({
      transactionalId,
      transactionTimeoutMs,
      ...(producerId >= 0 ? { current: { producerId, producerEpoch } } : {}),
    })
    return { throttleTimeMs: 0, errorCode: ERROR_CODES.NONE, ...identity }
  },

  failure: (_request, { code }) => ({ throttleTimeMs: 0, errorCode: code, producerEpoch: -1 }),
}
