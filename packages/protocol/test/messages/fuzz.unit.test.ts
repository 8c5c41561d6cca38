import assert from 'node:assert/strict'
import { describe, expect, test } from 'vitest'
import { APIS, decodeRequest, decodeRequestHeader, ProtocolError } from '../../src/index.ts'
import { type FuzzCase, fuzzFrames } from '../support/fuzz/index.ts'
import { replay, SEED } from './every-message.ts'

const COUNT = 20_000
const CASE_BYTES_MAX = 100_000

/** Frames in the bytes, as far as their sizes are true. */
function payloads(bytes: Buffer): readonly Buffer[] {
  const found: Buffer[] = []
  let at = 0
  while (at + 4 <= bytes.length) {
    const size = bytes.readInt32BE(at)
    if (size < 0 || at + 4 + size > bytes.length) break
    found.push(bytes.subarray(at + 4, at + 4 + size))
    at += 4 + size
  }
  return found
}

function decodeAll({ bytes }: FuzzCase): void {
  for (const payload of payloads(bytes)) {
    const { api, supported, apiVersion, bodyAt } = decodeRequestHeader(payload, APIS)
    if (api !== undefined && supported) decodeRequest(api, apiVersion, payload, bodyAt)
  }
}

describe('the fuzzer', () => {
  test('gives the same cases for the same seed, and others for another', () => {
    const labels = (seed: number): string =>
      [...fuzzFrames(seed, 50)].map(({ label, bytes }) => label + bytes.toString('hex')).join()
    expect(labels(1)).toBe(labels(1))
    expect(labels(1)).not.toBe(labels(2))
  })

  test('makes small cases whose splits lie inside, and valid ones that decode', () => {
    let valid = 0
    const labels = new Set<string>()
    for (const fuzz of fuzzFrames(SEED, COUNT)) {
      const { bytes, splits, label } = fuzz
      expect(bytes.length, label).toBeLessThan(CASE_BYTES_MAX)
      for (const [index, at] of splits.entries()) {
        assert.ok(at > (splits[index - 1] ?? 0) && at < bytes.length, label)
      }
      labels.add(label)
      if (!fuzz.valid) continue
      valid += 1
      decodeAll(fuzz)
    }
    expect(valid).toBeGreaterThan(COUNT / 40)
    expect(labels.size).toBeGreaterThan(1000)
  })

  test('finds nothing in the decoders but messages and ProtocolErrors', () => {
    for (const fuzz of fuzzFrames(SEED, COUNT)) {
      try {
        decodeAll(fuzz)
      } catch (error) {
        assert.ok(
          error instanceof ProtocolError,
          `${fuzz.label}: ${String(error)}; ${replay('fuzz.unit.test.ts')}`,
        )
      }
    }
  })
})
