// The part of @confluentinc/kafka-javascript's KafkaJS-like interface that the tests use. The package
// is built into the peers' folder and loaded from there, so its types are not on the workspace's path.
import { loadConfluent } from '../../scripts/peers/confluent.ts'

/** A received record. */
export interface ConfluentMessage {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly offset: string
  readonly timestamp: string
  readonly headers?: Readonly<Record<string, unknown>>
}

/** A partition of a topic. */
export interface ConfluentPartition {
  readonly topic: string
  readonly partition: number
}

/** A consumer in a group. */
export interface ConfluentConsumer {
  connect(): Promise<void>
  disconnect(): Promise<void>
  subscribe(subscription: { topics: string[] }): Promise<void>
  run(config: {
    partitionsConsumedConcurrently?: number
    eachMessage(payload: {
      topic: string
      partition: number
      message: ConfluentMessage
    }): Promise<void>
  }): Promise<void>
  commitOffsets(offsets: (ConfluentPartition & { offset: string })[]): Promise<void>
  committed(
    partitions?: ConfluentPartition[],
    timeout?: number,
  ): Promise<(ConfluentPartition & { offset: string })[]>
  seek(place: ConfluentPartition & { offset: string }): void
  pause(topics: { topic: string }[]): void
  resume(topics: { topic: string }[]): void
  assignment(): ConfluentPartition[]
}

/** A producer. */
export interface ConfluentProducer {
  connect(): Promise<void>
  disconnect(): Promise<void>
  send(record: {
    topic: string
    messages: {
      key?: string | null
      value: string | null
      partition?: number
      timestamp?: string
      headers?: Record<string, string>
    }[]
  }): Promise<{ topicName: string; partition: number; errorCode: number; baseOffset?: string }[]>
}

/** An admin client. */
export interface ConfluentAdmin {
  connect(): Promise<void>
  disconnect(): Promise<void>
  createTopics(options: {
    topics: { topic: string; numPartitions?: number; replicationFactor?: number }[]
  }): Promise<boolean>
  deleteTopics(options: { topics: string[] }): Promise<void>
  listTopics(): Promise<string[]>
  listGroups(): Promise<{ groups: { groupId: string }[] }>
  describeGroups(
    groups: string[],
  ): Promise<{ groups: { groupId: string; state: number; members: unknown[] }[] }>
  deleteGroups(groups: string[]): Promise<{ groupId: string; errorCode?: number }[]>
  fetchOffsets(options: {
    groupId: string
    topics?: string[]
  }): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>
  deleteTopicRecords(options: {
    topic: string
    partitions: { partition: number; offset: string }[]
  }): Promise<{ lowWatermark: number }[]>
  fetchTopicMetadata(options: {
    topics: string[]
  }): Promise<{ name: string; partitions: { partitionId: number; leader: number }[] }[]>
  fetchTopicOffsets(
    topic: string,
  ): Promise<{ partition: number; low: string; high: string; offset: string }[]>
  fetchTopicOffsetsByTimestamp(
    topic: string,
    timestamp: number,
  ): Promise<{ partition: number; offset: string }[]>
}

type Config = Readonly<Record<string, unknown>>

/** The client factory. */
export interface ConfluentKafka {
  producer(config?: Config): ConfluentProducer
  consumer(config: Config): ConfluentConsumer
  admin(): ConfluentAdmin
}

interface Confluent {
  readonly KafkaJS: {
    readonly Kafka: new (config: Config) => ConfluentKafka
    readonly logLevel: { readonly NOTHING: number }
  }
}

/** A client factory for a broker. Needs the built package. */
export function confluentKafka(bootstrap: string): ConfluentKafka {
  const { KafkaJS } = loadConfluent<Confluent>()
  return new KafkaJS.Kafka({
    kafkaJS: { brokers: [bootstrap], logLevel: KafkaJS.logLevel.NOTHING },
  })
}
