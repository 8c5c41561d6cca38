/** Rotation of the master key as an operator calls it: on a log, with or without an open store. */
import { type Outside, resolveSettings, type SettingValues, systemOutside } from '@millrace/base'
import type { Log } from '@millrace/log'
import { memoryKeyValue } from '../kv/memory.ts'
import type { KeyProvider } from '../options.ts'
import { OWN_PREFIX } from '../own-topics/own-topic.ts'
import { STORE_SETTINGS } from '../settings.ts'
import type { Rotation, RotationOptions } from './rotation.ts'
import { SubjectKeys } from './subject-keys.ts'

/** What is rotated. */
export type RotateKeysOptions = RotationOptions & {
  readonly log: Log
  /** Has the new master key as its present one, and the old ones. */
  readonly keys: KeyProvider
  /** As the store was opened with. */
  readonly prefix?: string
  readonly settings?: Partial<SettingValues<typeof STORE_SETTINGS>>
  readonly outside?: Outside
}

/**
 * Wraps the keys of all subjects with the present master key. Stores may be open on the log; open
 * ones need the new master key, too. Stopped or failed, it is called again. See `Rotation` for when
 * the old master key may go.
 *
 * @throws StoreError KEY_UNAVAILABLE, BAD_TOPIC
 */
export async function rotateKeys(options: RotateKeysOptions): Promise<Rotation> {
  const values = resolveSettings(STORE_SETTINGS, options.settings)
  const keys = await SubjectKeys.open({
    log: options.log,
    topic: `${options.prefix ?? OWN_PREFIX}keys`,
    kv: memoryKeyValue(),
    provider: options.keys,
    outside: options.outside ?? systemOutside(),
    cached: 1,
    goneMs: values['keys.gone.ms'],
    timeoutMs: values['keys.timeout.ms'],
    tailWaitMs: values['tail.wait.ms'],
    tailFetchBytes: values['tail.fetch.bytes'],
  })
  try {
    return await keys.rotate(options)
  } finally {
    await keys.close()
  }
}
