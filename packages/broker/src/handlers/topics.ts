/** Names and ids of topics, as several handlers look at them. */
import type { Engine, TopicView } from '@millrace/engine'

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
