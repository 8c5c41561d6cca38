/**
 * What the listener may use, by name. The composition root merges this table into configuration
 * keys, environment names and help; names follow Apache Kafka where it has the same limit.
 */
import type { SettingValues } from '@millrace/base'

/** All settings of the listener. */
export const BROKER_SETTINGS = {
  'auto.create.topics.enable': {
    type: 'boolean',
    default: true,
    doc: 'Whether asking for an unknown topic creates it.',
  },
  'chunks.max.bytes': {
    type: 'integer',
    default: 33_554_432,
    min: 1_048_576,
    max: 4_294_967_296,
    doc: 'Memory for streaming answers, over all connections. When used up, each connection goes on with 64 KiB of its own.',
  },
  'connections.evict.idle.ms': {
    type: 'integer',
    default: 10_000,
    min: 1000,
    max: 3_600_000,
    doc: 'At connections.max a new connection takes the place of the one that has been idle longest, of the address that has the most, if it has been for this long.',
  },
  'connections.first.request.max.ms': {
    type: 'integer',
    default: 30_000,
    min: 1000,
    max: 3_600_000,
    doc: 'A new connection that has sent no request after this long is closed.',
  },
  'connections.frame.max.ms': {
    type: 'integer',
    default: 30_000,
    min: 1000,
    max: 3_600_000,
    doc: 'A connection whose request, once begun, is not whole after this long while it is being read is closed.',
  },
  'connections.frame.stall.max.ms': {
    type: 'integer',
    default: 5000,
    min: 1000,
    max: 3_600_000,
    doc: 'While halves of requests use up queued.max.request.bytes, a connection whose half does not go on for this long is closed, the oldest first.',
  },
  'connections.in.flight.max': {
    type: 'integer',
    default: 128,
    min: 1,
    max: 10_000,
    doc: 'Requests of one connection that are not answered yet. At the limit its socket is not read.',
  },
  'connections.max': {
    type: 'integer',
    default: 2000,
    min: 1,
    max: 100_000,
    doc: 'Open connections. One more takes the place of an idle one, or is closed at once.',
  },
  'connections.max.idle.ms': {
    type: 'integer',
    default: 600_000,
    min: 1000,
    max: 86_400_000,
    doc: 'A connection without a request for this long, and none in flight, is closed.',
  },
  'connections.max.per.ip': {
    type: 'integer',
    default: 1500,
    min: 1,
    max: 100_000,
    doc: 'Open connections from one address. One more is closed at once.',
  },
  'connections.queued.max.bytes': {
    type: 'integer',
    default: 16_777_216,
    min: 65_536,
    max: 68_719_476_736,
    doc: 'Bytes of requests of one connection that are worked on, and of answers that wait for their turn. At the limit no further one is started.',
  },
  'connections.stalled.max.ms': {
    type: 'integer',
    default: 60_000,
    min: 1000,
    max: 3_600_000,
    doc: 'A connection that takes no byte of a waiting answer for this long is closed.',
  },
  'connections.unsent.max.bytes': {
    type: 'integer',
    default: 4_194_304,
    min: 65_536,
    max: 67_108_864,
    doc: 'Bytes of answers handed to the socket of one connection and not taken by its peer.',
  },
  'frames.kept.max.bytes': {
    type: 'integer',
    default: 8_388_608,
    min: 0,
    max: 1_073_741_824,
    doc: 'Memory of requests that is kept for the next ones, over all connections.',
  },
  'queued.max.request.bytes': {
    type: 'integer',
    default: 67_108_864,
    min: 65_536,
    max: 68_719_476_736,
    doc: 'Bytes of requests and answers in memory over all connections. Above it sockets are not read until some are done.',
  },
  'request.elements.max': {
    type: 'integer',
    default: 50_000,
    min: 1000,
    max: 1_000_000,
    doc: 'Array elements of one request, over all its arrays. A connection that sends more is closed. They are read in one turn of the event loop: about 30 ms for 50,000.',
  },
  'request.turn.warn.ms': {
    type: 'integer',
    default: 100,
    min: 1,
    max: 60_000,
    doc: 'A request that holds the event loop for this long without a pause is named in a warning.',
  },
  'request.trace.enable': {
    type: 'boolean',
    default: false,
    doc: 'Whether metrics say where produce requests spend their time, step by step.',
  },
  'socket.request.max.bytes': {
    type: 'integer',
    default: 33_554_432,
    min: 65_536,
    max: 1_073_741_824,
    doc: 'Largest request. A connection that announces a larger one is closed. At most queued.max.request.bytes.',
  },
} as const

/** The values of {@link BROKER_SETTINGS}. */
export type BrokerSettings = SettingValues<typeof BROKER_SETTINGS>
