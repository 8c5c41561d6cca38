/** AlterReplicaLogDirs: moves copies of partitions to other folders of a broker (KIP-113). 2 flexible. */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API AlterReplicaLogDirs, key 34. */
export const alterReplicaLogDirs: Api<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse> =
  api({
    key: 34,
    name: 'AlterReplicaLogDirs',
    versions: [1, 2],
    flexibleFrom: 2,
    request: `
      dirs:[]{ path:str topics:[]{ name:str partitions:[]i32 } }`,
    response: `
      throttleTimeMs:i32
      results:[]{ topicName:str partitions:[]{ partitionIndex:i32 errorCode:i16 } }`,
  })

/** The request of AlterReplicaLogDirs. */
export interface AlterReplicaLogDirsRequest extends Tagged {
  readonly dirs: readonly AlterReplicaLogDir[]
}

/** A folder, and the partitions that are to lie in it. */
export interface AlterReplicaLogDir extends Tagged {
  /** Its absolute path, as DescribeLogDirs gives it. */
  readonly path: string
  readonly topics: readonly AlterReplicaLogDirTopic[]
}

/** Partitions of one topic that are to move. */
export interface AlterReplicaLogDirTopic extends Tagged {
  readonly name: string
  readonly partitions: readonly number[]
}

/** The response of AlterReplicaLogDirs. */
export interface AlterReplicaLogDirsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly results: readonly AlterReplicaLogDirTopicResult[]
}

/** The outcomes for one topic. */
export interface AlterReplicaLogDirTopicResult extends Tagged {
  readonly topicName: string
  readonly partitions: readonly AlterReplicaLogDirPartitionResult[]
}

/** The outcome for one partition. */
export interface AlterReplicaLogDirPartitionResult extends Tagged {
  readonly partitionIndex: number
  readonly errorCode: number
}
