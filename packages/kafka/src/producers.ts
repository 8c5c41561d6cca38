/**
 * Producer identities: InitProducerId, from any broker.
 */
import { type InitProducerRequest, LogError, type ProducerIdentity } from '@millrace/log'
import { initProducerId } from '@millrace/protocol'
import type { Cluster } from './cluster.ts'
import { coordinatorMoved, errorOf } from './errors.ts'
import { backoff } from './retry.ts'

/** Not used without a transactional id, but checked by some brokers. */
const TRANSACTION_TIMEOUT_MS = 60_000
const NONE = -1
/** First version of InitProducerId that goes on as an existing producer (KIP-360). */
const CURRENT_MIN = 3

/** See {@link import('@millrace/log').Log.initProducer}. */
export async function askForProducer(
  cluster: Cluster,
  request: InitProducerRequest,
): Promise<ProducerIdentity> {
  if (request.transactionalId !== null) {
    throw new LogError('UNSUPPORTED_VERSION', 'transactional ids are not served yet')
  }
  const { current } = request
  for (let tries = 1; ; tries += 1) {
    const { errorCode, producerId, producerEpoch } = await cluster.call(
      initProducerId,
      {
        transactionalId: null,
        transactionTimeoutMs: request.transactionTimeoutMs ?? TRANSACTION_TIMEOUT_MS,
        producerId: current?.producerId ?? NONE,
        producerEpoch: current?.producerEpoch ?? NONE,
      },
      { repeat: true, versions: { min: current === undefined ? 0 : CURRENT_MIN } },
    )
    const error = errorOf(errorCode)
    if (error === undefined) return { producerId, producerEpoch }
    const again = coordinatorMoved(error) && tries <= cluster.settings['leader.retries.max']
    if (!again) throw error
    await backoff(cluster.outside, cluster.settings, tries)
  }
}
