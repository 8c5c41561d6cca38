/**
 * The words of the port that are values: offsets, timestamps, identities, isolation.
 *
 * Offsets and timestamps are safe integers in memory and int64 on the wire; a value beyond 2^53 - 1
 * is refused where it enters, never rounded.
 */

declare const KIND: unique symbol

/**
 * A number of a kind: one kind is no other kind, and each is a number. The mark is optional, so that a
 * plain number, a literal or a sum, is taken for any of them: what is caught is an offset where a
 * timestamp was meant, and nobody has to convert what he has counted himself.
 */
export type NumberOf<Kind extends string> = number & { readonly [KIND]?: Kind }

/** Position of a record in its partition, from 0. A safe integer. */
export type Offset = NumberOf<'offset'>

/** Milliseconds since the epoch, UTC. -1 where there is none. */
export type Timestamp = NumberOf<'timestamp'>

/** What an append waits for. 1 behaves as "all": a node has one copy, and one durability. */
export type Acks = 0 | 1 | 'all'

/** Whether records of open and aborted transactions are shown (KIP-98). */
export type Isolation = 'read_uncommitted' | 'read_committed'

/** A producer's identity for de-duplication (KIP-98). */
export type ProducerIdentity = {
  readonly producerId: number
  readonly producerEpoch: number
}

/** A place in a {@link Log.listOffsets} query. A number is a timestamp in ms. */
export type OffsetPlace = 'earliest' | 'latest' | 'maxTimestamp' | Timestamp

/** A partition of a topic. */
export type TopicPartition = { readonly topic: string; readonly partition: number }

/** Leader epoch where none is known. */
export const NO_LEADER_EPOCH = -1
