import assert from 'node:assert/strict'
import { describe, expect, test } from 'vitest'
import {
  APIS,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeResponseFrame,
  encodeResponseInSteps,
  frameBytes,
  ProtocolError,
} from '../../src/index.ts'
import {
  type Case,
  everyCase,
  frameOf,
  messageOf,
  payloadOf,
  randomOf,
  replay,
} from './every-message.ts'

const ROUNDS = 25
const FILE = 'round-trip.unit.test.ts'

function decode({ api, version, direction }: Case, payload: Buffer): object {
  if (direction === 'response') return decodeResponse(api, version, payload).response
  const header = decodeRequestHeader(payload, APIS)
  return decodeRequest(api, version, payload, header.bodyAt)
}

describe('every message of every version', () => {
  test('comes back from its bytes as it went in, unknown tags included', () => {
    let withTags = 0
    for (const [salt, case_] of everyCase().entries()) {
      const random = randomOf(salt)
      for (let round = 0; round < ROUNDS; round += 1) {
        const message = messageOf(case_, random)
        const payload = payloadOf(case_, message)
        const decoded = decode(case_, payload)
        assert.deepStrictEqual(decoded, message, `${case_.name}: ${replay(FILE)}`)
        assert.ok(payloadOf(case_, decoded).equals(payload), `${case_.name}: ${replay(FILE)}`)
        if ('unknownTags' in message) withTags += 1
      }
    }
    expect(withTags).toBeGreaterThan(50)
  })

  test('cut short anywhere is a ProtocolError and nothing else', () => {
    for (const [salt, case_] of everyCase().entries()) {
      const payload = payloadOf(case_, messageOf(case_, randomOf(salt)))
      for (let length = 0; length < payload.length; length += 1) {
        const cut = payload.subarray(0, length)
        assert.throws(() => decode(case_, cut), ProtocolError, `${case_.name} at ${length}`)
      }
    }
  })

  test('with a byte too many is TRAILING_BYTES as a response, and read as a request', () => {
    for (const [salt, case_] of everyCase().entries()) {
      const payload = payloadOf(case_, messageOf(case_, randomOf(salt)))
      const longer = Buffer.concat([payload, Buffer.of(0)])
      if (case_.direction === 'request')
        assert.doesNotThrow(() => decode(case_, longer), case_.name)
      else assert.throws(() => decode(case_, longer), { code: 'TRAILING_BYTES' }, case_.name)
    }
  })

  test('says its own size in front', () => {
    for (const [salt, case_] of everyCase().entries()) {
      const frame = frameOf(case_, messageOf(case_, randomOf(salt)))
      const bytes = frameBytes(frame)
      expect(bytes.length).toBe(frame.byteLength)
      expect(bytes.readInt32BE(0)).toBe(bytes.length - 4)
    }
  })

  test('is the same bytes when it is written in steps', () => {
    for (const [salt, case_] of everyCase().entries()) {
      if (case_.direction === 'request') continue
      const message = messageOf(case_, randomOf(salt))
      const whole = frameBytes(encodeResponseFrame(case_.api, case_.version, 7, message))
      const steps = encodeResponseInSteps(case_.api, case_.version, 7, message)
      let step = steps.next()
      while (step.done !== true) step = steps.next()
      assert.ok(frameBytes(step.value).equals(whole), case_.name)
    }
  })

  test('with flipped bits decodes to something or is a ProtocolError', () => {
    for (const [salt, case_] of everyCase().entries()) {
      const random = randomOf(salt)
      const payload = payloadOf(case_, messageOf(case_, random))
      for (let round = 0; round < 100; round += 1) {
        const spoiled = Buffer.from(payload)
        const at = random.below(spoiled.length)
        // The API and version stay: they say how to read the rest.
        if (case_.direction === 'request' && at < 4) continue
        spoiled[at] = (spoiled[at] ?? 0) ^ (1 << random.below(8))
        try {
          decode(case_, spoiled)
        } catch (error) {
          assert.ok(
            error instanceof ProtocolError,
            `${case_.name}: ${String(error)}; ${replay(FILE)}`,
          )
        }
      }
    }
  })
})
