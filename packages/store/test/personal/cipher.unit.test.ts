import { describe, expect, test } from 'vitest'
import { decrypt, encrypt, Nonces, secretOf } from '../../src/personal/cipher.ts'

const zeros = { bytes: (length: number) => Buffer.alloc(length) }

describe('AES-256-GCM', () => {
  test('gives the known answers of NIST (GCM test cases 13 and 14)', () => {
    const key = Buffer.alloc(32)
    const nonce = '00'.repeat(12)
    expect(encrypt(key, Buffer.alloc(0), '', zeros).toString('hex')).toBe(
      `${nonce}530f8afbc74536b9a963b4f1c4cb738b`,
    )
    expect(encrypt(key, Buffer.alloc(16), '', zeros).toString('hex')).toBe(
      `${nonce}cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919`,
    )
  })

  test('opens what it sealed, and only under the same key, place and bytes', () => {
    const key = Buffer.alloc(32, 1)
    const sealed = encrypt(key, 'Müller', 'here', zeros)
    expect(decrypt(key, sealed, 'here')?.toString()).toBe('Müller')
    expect(decrypt(Buffer.alloc(32, 2), sealed, 'here')).toBeNull()
    expect(decrypt(key, sealed, 'there')).toBeNull()
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed)
      changed[i] = (changed[i] as number) ^ 1
      expect(decrypt(key, changed, 'here'), `byte ${i}`).toBeNull()
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(decrypt(key, sealed.subarray(0, length), 'here'), `${length} bytes`).toBeNull()
    }
  })

  test('gives the same with a key that was made ready', () => {
    const key = Buffer.alloc(32, 1)
    const sealed = encrypt(secretOf(key), 'x', 'here', zeros)
    expect(sealed).toEqual(encrypt(key, 'x', 'here', zeros))
    expect(decrypt(secretOf(key), sealed, 'here')?.toString()).toBe('x')
  })
})

test('a nonce never comes twice, though they are drawn in blocks', () => {
  let blocks = 0
  const counting = {
    bytes: (length: number) => {
      blocks += 1
      const block = Buffer.alloc(length)
      for (let i = 0; i < length; i += 4) block.writeUInt32BE(blocks * 10_000 + i, i)
      return block
    },
  }
  const nonces = new Nonces(counting)
  const seen = new Set(Array.from({ length: 1000 }, () => nonces.bytes(12).toString('hex')))
  expect(seen.size).toBe(1000)
  expect(blocks).toBe(4)
})
