/**
 * OffsetFetch: reads the committed offsets of a group, from 8 on of several.
 *
 * Null topics ask for all (from 2). 5 leader epochs (KIP-320), 7 waits for open transactions (KIP-447),
 * 8 moves everything into `groups`, 9 members of the new
 * protocol (KIP-848), 10 topic ids.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API OffsetFetch, key 9. */
export const offsetFetch: Api<OffsetFetchRequest, OffsetFetchResponse> = api({
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 10],
  flexibleFrom: 6,
  request: `
    groupId:str[1-7]
    topics:[]{ name:str partitionIndexes:[]i32 }?2-7[1-7]
    groups:[]{
      groupId:str memberId:str?[9+] memberEpoch:i32[9+]=-1
      topics:[]{ name:str[8-9] topicId:uuid[10] partitionIndexes:[]i32 }?
    }[8+]
    requireStable:bool[7+]`,
  response: `
    throttleTimeMs:i32[3+]
    topics:[]{
      name:str
      partitions:[]{
        partitionIndex:i32 committedOffset:i64 committedLeaderEpoch:i32[5+]=-1 metadata:str?
        errorCode:i16
      }
    }[1-7]
    errorCode:i16[2-7]
    groups:[]{
      groupId:str
      topics:[]{
        name:str[8-9] topicId:uuid[10]
        partitions:[]{
          partitionIndex:i32 committedOffset:i64 committedLeaderEpoch:i32=-1 metadata:str?
          errorCode:i16
        }
      }
      errorCode:i16
    }[8+]`,
})

/** The request of OffsetFetch. */
export interface OffsetFetchRequest extends Tagged {
  readonly groupId?: string
  /** Null: all. */
  readonly topics?: readonly OffsetFetchTopic[] | null
  readonly groups?: readonly OffsetFetchGroup[]
  /** UNSTABLE_OFFSET_COMMIT while a transaction is about to change an offset. */
  readonly requireStable?: boolean
}

/** A group, and what is wanted of it. */
export interface OffsetFetchGroup extends Tagged {
  readonly groupId: string
  readonly memberId?: string | null
  readonly memberEpoch?: number
  /** Null: all. */
  readonly topics: readonly OffsetFetchGroupTopic[] | null
}

/** Partitions of one topic. */
export interface OffsetFetchGroupTopic extends Tagged {
  readonly name?: string
  readonly topicId?: string
  readonly partitionIndexes: readonly number[]
}

/** Partitions of one topic. */
export interface OffsetFetchTopic extends Tagged {
  readonly name: string
  readonly partitionIndexes: readonly number[]
}

/** The response of OffsetFetch. */
export interface OffsetFetchResponse extends Tagged {
  readonly throttleTimeMs?: number
  readonly topics?: readonly OffsetFetchTopicResponse[]
  readonly errorCode?: number
  readonly groups?: readonly OffsetFetchGroupResponse[]
}

/** The offsets of one group. */
export interface OffsetFetchGroupResponse extends Tagged {
  readonly groupId: string
  readonly topics: readonly OffsetFetchGroupTopicResponse[]
  readonly errorCode: number
}

/** The offsets in one topic. */
export interface OffsetFetchGroupTopicResponse extends Tagged {
  readonly name?: string
  readonly topicId?: string
  readonly partitions: readonly OffsetFetchGroupPartition[]
}

/** The offset in one partition. */
export interface OffsetFetchGroupPartition extends Tagged {
  readonly partitionIndex: number
  /** -1 where there is none. */
  readonly committedOffset: number
  readonly committedLeaderEpoch?: number
  readonly metadata: string | null
  readonly errorCode: number
}

/** The offsets in one topic. */
export interface OffsetFetchTopicResponse extends Tagged {
  readonly name: string
  readonly partitions: readonly OffsetFetchPartition[]
}

/** The offset in one partition. */
export interface OffsetFetchPartition extends Tagged {
  readonly partitionIndex: number
  /** -1 where there is none. */
  readonly committedOffset: number
  readonly committedLeaderEpoch?: number
  readonly metadata: string | null
  readonly errorCode: number
}
