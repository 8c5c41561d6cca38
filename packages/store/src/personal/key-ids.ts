/**
 * The names of keys.
 *
 *     key id  =  subject hash . generation        22 and 11 characters of base64url
 *
 * The hash is an HMAC of tenant and subject under a secret that is kept among the keys, so that
 * nobody who has the log alone can find out, by trying likely names, whose it is. The generation is
 * random: two nodes that make a key for the same subject at the same time make two keys, both good,
 * and no record of the compacted topic ever takes the place of another key's.
 */
import { createHmac } from 'node:crypto'

const HASH_BYTES = 16
const GENERATION_BYTES = 8
const ID = /^[\w-]{22}\.[\w-]{11}$/

/** Names the secret of the hashes among the hashes; an HMAC is all zeros once in 2^128. */
export const SECRET_HASH: string = Buffer.alloc(HASH_BYTES).toString('base64url')

/** Which subject, without saying who. */
export function subjectHash(secret: Buffer, tenant: string, subject: string): string {
  const hmac = createHmac('sha256', secret).update(tenant).update('\0').update(subject)
  return hmac.digest().subarray(0, HASH_BYTES).toString('base64url')
}

/** The id of a new key. */
export function newKeyId(hash: string, random: { bytes(length: number): Buffer }): string {
  return `${hash}.${random.bytes(GENERATION_BYTES).toString('base64url')}`
}

/** Whether a text is a key's id. */
export const isKeyId = (text: string): boolean => ID.test(text)

/** The subject hash of a key's id. */
export const hashOfKey = (id: string): string => id.slice(0, SECRET_HASH.length)

/** Whether a text is a subject's hash. */
export const isSubjectHash = (text: string): boolean => /^[\w-]{22}$/.test(text)

/** Hash and generation in 24 bytes. */
export function keyIdBytes(id: string): Buffer {
  const [hash, generation] = id.split('.') as [string, string]
  return Buffer.concat([Buffer.from(hash, 'base64url'), Buffer.from(generation, 'base64url')])
}

/** The id that {@link keyIdBytes} was given. */
export function keyIdOf(bytes: Buffer): string {
  const hash = bytes.subarray(0, HASH_BYTES).toString('base64url')
  return `${hash}.${bytes.subarray(HASH_BYTES).toString('base64url')}`
}
