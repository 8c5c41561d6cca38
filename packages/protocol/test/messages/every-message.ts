/** Walks over every API, version and direction, with seeded random messages of each. */

import type { Codec } from '../../src/codec/api.ts'
import { encodeRequestFrame, encodeResponseFrame } from '../../src/codec/frame.ts'
import { type AnyApi, APIS, type Field, type Frame, frameBytes } from '../../src/index.ts'
import { Random, randomMessage } from '../support/fuzz/index.ts'

/** The seed of this run: MILLRACE_SEED repeats one. */
export const SEED: number = Number(process.env['MILLRACE_SEED'] ?? Date.now() % 0x7fff_ffff)

/** How to repeat a failure. */
export function replay(file: string): string {
  return `MILLRACE_SEED=${SEED} npx vitest run --project unit packages/wire/test/messages/${file}`
}

/** One API in one version and direction. */
export type Case = {
  readonly api: AnyApi
  readonly version: number
  readonly direction: 'request' | 'response'
  readonly name: string
  readonly flexible: boolean
  readonly fields: readonly Field[]
  readonly codec: Codec<object>
}

/** All of them. */
export function everyCase(): readonly Case[] {
  return [...APIS.values()].flatMap(api => {
    const [first, last] = api.versions
    return Array.from({ length: last - first + 1 }, (_, index) => first + index).flatMap(version =>
      (['request', 'response'] as const).map(direction => ({
        api,
        version,
        direction,
        name: `${api.name} v${version} ${direction}`,
        flexible: version >= api.flexibleFrom,
        fields: api[direction].fields,
        codec: api[direction].codec(version),
      })),
    )
  })
}

/** A random message of a case. */
export function messageOf(
  { fields, version, flexible }: Case,
  random: Random,
  override?: (field: Field) => unknown,
): Record<string, unknown> {
  return randomMessage(random, fields, { version, flexible, ...(override && { override }) })
}

/** A random source for this run and case. */
export function randomOf(salt: number): Random {
  return new Random(SEED + salt * 7919)
}

/** The message as a frame of its case, correlation id 7. */
export function frameOf({ api, version, direction }: Case, message: object): Frame {
  return direction === 'request'
    ? encodeRequestFrame(api, version, { correlationId: 7, clientId: 'test' }, message)
    : encodeResponseFrame(api, version, 7, message)
}

/** The same as bytes, without the size. */
export function payloadOf(case_: Case, message: object): Buffer {
  return frameBytes(frameOf(case_, message)).subarray(4)
}
