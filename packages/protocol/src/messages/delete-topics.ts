/**
 * DeleteTopics: deletes topics, from 6 on by name or by id (KIP-516).
 *
 * 5 error messages.
 */
import { type Api, api } from '../codec/api.ts'
import type { Tagged } from '../codec/types.ts'

/** The API DeleteTopics, key 20. */
export const deleteTopics: Api<DeleteTopicsRequest, DeleteTopicsResponse> = api({
  key: 20,
  name: 'DeleteTopics',
  versions: [1, 6],
  flexibleFrom: 4,
  request: `
    topics:[]{ name:str? topicId:uuid }[6]
    topicNames:[]str[1-5] timeoutMs:i32`,
  response: `
    throttleTimeMs:i32
    responses:[]{ name:str?6+ topicId:uuid[6] errorCode:i16 errorMessage:str?[5+] }`,
})

/** The request of DeleteTopics. */
export interface DeleteTopicsRequest extends Tagged {
  readonly topics?: readonly DeleteTopicsTopic[]
  readonly topicNames?: readonly string[]
  readonly timeoutMs: number
}

/** A topic by its name, or by its id where the name is null. */
export interface DeleteTopicsTopic extends Tagged {
  readonly name: string | null
  readonly topicId: string
}

/** The response of DeleteTopics. */
export interface DeleteTopicsResponse extends Tagged {
  readonly throttleTimeMs: number
  readonly responses: readonly DeleteTopicsResult[]
}

/** The outcome for one topic. */
export interface DeleteTopicsResult extends Tagged {
  readonly name: string | null
  readonly topicId?: string
  readonly errorCode: number
  readonly errorMessage?: string | null
}
