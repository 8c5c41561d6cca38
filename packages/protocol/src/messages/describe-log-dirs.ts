/**
 * DescribeLogDirs: the sizes of partitions on disk.
 *
 * 3 an error for the whole, 4 the size of the volume (KIP-827), 5 whether the folder takes
 * no new partitions (KIP-1066). Null topics ask for all.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DescribeLogDirs, key 35. */
export const describeLogDirs: Api<DescribeLogDirsRequest, DescribeLogDirsResponse> = api({
  key: 35,
  name: 'DescribeLogDirs',
  versions: [1, 5],
  flexibleFrom: 2,
  request: `
    topics:[]{ topic:str partitions:[]i32 }?`,
  response: `
    throttleTimeMs:i32 errorCode:i16[3+]
    results:[]{
      errorCode:i16 logDir:str
      topics:[]{
        name:str
        partitions:[]{
          partitionIndex:i32 partitionSize:i64 offsetLag:i64 isFutureKey:bool
        }
      }
      totalBytes:i64[4+]=-1 usableBytes:i64[4+]=-1 isCordoned:bool[5]
    }`,
})

/** The request of DescribeLogDirs. */
export interface DescribeLogDirsRequest extends Tagged {
  readonly topics: readonly DescribeLogDirsTopic[] | null
}

/** Partitions asked for. */
export interface DescribeLogDirsTopic extends Tagged {
  readonly topic: string
  readonly partitions: readonly number[]
}

/** The response of DescribeLogDirs. */
export interface DescribeLogDirsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly errorCode?: number
  readonly results: readonly DescribeLogDirsResult[]
}

/** A data folder. */
export interface DescribeLogDirsResult extends Tagged {
  readonly errorCode: number
  readonly logDir: string
  readonly topics: readonly DescribeLogDirsTopicResponse[]
  readonly totalBytes?: number
  readonly usableBytes?: number
  readonly isCordoned?: boolean
}

/** A topic in a data folder. */
export interface DescribeLogDirsTopicResponse extends Tagged {
  readonly name: string
  readonly partitions: readonly DescribeLogDirsPartition[]
}

/** A partition in a data folder. */
export interface DescribeLogDirsPartition extends Tagged {
  readonly partitionIndex: number
  readonly partitionSize: number
  readonly offsetLag: number
  /** Whether it is a copy that is to replace another folder's. */
  readonly isFutureKey: boolean
}
