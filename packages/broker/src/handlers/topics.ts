/** Names and ids of topics, as several handlers look at them. */
import type { Engine, TopicView } from '@millrace/engine'
import { LogError } from '@millrace/log'
import { ZERO_UUID } from '@millrace/protocol'

const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/

/** Whether a topic may have this name. */
export function isTopicName(name: string): boolean {
  return TOPIC_NAME.test(name) && name !== '.' && name !== '..'
}

/** Topics by their ids, for as long as the engine's list of them is the same. */
const byId = new WeakMap<readonly TopicView[], ReadonlyMap<string, TopicView>>()

/** The topic with this id. */
export function topicById(engine: Engine, topicId: string): TopicView | undefined {
  const topics = engine.allTopics()
  let ids = byId.get(topics)
  if (ids === undefined) {
    ids = new Map(topics.map(topic => [topic.topicId, topic]))
    byId.set(topics, ids)
  }
  return ids.get(topicId)
}

/** A topic as a request names it: by its name, or, where that is empty, by its id. */
export type NamedTopic = { readonly topicId: string; readonly name: string }

/** What tells a topic of a request from the others: its name, or its id in front of which no name begins. */
export const topicKey = ({ name, topicId }: NamedTopic): string =>
  name === '' && topicId !== ZERO_UUID ? `/${topicId}` : name

/** The name of a topic; undefined where it is named by an id that no topic has. */
export function topicName(engine: Engine, topic: NamedTopic): string | undefined {
  const byId = topic.name === '' && topic.topicId !== ZERO_UUID
  return byId ? topicById(engine, topic.topicId)?.name : topic.name
}

/** The error for an id that no topic has. */
export const unknownTopicId = (topicId: string): LogError =>
  new LogError('UNKNOWN_TOPIC_ID', `no topic has id ${topicId}`)
