/**
 * The one look the coordinator takes into a member's opaque metadata: the topics that a consumer
 * subscribes to (consumer embedded protocol, Subscription version 0, which begins every later one).
 */
import { ByteReader } from '../../machines/bytes.ts'

/** Protocol type of consumers, whose metadata can be read. */
export const CONSUMER_PROTOCOL = 'consumer'

/** The subscribed topics; null where the bytes are no subscription. */
export function subscribedTopics(metadata: Buffer): ReadonlySet<string> | null {
  const reader = new ByteReader(metadata)
  const version = reader.int16()
  const count = reader.int32()
  if (reader.failed || version < 0 || count < 0) return null
  const topics = new Set<string>()
  for (let i = 0; i < count && !reader.failed; i++) topics.add(reader.text())
  return reader.failed ? null : topics
}

/** Whether two members ask for the same topics; unreadable metadata is compared byte by byte. */
export function sameSubscription(protocolType: string, one: Buffer, other: Buffer): boolean {
  if (one.equals(other)) return true
  if (protocolType !== CONSUMER_PROTOCOL) return false
  const ones = subscribedTopics(one)
  const others = subscribedTopics(other)
  if (ones === null || others === null || ones.size !== others.size) return false
  return [...ones].every(topic => others.has(topic))
}
