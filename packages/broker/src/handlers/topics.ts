/** Names and ids of topics, as several handlers look at them. */
import type { Engine } from '@millrace/engine'
import { LogError } from '@millrace/log'
import { ZERO_UUID } from '@millrace/protocol'

const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/

/** Whether a topic may have this name. */
export function isTopicName(name: string): boolean {
  return TOPIC_NAME.test(name) && name !== '.' && name !== '..'
}

/** A topic as a request names it: by its name, or, where that is empty, by its id. */
export type NamedTopic = { readonly topicId: string; readonly name: string }

/** What tells a topic of a request from the others: its name, or its id in front of which no name begins. */
export const topicKey = ({ name, topicId }: NamedTopic): string =>
  isById({ name, topicId }) ? `/${topicId}` : name

/** Whether a topic of a request is named by its id. */
export const isById = ({ name, topicId }: NamedTopic): boolean =>
  name === '' && topicId !== ZERO_UUID

/**
 * What travels with a name that was found by an id, so that no other topic that has the name by then
 * takes its place.
 */
export const meantId = (topic: NamedTopic): { readonly topicId?: string } =>
  isById(topic) ? { topicId: topic.topicId } : NO_ID

const NO_ID = {}

/**
 * The name of a topic; undefined where it is named by an id that no topic has.
 *
 * @param idsOnly whether the version of the request has no names, so that an id of zeros is one that
 *   no topic has
 */
export function topicName(engine: Engine, topic: NamedTopic, idsOnly: boolean): string | undefined {
  if (isById(topic)) return engine.topicById(topic.topicId)?.name
  return idsOnly ? undefined : topic.name
}

/** The error for an id that no topic has. */
export const unknownTopicId = (topicId: string): LogError =>
  new LogError('UNKNOWN_TOPIC_ID', `no topic has id ${topicId}`)
