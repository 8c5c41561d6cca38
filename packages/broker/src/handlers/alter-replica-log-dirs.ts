/**
 * AlterReplicaLogDirs: every partition lies in the one data folder already, so whoever wants it there is
 * told that it is done, and there is no other to move it to.
 */
import {
  type AlterReplicaLogDirsRequest,
  type AlterReplicaLogDirsResponse,
  alterReplicaLogDirs,
  type Decoded,
  ERROR_CODES,
} from '@millrace/protocol'
import type { Handler } from './handler.ts'

/** The handler of AlterReplicaLogDirs. */
export const alterReplicaLogDirsHandler: Handler<
  AlterReplicaLogDirsRequest,
  AlterReplicaLogDirsResponse
> = {
  api: alterReplicaLogDirs,

  handle: ({ dirs }, _call, { engine }) => {
    const { folder } = engine.storage()
    return answer(dirs, (path, topic) => {
      const known = engine.topic(topic)?.partitions.length ?? 0
      return partition => {
        if (path !== folder) return ERROR_CODES.LOG_DIR_NOT_FOUND
        const there = partition >= 0 && partition < known
        return there ? ERROR_CODES.NONE : ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION
      }
    })
  },

  failure: ({ dirs }, { partitionCode }) => answer(dirs, () => () => partitionCode),
}

/** Of a partition that is asked into several folders the last one counts, as in Apache Kafka. */
function answer(
  dirs: Decoded<AlterReplicaLogDirsRequest>['dirs'],
  judge: (path: string, topic: string) => (partition: number) => number,
): AlterReplicaLogDirsResponse {
  const codes = new Map<string, Map<number, number>>()
  for (const { path, topics } of dirs) {
    for (const { name, partitions } of topics) {
      const codeOf = judge(path, name)
      const ofTopic = codes.get(name) ?? new Map<number, number>()
      for (const partition of partitions) ofTopic.set(partition, codeOf(partition))
      codes.set(name, ofTopic)
    }
  }
  return {
    throttleTimeMs: 0,
    results: [...codes].map(([topicName, ofTopic]) => ({
      topicName,
      partitions: [...ofTopic].map(([partitionIndex, errorCode]) => ({
        partitionIndex,
        errorCode,
      })),
    })),
  }
}
