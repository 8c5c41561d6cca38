/**
 * AES-256-GCM as the store uses it: a random nonce, then the ciphertext, then the tag.
 *
 * A key seals at most 2^32 values before a nonce is likely to come twice (NIST SP 800-38D, 8.3); a
 * subject has far fewer. What is authenticated beside the plaintext says where it belongs, so that a
 * sealed value that is moved somewhere else does not open.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import type { Outside } from '@millrace/base'

/** Bytes of every key: of a subject, and the master keys. */
export const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const NONCE_BLOCK_BYTES = 256 * NONCE_BYTES
const ALGORITHM = 'aes-256-gcm'
const TAG = { authTagLength: TAG_BYTES } as const

/**
 * A key made ready once: with its bytes alone every use costs 13 microseconds more (measured), which
 * is most of the cost of a short field.
 */
export const secretOf = (bytes: Buffer): KeyObject => createSecretKey(bytes)

/** Randomness for nonces, drawn in blocks: a system call for each costs more than the cipher. */
export class Nonces {
  readonly #random: Outside['random']
  #block: Buffer = Buffer.alloc(0)

  constructor(random: Outside['random']) {
    this.#random = random
  }

  /** Good until the next call. */
  bytes(length: number): Buffer {
    if (this.#block.length < length) this.#block = this.#random.bytes(NONCE_BLOCK_BYTES)
    const nonce = this.#block.subarray(0, length)
    this.#block = this.#block.subarray(length)
    return nonce
  }
}

/** Nonce, ciphertext, tag. */
export function encrypt(
  key: Buffer | KeyObject,
  plain: Buffer | string,
  belongs: string,
  random: Outside['random'],
): Buffer {
  const nonce = random.bytes(NONCE_BYTES)
  const cipher = createCipheriv(ALGORITHM, key, nonce, TAG)
  cipher.setAAD(Buffer.from(belongs))
  const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain)
  cipher.final() // a stream cipher: nothing is left
  return Buffer.concat([nonce, body, cipher.getAuthTag()])
}

/** The plaintext; null when the key is another one, or anything was changed or moved. */
export function decrypt(key: Buffer | KeyObject, sealed: Buffer, belongs: string): Buffer | null {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return null
  const nonce = sealed.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv(ALGORITHM, key, nonce, TAG)
  decipher.setAAD(Buffer.from(belongs))
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES))
  try {
    decipher.final()
  } catch {
    return null
  }
  return plain
}
