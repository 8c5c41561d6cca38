/** Names and ids of topics, as several handlers look at them. */
import type { Engine, TopicView } from '@millrace/engine'

const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/

/** Whether a topic may have this name. */
export function isTopicName(name: string): boolean {
  return TOPIC_NAME.test(name) && name !== '.' && name !== '..'
}

/** The topic with this id. A walk over all topics: ids are asked for rarely. */
export function topicById(engine: Engine, topicId: string): TopicView | undefined {
  return engine.allTopics().find(topic => topic.topicId === topicId)
}
