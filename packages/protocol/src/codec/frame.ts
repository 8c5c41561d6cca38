/**
 * Frames: a 32-bit size, a header, the body of one message.
 *
 *   request   apiKey:i16 apiVersion:i16 correlationId:i32 clientId:str? [tags]   body
 *   response  correlationId:i32 [tags]                                           body
 *
 * Tags stand in flexible versions only, and never in the header of an ApiVersions response, which a
 * client must read before it knows what the broker speaks (KIP-511). The client id keeps its 16-bit
 * length in all versions. Decoding takes a payload: the frame without its size.
 */
import { ProtocolError } from '../errors.ts'
import { type AnyApi, type Api, type Codec, speaks } from './api.ts'
import { readUnknownTags } from './decoder.ts'
import { writeUnknownTags } from './encoder.ts'
import { type MessageLimits, REQUEST_LIMITS, Reader } from './reader.ts'
import type { Decoded, Frame, UnknownTag } from './types.ts'
import { Writer } from './writer.ts'

const API_VERSIONS_KEY = 18
const SIZE_HINT_MAX = 65_536

/** The head of a request as far as it could be read. */
export type RequestHeader = {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  /** The API, if it is one of those asked for; `supported` says whether the version is, too. */
  readonly api: AnyApi | undefined
  /** When false, nothing behind the correlation id has been read. */
  readonly supported: boolean
  /** Empty also where the client sent null. */
  readonly clientId: string
  /** Where in the payload the body begins. */
  readonly bodyAt: number
  readonly unknownTags: readonly UnknownTag[]
}

/**
 * Reads the header of a request. An API or version that is not spoken is no error here: for
 * ApiVersions it has an answer (version 0, UNSUPPORTED_VERSION), for all others it ends the
 * connection.
 *
 * @param apis what this side speaks, by key
 */
export function decodeRequestHeader(
  payload: Buffer,
  apis: ReadonlyMap<number, AnyApi>,
): RequestHeader {
  const reader = new Reader(payload)
  const apiKey = reader.i16()
  const apiVersion = reader.i16()
  const correlationId = reader.i32()
  const api = apis.get(apiKey)
  const supported = api !== undefined && speaks(api, apiVersion)
  if (!supported) {
    const nothing = { clientId: '', bodyAt: reader.at, unknownTags: [] }
    return { apiKey, apiVersion, correlationId, api, supported, ...nothing }
  }
  const length = reader.length16()
  const clientId = length < 0 ? '' : reader.text(length)
  const unknownTags = apiVersion >= api.flexibleFrom ? readUnknownTags(reader) : []
  const bodyAt = reader.at
  return { apiKey, apiVersion, correlationId, api, supported, clientId, bodyAt, unknownTags }
}

/**
 * Reads the body of a request. Bytes behind its last field are ignored, as Apache Kafka does:
 * librdkafka 2.15 sends three of them behind a Metadata request for all topics.
 */
export function decodeRequest<Request extends object>(
  api: Api<Request, object>,
  version: number,
  payload: Buffer,
  bodyAt: number,
  limits: MessageLimits = REQUEST_LIMITS,
): Decoded<Request> {
  return api.request.codec(version).decode(new Reader(payload, bodyAt, limits))
}

/** A response and the request that it answers. */
export type ResponseOf<Response> = {
  readonly correlationId: number
  readonly response: Decoded<Response>
  readonly unknownTags: readonly UnknownTag[]
}

/** Reads a response whose request was of this API and version, to the payload's end. */
export function decodeResponse<Response extends object>(
  api: Api<object, Response>,
  version: number,
  payload: Buffer,
): ResponseOf<Response> {
  const codec = api.response.codec(version)
  const reader = new Reader(payload)
  const correlationId = reader.i32()
  const unknownTags = hasResponseTags(api, version) ? readUnknownTags(reader) : []
  const response = codec.decode(reader)
  reader.end()
  return { correlationId, response, unknownTags }
}

/** What a client puts before the body of a request. */
export type RequestHeaderFields = {
  readonly correlationId: number
  readonly clientId: string | null
  readonly unknownTags?: readonly UnknownTag[]
}

/** A request as a frame. Throws VALUE_OUT_OF_RANGE, UNSUPPORTED_VERSION. */
export function encodeRequestFrame<Request extends object>(
  api: Api<Request, object>,
  version: number,
  header: RequestHeaderFields,
  request: Request,
): Frame {
  const codec = api.request.codec(version)
  const writer = new Writer({ sizePrefix: true, initialBytes: codec.sizeHint })
  writer.i16(api.key)
  writer.i16(version)
  writer.i32(header.correlationId)
  if (header.clientId === null) writer.i16(-1)
  else writer.string16(header.clientId)
  if (version >= api.flexibleFrom) writeUnknownTags(writer, header.unknownTags ?? [])
  return finish(codec, writer, request)
}

/**
 * A response as a frame. `records` that are not short stay pieces of their own.
 * Throws VALUE_OUT_OF_RANGE, UNSUPPORTED_VERSION.
 */
export function encodeResponseFrame<Response extends object>(
  api: Api<object, Response>,
  version: number,
  correlationId: number,
  response: Response,
): Frame {
  const codec = api.response.codec(version)
  const writer = new Writer({ sizePrefix: true, initialBytes: codec.sizeHint })
  writer.i32(correlationId)
  if (hasResponseTags(api, version)) writer.uvarint(0)
  return finish(codec, writer, response)
}

/**
 * {@link encodeResponseFrame} for a large response: pauses between the elements of its outer arrays, so
 * that it can be spread over turns of the event loop.
 */
export function* encodeResponseInSteps<Response extends object>(
  api: Api<object, Response>,
  version: number,
  correlationId: number,
  response: Response,
): Generator<void, Frame> {
  const codec = api.response.codec(version)
  const writer = new Writer({ sizePrefix: true, initialBytes: codec.sizeHint })
  writer.i32(correlationId)
  if (hasResponseTags(api, version)) writer.uvarint(0)
  yield* codec.encodeInSteps(writer, response)
  return writer.finish()
}

function finish<T>(codec: Codec<T>, writer: Writer, message: T): Frame {
  codec.encode(writer, message)
  const frame = writer.finish()
  if (writer.written > codec.sizeHint) codec.sizeHint = Math.min(writer.written, SIZE_HINT_MAX)
  return frame
}

function hasResponseTags(api: AnyApi, version: number): boolean {
  return version >= api.flexibleFrom && api.key !== API_VERSIONS_KEY
}

/** The frame as one buffer. Throws VALUE_OUT_OF_RANGE if a piece lies elsewhere. */
export function frameBytes(frame: Frame): Buffer {
  return Buffer.concat(
    frame.pieces.map(piece => {
      if (Buffer.isBuffer(piece)) return piece
      throw new ProtocolError('VALUE_OUT_OF_RANGE', 'a piece of the frame lies elsewhere')
    }),
  )
}
