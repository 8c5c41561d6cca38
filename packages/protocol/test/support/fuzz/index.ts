/**
 * A seeded, structure-aware fuzzer for the listener: frames that are nearly right.
 *
 * Each case starts from a valid random request of some API and version (real topic and group names
 * among its strings, real record batches in Produce), then spoils it, and says where the bytes are
 * to be split on their way through the socket. Some keep to the protocol and ask for as much as a frame
 * can hold: duplicates, many names, long strings. The same seed gives the same cases. Others are small:
 * their frames have a few KiB, whatever size they claim.
 */

import type { AnyApi } from '../../../src/codec/api.ts'
import { encodeRequestFrame, frameBytes } from '../../../src/codec/frame.ts'
import type { Field } from '../../../src/codec/grammar.ts'
import { APIS } from '../../../src/messages/apis.ts'
import { damagedBatch, recordBatch } from './batches.ts'
import { type LargeRequest, largeRequests } from './large-requests.ts'
import { foreignBytes, MUTATIONS } from './mutations.ts'
import { Random } from './random.ts'
import { randomMessage } from './random-message.ts'

export { type LargeOptions, type LargeRequest, largeRequests } from './large-requests.ts'
export { Random } from './random.ts'
export { type RandomMessageOptions, randomMessage } from './random-message.ts'

/** One thing to be sent over a fresh or used connection. */
export type FuzzCase = {
  readonly bytes: Buffer
  /** What was done, for the report of a failure: "Fetch v12: count lies". */
  readonly label: string
  /** Ascending positions at which the bytes are split into separate writes. */
  readonly splits: readonly number[]
  /** Whether the bytes are whole, valid frames, all of which must be answered (acks 0 apart). */
  readonly valid: boolean
}

/** What the node under test holds, so that requests get past the look-up of names. */
export type FuzzOptions = {
  readonly topics?: readonly [string, ...string[]]
  readonly groups?: readonly [string, ...string[]]
}

const TOPICS_DEFAULT = ['fuzz-0', 'fuzz-1'] as const
const GROUPS_DEFAULT = ['fuzz-group-0', 'fuzz-group-1'] as const
const WAIT_MS_MAX = 20
/** One in so many cases keeps to the protocol and asks for as much as it may. */
const HOSTILE_ONE_IN = 50
/** Bytes of such a case; frames of the fuzzer's node have at most 64 KiB. */
const LARGE_BYTES = 48 * 1024
const PARTITIONS_MAX = 4

/** Yields `count` cases. */
export function* fuzzFrames(
  seed: number,
  count: number,
  options: FuzzOptions = {},
): Generator<FuzzCase> {
  const random = new Random(seed)
  const apis = [...APIS.values()]
  for (let index = 0; index < count; index += 1) yield fuzzCase(random, apis, options)
}

/** A legal request that asks for as much as fits into a frame of the fuzzer. */
function hostileCase(random: Random, apis: readonly AnyApi[], options: FuzzOptions): FuzzCase {
  const api = apis[random.below(apis.length)] as AnyApi
  const [first, last] = api.versions
  const version = first + random.below(last - first + 1)
  const requests = largeRequests(api, version, {
    topic: random.pick(options.topics ?? TOPICS_DEFAULT),
    group: random.pick(options.groups ?? GROUPS_DEFAULT),
    batch: recordBatch(random, 1),
    bytesMax: LARGE_BYTES,
  })
  const { label, make } = requests[random.below(requests.length)] as LargeRequest
  const header = { correlationId: random.bits() | 0, clientId: 'fuzz' }
  const bytes = frameBytes(encodeRequestFrame(api, version, header, make()))
  return {
    bytes,
    label: `${api.name} v${version}: as much as it may, ${label}`,
    splits: splits(random, bytes.length),
    valid: true,
  }
}

function fuzzCase(random: Random, apis: readonly AnyApi[], options: FuzzOptions): FuzzCase {
  if (random.oneIn(HOSTILE_ONE_IN)) return hostileCase(random, apis, options)
  if (random.oneIn(40)) {
    const foreign = foreignBytes(random)
    return { ...foreign, splits: splits(random, foreign.bytes.length), valid: false }
  }
  const first = requestFrame(random, apis, options)
  // Not spoiled: then the values are the case, and it reaches handlers, engine and disk.
  const mutation = random.oneIn(4) ? MUTATIONS[0] : random.pick(MUTATIONS)
  let bytes = mutation.apply(random, first.bytes)
  let label = `${first.label}: ${mutation.label}`
  const valid = mutation.label === 'whole'
  if (random.oneIn(6)) {
    // Pipelined behind it: must be answered in order, or not at all.
    const second = requestFrame(random, apis, options)
    bytes = Buffer.concat([bytes, second.bytes])
    label += `, then ${second.label}`
  }
  return { bytes, label, splits: splits(random, bytes.length), valid }
}

function requestFrame(
  random: Random,
  apis: readonly AnyApi[],
  options: FuzzOptions,
): { readonly bytes: Buffer; readonly label: string } {
  // Produce is where bytes reach the disk: it gets a quarter of all cases.
  const api = (random.oneIn(4) ? APIS.get(0) : apis[random.below(apis.length)]) as AnyApi
  const [first, last] = api.versions
  const version = first + random.below(last - first + 1)
  let batch = ''
  const message = randomMessage(random, api.request.fields, {
    version,
    flexible: version >= api.flexibleFrom,
    override: field => {
      if (field.type.kind !== 'records') return plausible(random, field, options)
      if (random.oneIn(3)) return recordBatch(random, 1 + random.below(5))
      const damaged = damagedBatch(random)
      batch = ` (batch: ${damaged.label})`
      return damaged.bytes
    },
  })
  const header = { correlationId: random.bits() | 0, clientId: random.pick(['fuzz', '', null]) }
  const bytes = frameBytes(encodeRequestFrame(api, version, header, message))
  return { bytes, label: `${api.name} v${version}${batch}` }
}

/** Values that get a request further than random ones do, most of the time. */
function plausible(random: Random, field: Field, options: FuzzOptions): unknown {
  // Always: a case must not hold up its connection for longer than a test can wait.
  if (field.name === 'maxWaitMs' || field.name === 'timeoutMs') return random.below(WAIT_MS_MAX)
  if (random.oneIn(5)) return undefined
  const { kind } = field.type
  if (kind === 'str') {
    if (field.name === 'name' || field.name === 'topic') {
      return random.pick(options.topics ?? TOPICS_DEFAULT)
    }
    if (field.name === 'groupId') return random.pick(options.groups ?? GROUPS_DEFAULT)
  }
  if (kind === 'i16' && field.name === 'acks') return random.pick([0, 1, -1])
  if (kind !== 'i32') return undefined
  if (/^(partition|partitionIndex|index)$/.test(field.name)) return random.below(PARTITIONS_MAX)
  if (/^(numPartitions|count)$/.test(field.name)) return random.below(2 * PARTITIONS_MAX)
  return undefined
}

function splits(random: Random, length: number): readonly number[] {
  if (length < 2 || random.oneIn(2)) return []
  const points = Array.from({ length: 1 + random.below(4) }, () => 1 + random.below(length - 1))
  return [...new Set(points)].sort((left, right) => left - right)
}
