/**
 * OffsetCommit: stores the offsets that a group has processed.
 *
 * Up to 4 a client may ask for its own retention; 6 leader epochs (KIP-320), 7 static members
 * (KIP-345). 9 members of the new protocol (KIP-848), 10 topic ids. A generation of -1 with no member commits for a group
 * without members.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API OffsetCommit, key 8. */
export const offsetCommit: Api<OffsetCommitRequest, OffsetCommitResponse> = api({
  key: 8,
  name: 'OffsetCommit',
  versions: [2, 10],
  flexibleFrom: 8,
  request: `
    groupId:str generationIdOrMemberEpoch:i32=-1 memberId:str groupInstanceId:str?[7+]
    retentionTimeMs:i64[2-4]=-1
    topics:[]{
      name:str[2-9] topicId:uuid[10]
      partitions:[]{
        partitionIndex:i32 committedOffset:i64 committedLeaderEpoch:i32[6+]=-1 committedMetadata:str?
      }
    }`,
  response: `
    throttleTimeMs:i32[3+]
    topics:[]{
      name:str[2-9] topicId:uuid[10]
      partitions:[]{ partitionIndex:i32 errorCode:i16 }
    }`,
})

/** The request of OffsetCommit. */
export interface OffsetCommitRequest extends Tagged {
  readonly groupId: string
  readonly generationIdOrMemberEpoch?: number
  readonly memberId: string
  readonly groupInstanceId?: string | null
  /** -1: as the broker is configured. */
  readonly retentionTimeMs?: number
  readonly topics: readonly OffsetCommitTopic[]
}

/** The offsets in one topic. */
export interface OffsetCommitTopic extends Tagged {
  readonly name?: string
  readonly topicId?: string
  readonly partitions: readonly OffsetCommitPartition[]
}

/** The offset in one partition: the next one to be read. */
export interface OffsetCommitPartition extends Tagged {
  readonly partitionIndex: number
  readonly committedOffset: number
  readonly committedLeaderEpoch?: number
  readonly committedMetadata: string | null
}

/** The response of OffsetCommit. */
export interface OffsetCommitResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly topics: readonly OffsetCommitTopicResponse[]
}

/** The outcome for one topic. */
export interface OffsetCommitTopicResponse extends Tagged {
  readonly name?: string
  readonly topicId?: string
  readonly partitions: readonly OffsetCommitPartitionResponse[]
}

/** The outcome for one partition. */
export interface OffsetCommitPartitionResponse extends Tagged {
  readonly partitionIndex: number
  readonly errorCode: number
}
