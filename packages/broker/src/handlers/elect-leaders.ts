/** ElectLeaders: the one node leads every partition already, so no election is ever needed. */
import type { Engine } from '@millrace/engine'
import { LogError } from '@millrace/log'
import {
  ELECTION_TYPE,
  type ElectLeadersPartitionResult,
  type ElectLeadersRequest,
  type ElectLeadersResponse,
  ERROR_CODES,
  electLeaders,
} from '@millrace/protocol'
import { shortened } from './error-mapping.ts'
import type { Handler } from './handler.ts'
import { distinct } from './nested.ts'

const TYPES: readonly number[] = Object.values(ELECTION_TYPE)

/** The handler of ElectLeaders. */
export const electLeadersHandler: Handler<ElectLeadersRequest, ElectLeadersResponse> = {
  api: electLeaders,

  handle: ({ electionType, topicPartitions }, _call, { engine }) => {
    if (!TYPES.includes(electionType)) {
      throw new LogError('INVALID_REQUEST', `election type ${electionType}`)
    }
    // Where all were asked for, those that need none are left out, as Apache Kafka does.
    const asked = distinct(topicPartitions ?? [], ({ topic }) => topic)
    return {
      throttleTimeMs: 0,
      errorCode: ERROR_CODES.NONE,
      replicaElectionResults: asked.map(({ topic, partitions }) => ({
        topic,
        partitionResult: partitions.map(partition => notNeeded(engine, topic, partition)),
      })),
    }
  },

  failure: ({ topicPartitions }, { code: errorCode, message: errorMessage }) => ({
    throttleTimeMs: 0,
    errorCode,
    replicaElectionResults: (topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map(partitionId => ({ partitionId, errorCode, errorMessage })),
    })),
  }),
}

function notNeeded(
  engine: Engine,
  topic: string,
  partitionId: number,
): ElectLeadersPartitionResult {
  return engine.topic(topic)?.partitions[partitionId] === undefined
    ? {
        partitionId,
        errorCode: ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION,
        errorMessage: shortened(`there is no partition ${topic}-${partitionId}`),
      }
    : {
        partitionId,
        errorCode: ERROR_CODES.ELECTION_NOT_NEEDED,
        errorMessage: 'the only node leads the partition already',
      }
}
