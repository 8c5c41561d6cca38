/**
 * States that were folded from personal fields, as they lie on disk: sealed with the keys of all
 * subjects in them together, so that forgetting any one of them makes the state unreadable, and it is
 * folded again from what can still be read.
 */

import { createHmac } from 'node:crypto'
import type { Outside } from '@millrace/base'
import { decrypt, encrypt } from './cipher.ts'
import type { Maybe } from './maybe.ts'
import type { SubjectKey, SubjectKeys } from './subject-keys.ts'

/** Most keys that one state is sealed with; a state of more subjects is not kept. */
export const STATE_KEYS_MAX = 64

/**
 * Seals a state.
 *
 * @param keyIds of the keys that opened what went into it, at least one
 * @param belongs names what it is the state of
 * @returns undefined when it must not be kept: a key is gone, or there are too many
 */
export function sealState(
  keys: Pick<SubjectKeys, 'opening'>,
  keyIds: readonly string[],
  plain: string,
  belongs: string,
  random: Outside['random'],
): Maybe<Buffer | undefined> {
  return withKey(keys, keyIds, key => encrypt(key, plain, belongs, random))
}

/**
 * Opens a state.
 *
 * @returns undefined when a key is gone, or the state was changed or moved
 * @throws StoreError KEY_UNAVAILABLE
 */
export function openState(
  keys: Pick<SubjectKeys, 'opening'>,
  keyIds: readonly string[],
  sealed: Buffer,
  belongs: string,
): Maybe<string | undefined> {
  return withKey(keys, keyIds, key => decrypt(key, sealed, belongs)?.toString())
}

function withKey<T>(
  keys: Pick<SubjectKeys, 'opening'>,
  keyIds: readonly string[],
  use: (key: Buffer) => T,
): Maybe<T | undefined> {
  if (keyIds.length === 0 || keyIds.length > STATE_KEYS_MAX) return undefined
  const found = [...new Set(keyIds)].sort().map(id => keys.opening(id))
  const finish = (all: readonly (SubjectKey | null)[]): T | undefined => {
    const hmac = createHmac('sha256', 'millrace state v1')
    for (const key of all) {
      if (key === null) return undefined
      hmac.update(key.bytes)
    }
    return use(hmac.digest())
  }
  return found.some(key => key instanceof Promise)
    ? Promise.all(found).then(finish)
    : finish(found as (SubjectKey | null)[])
}
