/**
 * Requests that keep to the protocol and ask for as much as it lets them: for each array of an API's
 * grammar one that is as long as allowed, with elements that are all the same, or all different; and
 * one with the longest strings. Made from the grammar, so that a new API has them, too.
 */
import type { AnyApi } from '../../../src/codec/api.ts'
import { type Field, type FieldType, inRange } from '../../../src/codec/grammar.ts'
import { REQUEST_LIMITS, STRING_BYTES_MAX } from '../../../src/codec/reader.ts'
import { ZERO_UUID } from '../../../src/codec/types.ts'

/** What the log under test holds. */
export type LargeOptions = {
  /** A topic with a great many partitions. */
  readonly topic: string
  readonly group: string
  /** A record batch that is right. */
  readonly batch: Buffer
  /** Elements of the longest array; default what a request may hold. */
  readonly elements?: number
  /** Bytes that the request may have. */
  readonly bytesMax: number
}

/** One such request, made when it is asked for: it is large. */
export type LargeRequest = {
  readonly label: string
  readonly make: () => Record<string, unknown>
}

/** The same name again and again, the names of what is there, or names of nothing. */
type Style = 'same' | 'known' | 'different' | 'long strings'

const STYLES: readonly Style[] = ['same', 'known', 'different', 'long strings']
const LONG_BYTES = 64 * 1024
/** Long strings leave room for some more of them. */
const TEXTS_IN_A_FRAME = 4

/** The largest requests of one version. */
export function largeRequests(
  api: AnyApi,
  version: number,
  options: LargeOptions,
): readonly LargeRequest[] {
  const paths = arrayPaths(api.request.fields, version)
  return (paths.length === 0 ? [''] : paths).flatMap(path =>
    STYLES.map(style => ({
      label: path === '' ? style : `${path}, ${style}`,
      make: () => new Making(version, options, style, path).message(api),
    })),
  )
}

/** Where in a message there are arrays: `topics`, `topics.partitions`. */
function arrayPaths(fields: readonly Field[], version: number, before = ''): readonly string[] {
  return fields.flatMap(({ name, type, versions, tag }) => {
    if (!inRange(versions, version) || tag !== undefined) return []
    const path = `${before}${name}`
    if (type.kind === 'struct') return arrayPaths(type.fields, version, `${path}.`)
    if (type.kind !== 'array') return []
    const { element } = type
    const inner = element.kind === 'struct' ? arrayPaths(element.fields, version, `${path}.`) : []
    return [path, ...inner]
  })
}

/** One message in the making. */
class Making {
  readonly #version: number
  readonly #options: LargeOptions
  readonly #style: Style
  readonly #longest: string
  #elementsLeft: number
  #textLeft = REQUEST_LIMITS.textBytes
  #bytesLeft: number

  constructor(version: number, options: LargeOptions, style: Style, longest: string) {
    this.#version = version
    this.#options = options
    this.#style = style
    this.#longest = longest
    this.#elementsLeft = options.elements ?? REQUEST_LIMITS.elements
    this.#bytesLeft = options.bytesMax - 1024
  }

  message(api: AnyApi): Record<string, unknown> {
    return this.#struct(api.request.fields, '', 0)
  }

  #struct(fields: readonly Field[], before: string, index: number): Record<string, unknown> {
    return Object.fromEntries(
      fields.map(field => [
        field.name,
        inRange(field.versions, this.#version) && field.tag === undefined
          ? this.#value(field.name, field.type, `${before}${field.name}`, index)
          : field.defaultValue,
      ]),
    )
  }

  #value(name: string, type: FieldType, path: string, index: number): unknown {
    switch (type.kind) {
      case 'array':
        return this.#array(name, type.element, path)
      case 'struct':
        return this.#struct(type.fields, `${path}.`, index)
      case 'str':
        return this.#text(name, index)
      case 'uuid':
        this.#bytesLeft -= 16
        return this.#style === 'same' ? ZERO_UUID : uuid(index)
      case 'bytes':
        return this.#bytes(this.#style === 'long strings' ? LONG_BYTES : 8)
      case 'records':
        this.#bytesLeft -= this.#options.batch.length + 4
        return this.#options.batch
      case 'bool':
        this.#bytesLeft -= 1
        return name !== 'validateOnly'
      case 'i64':
        this.#bytesLeft -= 8
        return name === 'timestamp' ? 1 : 0
      default:
        this.#bytesLeft -= 4
        return this.#integer(name, type.kind, index)
    }
  }

  #array(name: string, element: FieldType, path: string): readonly unknown[] {
    const elements: unknown[] = []
    const isLongest = path === this.#longest
    const wanted = isLongest ? Number.POSITIVE_INFINITY : 1
    while (elements.length < wanted && this.#elementsLeft > 0 && this.#bytesLeft > 0) {
      if (this.#textLeft <= 0) break
      this.#elementsLeft -= 1
      const left = this.#elementsLeft
      this.#bytesLeft -= 3
      const value = this.#value(name, element, path, elements.length)
      // An element that did not fit as a whole is left out again.
      if (isLongest && this.#elementsLeft <= 0 && left > 0) break
      if (isLongest && (this.#textLeft < 0 || this.#bytesLeft < 0)) break
      elements.push(value)
    }
    return elements
  }

  #text(name: string, index: number): string {
    const text = this.#chosenText(name, index)
    this.#textLeft -= Buffer.byteLength(text)
    this.#bytesLeft -= Buffer.byteLength(text) + 2
    return text
  }

  #chosenText(name: string, index: number): string {
    const { topic, group } = this.#options
    if (this.#style === 'long strings') {
      const bytes = Math.min(STRING_BYTES_MAX, Math.max(0, this.#bytesLeft / TEXTS_IN_A_FRAME))
      return 'é'.repeat(Math.floor(bytes / 2))
    }
    if (name === 'transactionalId') return ''
    if (this.#style === 'different') return `nothing-${index}`
    if (/^group/i.test(name)) return group
    if (/^(name|topic|topics|topicNames|resourceName)$/.test(name)) return topic
    return this.#style === 'same' ? 'same' : `${name}-${index}`
  }

  #bytes(length: number): Buffer {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.#bytesLeft - 8)), 0x41)
    this.#bytesLeft -= bytes.length + 4
    return bytes
  }

  #integer(name: string, kind: string, index: number): number {
    if (/^(maxWaitMs|timeoutMs|throttleTimeMs)$/i.test(name)) return 0
    if (name === 'acks') return -1
    if (name === 'resourceType') return 2
    if (name === 'numPartitions') return 1
    if (name === 'replicationFactor') return 1
    if (/Epoch$/.test(name)) return -1
    if (/sessionTimeout|rebalanceTimeout/i.test(name)) return 10_000
    if (/MaxBytes|maxBytes/.test(name)) return 1 << 20
    if (kind !== 'i32' || this.#style === 'same') return 0
    return index
  }
}

function uuid(index: number): string {
  const bytes = Buffer.alloc(16, 7)
  bytes.writeUInt32BE(index, 12)
  return bytes.toString('base64url')
}
