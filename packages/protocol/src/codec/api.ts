/**
 * An API: its key, its versions, and the two messages of each version.
 *
 * A file of `messages/` calls {@link api} with two grammars. Nothing is parsed then; a codec is
 * compiled when its version and direction is used for the first time, and kept.
 */
import { ProtocolError } from '../errors.ts'
import { compileDecoder, type Read } from './decoder.ts'
import { compileEncoder, compileStepwiseEncoder, type Write, type WriteInSteps } from './encoder.ts'
import { type Field, parseGrammar } from './grammar.ts'
import type { Reader } from './reader.ts'
import type { Decoded } from './types.ts'
import type { Writer } from './writer.ts'

/** Decoder and encoder of one message in one version. */
export type Codec<T> = {
  decode(reader: Reader): Decoded<T>
  encode(writer: Writer, message: T): void
  /** The same bytes, with a pause behind each element of the outer arrays. */
  encodeInSteps(writer: Writer, message: T): Generator<void, void>
  /** Bytes that encoding took lately, without what was not copied: where to begin next time. */
  sizeHint: number
}

/** What a file of `messages/` states about its API. */
export type ApiSpec = {
  readonly key: number
  readonly name: string
  /** First and last version that this side speaks. */
  readonly versions: readonly [first: number, last: number]
  /** First version with compact lengths and tagged fields (KIP-482), if any has them. */
  readonly flexibleFrom?: number
  /** Grammar of the request; notation: `protocol/grammar.ts`. */
  readonly request: string
  /** Grammar of the response. */
  readonly response: string
}

const SIZE_HINT_INITIAL = 256

/** One direction of an API, in all its versions. */
export class Message<T> {
  readonly #grammar: string
  readonly #spec: ApiSpec
  readonly #codecs: (Codec<T> | undefined)[] = []
  #fields: readonly Field[] | undefined

  constructor(spec: ApiSpec, grammar: string) {
    this.#spec = spec
    this.#grammar = grammar
  }

  /** The fields of the grammar, for whoever walks over messages: tests, fuzzers. */
  get fields(): readonly Field[] {
    this.#fields ??= parseGrammar(this.#grammar)
    return this.#fields
  }

  /** The codec of one version. Throws UNSUPPORTED_VERSION. */
  codec(version: number): Codec<T> {
    return this.#codecs[version] ?? this.#compile(version)
  }

  #compile(version: number): Codec<T> {
    const { name, versions, flexibleFrom } = this.#spec
    if (!Number.isInteger(version) || version < versions[0] || version > versions[1]) {
      throw new ProtocolError('UNSUPPORTED_VERSION', `${name} version ${version}`)
    }
    const flexible = flexibleFrom !== undefined && version >= flexibleFrom
    let inSteps: WriteInSteps<T> | undefined
    const codec: Codec<T> = {
      // The grammar and the interface T are bound by a test, not by the compiler.
      decode: compileDecoder(this.fields, version, flexible) as Read<Decoded<T>>,
      encode: compileEncoder(this.fields, version, flexible) as unknown as Write<T>,
      encodeInSteps: (writer, message) => {
        inSteps ??= compileStepwiseEncoder(
          this.fields,
          version,
          flexible,
        ) as unknown as WriteInSteps<T>
        return inSteps(writer, message)
      },
      sizeHint: SIZE_HINT_INITIAL,
    }
    this.#codecs[version] = codec
    return codec
  }
}

/** An API of the protocol with the types of its messages. */
export type Api<Request extends object, Response extends object> = {
  readonly key: number
  readonly name: string
  readonly versions: readonly [first: number, last: number]
  readonly flexibleFrom: number
  readonly request: Message<Request>
  readonly response: Message<Response>
}

/** Any API, where the types of its messages do not matter. */
export type AnyApi = Api<object, object>

/** Declares an API. */
export function api<Request extends object, Response extends object>(
  spec: ApiSpec,
): Api<Request, Response> {
  return {
    key: spec.key,
    name: spec.name,
    versions: spec.versions,
    flexibleFrom: spec.flexibleFrom ?? Number.POSITIVE_INFINITY,
    request: new Message<Request>(spec, spec.request),
    response: new Message<Response>(spec, spec.response),
  }
}

/** Whether `version` of the API is spoken here. */
export function speaks(api: AnyApi, version: number): boolean {
  return version >= api.versions[0] && version <= api.versions[1]
}
