/**
 * What the listener may use, by name. The composition root merges this table into configuration
 * keys, environment names and help; names follow Apache Kafka where it has the same limit.
 */
import {
  type BooleanSetting,
  type IntegerSetting,
  integer,
  type SettingValues,
} from '@millrace/base'

const KIB = 1024
const MIB = 1024 * KIB
const SECOND = 1000
const MINUTE = 60 * SECOND

/** All settings of the listener. */
export const BROKER_SETTINGS: {
  readonly 'auto.create.topics.enable': BooleanSetting
  readonly 'chunks.max.bytes': IntegerSetting
  readonly 'connections.evict.idle.ms': IntegerSetting
  readonly 'connections.first.request.max.ms': IntegerSetting
  readonly 'connections.frame.max.ms': IntegerSetting
  readonly 'connections.frame.stall.max.ms': IntegerSetting
  readonly 'connections.in.flight.max': IntegerSetting
  readonly 'connections.max': IntegerSetting
  readonly 'connections.max.idle.ms': IntegerSetting
  readonly 'connections.max.per.ip': IntegerSetting
  readonly 'connections.queued.max.bytes': IntegerSetting
  readonly 'connections.stalled.max.ms': IntegerSetting
  readonly 'connections.unsent.max.bytes': IntegerSetting
  readonly 'frames.kept.max.bytes': IntegerSetting
  readonly 'queued.max.request.bytes': IntegerSetting
  readonly 'request.elements.max': IntegerSetting
  readonly 'request.turn.warn.ms': IntegerSetting
  readonly 'request.trace.enable': BooleanSetting
  readonly 'socket.request.max.bytes': IntegerSetting
} = {
  'auto.create.topics.enable': {
    type: 'boolean',
    default: true,
    doc: 'Whether asking for an unknown topic creates it.',
  },
  'chunks.max.bytes': integer(
    32 * MIB,
    MIB,
    4 * 1024 * MIB,
    'Memory for streaming answers, over all connections. When used up, each connection goes on with 64 KiB of its own.',
  ),
  'connections.evict.idle.ms': integer(
    10 * SECOND,
    SECOND,
    60 * MINUTE,
    'At connections.max a new connection takes the place of the one that has been idle longest, of the address that has the most, if it has been for this long.',
  ),
  'connections.first.request.max.ms': integer(
    30 * SECOND,
    SECOND,
    60 * MINUTE,
    'A new connection that has sent no request after this long is closed.',
  ),
  'connections.frame.max.ms': integer(
    30 * SECOND,
    SECOND,
    60 * MINUTE,
    'A connection whose request, once begun, is not whole after this long while it is being read is closed.',
  ),
  'connections.frame.stall.max.ms': integer(
    5 * SECOND,
    SECOND,
    60 * MINUTE,
    'While halves of requests use up queued.max.request.bytes, a connection whose half does not go on for this long is closed, the oldest first.',
  ),
  'connections.in.flight.max': integer(
    128,
    1,
    10_000,
    'Requests of one connection that are not answered yet. At the limit its socket is not read.',
  ),
  'connections.max': integer(
    2_000,
    1,
    100_000,
    'Open connections. One more takes the place of an idle one, or is closed at once.',
  ),
  'connections.max.idle.ms': integer(
    10 * MINUTE,
    SECOND,
    24 * 60 * MINUTE,
    'A connection without a request for this long, and none in flight, is closed.',
  ),
  'connections.max.per.ip': integer(
    1_500,
    1,
    100_000,
    'Open connections from one address. One more is closed at once.',
  ),
  'connections.queued.max.bytes': integer(
    16 * MIB,
    64 * KIB,
    64 * 1024 * MIB,
    'Bytes of requests of one connection that are worked on, and of answers that wait for their turn. At the limit no further one is started.',
  ),
  'connections.stalled.max.ms': integer(
    60 * SECOND,
    SECOND,
    60 * MINUTE,
    'A connection that takes no byte of a waiting answer for this long is closed.',
  ),
  'connections.unsent.max.bytes': integer(
    4 * MIB,
    64 * KIB,
    64 * MIB,
    'Bytes of answers handed to the socket of one connection and not taken by its peer.',
  ),
  'frames.kept.max.bytes': integer(
    8 * MIB,
    0,
    1024 * MIB,
    'Memory of requests that is kept for the next ones, over all connections.',
  ),
  'queued.max.request.bytes': integer(
    64 * MIB,
    64 * KIB,
    64 * 1024 * MIB,
    'Bytes of requests and answers in memory over all connections. Above it sockets are not read until some are done.',
  ),
  'request.elements.max': integer(
    50_000,
    1_000,
    1_000_000,
    'Array elements of one request, over all its arrays. A connection that sends more is closed. They are read in one turn of the event loop: about 30 ms for 50,000.',
  ),
  'request.turn.warn.ms': integer(
    100,
    1,
    60_000,
    'A request that holds the event loop for this long without a pause is named in a warning.',
  ),
  'request.trace.enable': {
    type: 'boolean',
    default: false,
    doc: 'Whether metrics say where produce requests spend their time, step by step.',
  },
  'socket.request.max.bytes': integer(
    32 * MIB,
    64 * KIB,
    1024 * MIB,
    'Largest request. A connection that announces a larger one is closed. At most queued.max.request.bytes.',
  ),
}

/** The values of {@link BROKER_SETTINGS}. */
export type BrokerSettings = SettingValues<typeof BROKER_SETTINGS>
