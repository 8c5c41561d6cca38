/** Opens what personal data needs: the keys of subjects, where a key provider is given. */
import type { ClientOutside, SettingValues } from '@millrace/log'
import type { KeyValue } from './kv/key-value.ts'
import type { StoreOptions } from './options.ts'
import { touchedBy } from './personal/key-index.ts'
import { unavailable } from './personal/master-keys.ts'
import { PersonalData } from './personal/personal-data.ts'
import { SubjectKeys } from './personal/subject-keys.ts'
import type { ForgetReport } from './port.ts'
import type { STORE_SETTINGS } from './settings.ts'

/** Before the names of the store's own topics. */
export const OWN_PREFIX = '__millrace.'

/** Personal data at work. */
export type OpenPersonal = {
  readonly data: PersonalData
  readonly keys: SubjectKeys | undefined
  readonly forget: (subject: string, tenant: string) => Promise<ForgetReport>
  readonly close: () => Promise<void>
}

/** @throws StoreError BAD_TOPIC, KEY_UNAVAILABLE */
export async function openPersonal(
  options: StoreOptions,
  kv: KeyValue,
  values: SettingValues<typeof STORE_SETTINGS>,
  outside: ClientOutside,
): Promise<OpenPersonal> {
  if (options.keys === undefined) {
    return {
      data: new PersonalData(undefined, outside.random),
      keys: undefined,
      forget: () => Promise.reject(unavailable('the store was opened without a key provider')),
      close: () => Promise.resolve(),
    }
  }
  const keys = await SubjectKeys.open({
    log: options.log,
    topic: `${options.prefix ?? OWN_PREFIX}keys`,
    kv,
    provider: options.keys,
    outside,
    cached: values['keys.cache'],
    goneMs: values['keys.gone.ms'],
    timeoutMs: values['keys.timeout.ms'],
    tailWaitMs: values['tail.wait.ms'],
    tailFetchBytes: values['tail.fetch.bytes'],
  })
  return {
    data: new PersonalData(keys, outside.random),
    keys,
    forget: async (subject, tenant) => {
      const { hash, known, keyGoneBy } = await keys.forget(tenant, subject)
      const { streams, events } = await touchedBy(kv, hash)
      return { subject, known, streams, events, snapshots: 0, keyGoneBy }
    },
    close: () => keys.close(),
  }
}
