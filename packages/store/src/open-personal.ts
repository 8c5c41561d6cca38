/**
 * Opens what the store keeps on topics of its own: the keys of subjects, where a key provider is
 * given, and the snapshots, which are sealed with them where they are personal.
 */
import type { Outside, SettingValues } from '@millrace/base'
import { StoreError } from './errors.ts'
import type { KeyValue } from './kv/key-value.ts'
import type { StateKeeper } from './on-log/aggregate.ts'
import type { StoreEvent, StoreOptions } from './options.ts'
import { OWN_PREFIX } from './own-topics/own-topic.ts'
import { forgetSubject } from './personal/forget.ts'
import { unavailable } from './personal/master-keys.ts'
import { PersonalData } from './personal/personal-data.ts'
import { SubjectKeys } from './personal/subject-keys.ts'
import type { ForgetReport } from './port.ts'
import type { STORE_SETTINGS } from './settings.ts'
import { Snapshots } from './snapshots/snapshots.ts'

type Values = SettingValues<typeof STORE_SETTINGS>

/** Personal data and states at work. */
export type OpenPersonal = {
  readonly data: PersonalData
  readonly states: StateKeeper
  readonly forget: (subject: string, tenant: string) => Promise<ForgetReport>
  readonly close: () => Promise<void>
}

/** @throws StoreError BAD_TOPIC, KEY_UNAVAILABLE */
export async function openPersonal(
  options: StoreOptions,
  kv: KeyValue,
  values: Values,
  outside: Outside,
): Promise<OpenPersonal> {
  const keys = await openKeys(options, kv, values, outside)
  const snapshots = await openSnapshots(options, kv, values, outside, keys).catch(async error => {
    await keys?.close()
    throw error
  })
  return {
    data: new PersonalData(keys, outside.random),
    states: snapshots ?? NO_STATES,
    forget: async (subject, tenant) => {
      if (keys === undefined) throw unavailable('the store was opened without a key provider')
      return forgetSubject({ keys, snapshots: snapshots ?? NO_STATES, kv }, tenant, subject)
    },
    close: async () => {
      await snapshots?.close()
      await keys?.close()
    },
  }
}

/** Personal fields need keys. @throws StoreError BAD_ARGUMENT */
export function checkProvider({ categories, keys }: StoreOptions): void {
  if (keys !== undefined) return
  for (const [category, { events = {} }] of Object.entries(categories)) {
    for (const [type, { personal }] of Object.entries(events)) {
      if (personal === undefined) continue
      throw new StoreError(
        'BAD_ARGUMENT',
        `keys: event type ${type} of category ${category} has personal fields, so a key provider is needed`,
      )
    }
  }
}

async function openKeys(
  options: StoreOptions,
  kv: KeyValue,
  values: Values,
  outside: Outside,
): Promise<SubjectKeys | undefined> {
  if (options.keys === undefined) return undefined
  return SubjectKeys.open({
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
}

async function openSnapshots(
  options: StoreOptions,
  kv: KeyValue,
  values: Values,
  outside: Outside,
  keys: SubjectKeys | undefined,
): Promise<Snapshots | undefined> {
  if (values['snapshot.bytes.max'] === 0) return undefined
  const tell = (event: StoreEvent): void => options.onEvent?.(event)
  return Snapshots.open({
    log: options.log,
    topic: `${options.prefix ?? OWN_PREFIX}snapshots`,
    kv,
    keys,
    outside,
    cached: values['snapshot.cache'],
    bytesMax: values['snapshot.bytes.max'],
    queueBytes: values['snapshot.queue.bytes'],
    tailWaitMs: values['tail.wait.ms'],
    tailFetchBytes: values['tail.fetch.bytes'],
    onUnfit: (category, name, reason) => tell({ kind: 'snapshot-unfit', category, name, reason }),
  })
}

/** No states are kept. */
const NO_STATES: StateKeeper = {
  load: () => undefined,
  save: () => undefined,
  remove: () => Promise.resolve(0),
}
